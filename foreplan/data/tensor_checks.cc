#include "foreplan/data/tensor_checks.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string_view>
#include <variant>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

template <typename Right>
void CheckEach(const TensorFile& file, const std::string& name, std::string_view expected,
               Right right) {
  const auto tensor = file.tensors.find(name);
  if (tensor == file.tensors.end()) {
    throw InputError(fmt::format("{}: tensor '{}' is missing", file.source, name));
  }
  const auto check = [&](const auto& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      const auto value = static_cast<double>(values[i]);
      if (std::isfinite(value) && right(value)) continue;
      // Without the sign that a NaN may have.
      throw InputError(fmt::format("{}: tensor '{}', element {}: found {}, expected {}",
                                   file.source, name, i,
                                   std::isnan(value) ? std::abs(value) : value, expected));
    }
  };
  std::visit(check, tensor->second.values);
}

}  // namespace

void CheckFinite(const TensorFile& file, const std::string& name) {
  CheckEach(file, name, "a finite number", [](double) { return true; });
}

const std::vector<double>& FiniteDoubles(const TensorFile& file, const std::string& name,
                                         int64_t size) {
  const std::array<int64_t, 1> shape = {size};
  const std::vector<double>& values = file.Doubles(name, shape);
  CheckFinite(file, name);
  return values;
}

void CheckPositive(const TensorFile& file, const std::string& name) {
  CheckEach(file, name, "a finite number above 0",
            [](double value) { return std::isnormal(value) && value > 0; });
}

void CheckAtLeast(const TensorFile& file, const std::string& name, double least) {
  CheckEach(file, name, fmt::format("at least {}", least),
            [least](double value) { return value >= least; });
}

void CheckCounters(const TensorFile& file, const std::string& name) {
  constexpr double kMost = 1e9;
  CheckEach(file, name, fmt::format("a count from 0 to {:.0f}", kMost), [](double value) {
    return 0 <= value && value <= kMost && value == std::floor(value);
  });
}

void CheckFlags(const TensorFile& file, const std::string& name) {
  CheckEach(file, name, "0 or 1", [](double value) { return value == 0 || value == 1; });
}

}  // namespace foreplan
