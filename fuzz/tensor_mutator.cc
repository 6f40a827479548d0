#include "fuzz/tensor_mutator.h"

#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <random>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/safetensors.h"

namespace foreplan::fuzz {
namespace {

template <typename Map>
auto Any(Map& map, std::mt19937& draw) {
  return std::next(map.begin(), static_cast<ptrdiff_t>(draw() % map.size()));
}

template <typename Number>
Number Extreme(std::mt19937& draw) {
  using Limits = std::numeric_limits<Number>;
  if constexpr (std::is_floating_point_v<Number>) {
    const Number values[] = {Limits::quiet_NaN(),
                             Limits::infinity(),
                             -Limits::infinity(),
                             0,
                             -1,
                             Limits::max(),
                             Limits::min(),
                             1e6,
                             0.5};
    return values[draw() % std::size(values)];
  } else {
    const Number values[] = {Limits::min(), Limits::max(), 0, 1, 2, static_cast<Number>(-1)};
    return values[draw() % std::size(values)];
  }
}

void ChangeNumbers(Tensor& tensor, std::mt19937& draw) {
  std::visit(
      [&]<typename Number>(std::vector<Number>& values) {
        if (values.empty()) return;
        Number& value = values[draw() % values.size()];
        if (draw() % 2 == 0) {
          value = Extreme<Number>(draw);
        } else {
          auto* bytes = reinterpret_cast<unsigned char*>(&value);
          bytes[draw() % sizeof(Number)] ^= static_cast<unsigned char>(1U << (draw() % 8));
        }
      },
      tensor.values);
}

/// As many numbers, in other dimensions, or one less.
void ChangeShape(Tensor& tensor, std::mt19937& draw) {
  const auto count = std::visit([](auto& values) { return std::ssize(values); }, tensor.values);
  switch (draw() % 3) {
    case 0:
      tensor.shape = {count};
      break;
    case 1:
      tensor.shape.insert(tensor.shape.begin(), 1);
      break;
    default:
      if (count == 0) break;
      std::visit([](auto& values) { values.pop_back(); }, tensor.values);
      tensor.shape = {count - 1};
  }
}

void ChangeTensor(TensorFile& file, std::mt19937& draw) {
  const auto any = Any(file.tensors, draw);
  switch (draw() % 8) {
    case 0:
      return ChangeShape(any->second, draw);
    case 1:
      file.tensors.erase(any);
      return;
    case 2:
      any->second = Any(file.tensors, draw)->second;
      return;
    default:
      return ChangeNumbers(any->second, draw);
  }
}

void ChangeText(TensorFile& file, std::mt19937& draw, const Mutate& mutate) {
  const auto any = Any(file.metadata, draw);
  if (draw() % 8 == 0) {
    file.metadata.erase(any);
  } else {
    any->second = mutate(any->second, any->second.size() + 64);
  }
}

}  // namespace

std::string ChangedTensors(std::string_view bytes, uint32_t seed, const Mutate& mutate) {
  std::mt19937 draw(seed);
  try {
    TensorFile file = ParseTensors(bytes, "input");
    const bool has_texts = !file.metadata.empty();
    if (file.tensors.empty() || (has_texts && draw() % 3 == 0)) {
      if (!has_texts) return "";
      ChangeText(file, draw, mutate);
    } else {
      ChangeTensor(file, draw);
    }
    return SerializeTensors(file, "input");
  } catch (const Error&) {
    return "";
  }
}

}  // namespace foreplan::fuzz
