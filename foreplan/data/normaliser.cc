#include "foreplan/data/normaliser.h"

#include <cmath>

namespace foreplan {

Normaliser::Normaliser(int columns)
    : mean(static_cast<size_t>(columns), 0.0), scale(static_cast<size_t>(columns), 1.0) {}

void Normaliser::Fit(int64_t rows, const double* values, double smallest_scale,
                     double constant_scale) {
  const size_t columns = mean.size();
  const auto count = static_cast<double>(rows);
  for (size_t column = 0; column < columns; ++column) {
    double sum = 0;
    for (int64_t row = 0; row < rows; ++row)
      sum += values[static_cast<size_t>(row) * columns + column];
    const double average = sum / count;
    double squares = 0;
    for (int64_t row = 0; row < rows; ++row) {
      const double deviation = values[static_cast<size_t>(row) * columns + column] - average;
      squares += deviation * deviation;
    }
    const double deviation = std::sqrt(squares / count);
    mean[column] = average;
    scale[column] = deviation < smallest_scale ? constant_scale : deviation;
  }
}

}  // namespace foreplan
