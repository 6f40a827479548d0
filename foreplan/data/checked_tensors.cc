#include "foreplan/data/checked_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

/// The values, when all of them are what `is` says.
template <typename T, typename Predicate>
const std::vector<T>& Checked(const TensorFile& file, const std::string& name,
                              const std::vector<T>& values, std::string_view expected,
                              Predicate is) {
  const auto wrong = std::ranges::find_if_not(values, is);
  if (wrong == values.end()) return values;
  throw InputError(fmt::format("{}: tensor '{}': found {} at place {} of {}, expected {}",
                               file.source.empty() ? "tensors" : file.source, name, *wrong,
                               wrong - values.begin() + 1, values.size(), expected));
}

constexpr std::string_view kFinite = "a finite number";
constexpr std::string_view kNonNegative = "a finite number >= 0";

}  // namespace

const std::vector<float>& FiniteFloats(const TensorFile& file, const std::string& name,
                                       std::span<const int64_t> shape) {
  return Checked(file, name, file.Floats(name, shape), kFinite,
                 [](float value) { return std::isfinite(value); });
}

const std::vector<double>& FiniteDoubles(const TensorFile& file, const std::string& name,
                                         std::span<const int64_t> shape) {
  return Checked(file, name, file.Doubles(name, shape), kFinite,
                 [](double value) { return std::isfinite(value); });
}

const std::vector<float>& NonNegativeFloats(const TensorFile& file, const std::string& name,
                                            std::span<const int64_t> shape) {
  return Checked(file, name, file.Floats(name, shape), kNonNegative,
                 [](float value) { return std::isfinite(value) && value >= 0; });
}

const std::vector<double>& NonNegativeDoubles(const TensorFile& file, const std::string& name,
                                              std::span<const int64_t> shape) {
  return Checked(file, name, file.Doubles(name, shape), kNonNegative,
                 [](double value) { return std::isfinite(value) && value >= 0; });
}

const std::vector<double>& PositiveDoubles(const TensorFile& file, const std::string& name,
                                           std::span<const int64_t> shape) {
  return Checked(file, name, file.Doubles(name, shape), "a finite number > 0",
                 [](double value) { return std::isnormal(value) && value > 0; });
}

const std::vector<int32_t>& Counts(const TensorFile& file, const std::string& name,
                                   std::span<const int64_t> shape) {
  return Checked(file, name, file.Ints(name, shape), "a number >= 0",
                 [](int32_t value) { return value >= 0; });
}

}  // namespace foreplan
