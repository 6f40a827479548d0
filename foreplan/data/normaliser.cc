#include "foreplan/data/normaliser.h"

#include <algorithm>
#include <array>
#include <utility>

#include "foreplan/data/tensor_checks.h"

namespace foreplan {

Normaliser::Normaliser(int columns)
    : mean(static_cast<size_t>(columns), 0.0), scale(static_cast<size_t>(columns), 1.0) {}

Normaliser Normaliser::OfInputs(ColumnStatistics columns) {
  Normaliser normaliser(0);
  normaliser.mean = std::move(columns.mean);
  normaliser.scale = std::move(columns.deviation);
  std::ranges::replace(normaliser.scale, 0.0, 1.0);
  return normaliser;
}

Normaliser Normaliser::OfTargets(ColumnStatistics columns) {
  // Of a column of zeros; products with it are still normal numbers, also in float.
  constexpr double kSmallest = 1e-20;
  Normaliser normaliser(0);
  normaliser.mean = std::move(columns.mean);
  normaliser.scale = std::move(columns.deviation);
  for (size_t k = 0; k < normaliser.scale.size(); ++k) {
    if (normaliser.scale[k] == 0) normaliser.scale[k] = std::max(columns.rounding[k], kSmallest);
  }
  return normaliser;
}

void Normaliser::Apply(const double* values, float* normalised) const {
  for (size_t i = 0; i < mean.size(); ++i) {
    normalised[i] = static_cast<float>((values[i] - mean[i]) / scale[i]);
  }
}

void Normaliser::Save(const std::string& prefix, TensorFile& file) const {
  const std::vector<int64_t> shape = {columns()};
  file.tensors[prefix + "_mean"] = {shape, mean};
  file.tensors[prefix + "_scale"] = {shape, scale};
}

void Normaliser::Restore(const std::string& prefix, const TensorFile& file) {
  const std::array<int64_t, 1> shape = {columns()};
  const std::vector<double>& means = file.Doubles(prefix + "_mean", shape);
  const std::vector<double>& scales = file.Doubles(prefix + "_scale", shape);
  CheckFinite(file, prefix + "_mean");
  CheckPositive(file, prefix + "_scale");
  mean = means;
  scale = scales;
}

}  // namespace foreplan
