#include "foreplan/data/normaliser.h"

#include <cmath>

namespace foreplan {

Normaliser::Normaliser(int columns)
    : mean(static_cast<size_t>(columns), 0.0), scale(static_cast<size_t>(columns), 1.0) {}

void Normaliser::Fit(int64_t rows, const Row& row, double smallest_scale, double constant_scale) {
  const size_t columns = mean.size();
  const auto count = static_cast<double>(rows);
  std::vector<double> values(columns);
  mean.assign(columns, 0.0);
  for (int64_t i = 0; i < rows; ++i) {
    row(i, values.data());
    for (size_t column = 0; column < columns; ++column) mean[column] += values[column];
  }
  for (double& average : mean) average /= count;
  std::vector<double> squares(columns, 0.0);
  for (int64_t i = 0; i < rows; ++i) {
    row(i, values.data());
    for (size_t column = 0; column < columns; ++column) {
      const double deviation = values[column] - mean[column];
      squares[column] += deviation * deviation;
    }
  }
  for (size_t column = 0; column < columns; ++column) {
    const double deviation = std::sqrt(squares[column] / count);
    scale[column] = deviation < smallest_scale ? constant_scale : deviation;
  }
}

void Normaliser::Apply(const double* values, float* normalised) const {
  for (size_t i = 0; i < mean.size(); ++i) {
    normalised[i] = static_cast<float>((values[i] - mean[i]) / scale[i]);
  }
}

}  // namespace foreplan
