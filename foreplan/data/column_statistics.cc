#include "foreplan/data/column_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace foreplan {

ColumnStatistics MeasureColumns(int64_t rows, size_t columns, const RowFiller& row,
                                std::span<const double> magnitude) {
  const auto count = static_cast<double>(rows);
  std::vector<double> values(columns);
  std::vector<double> least(columns, std::numeric_limits<double>::infinity());
  std::vector<double> most(columns, -std::numeric_limits<double>::infinity());
  ColumnStatistics result{std::vector<double>(columns), std::vector<double>(columns),
                          std::vector<double>(columns)};
  for (int64_t i = 0; i < rows; ++i) {
    row(i, values.data());
    for (size_t k = 0; k < columns; ++k) {
      result.mean[k] += values[k];
      least[k] = std::min(least[k], values[k]);
      most[k] = std::max(most[k], values[k]);
    }
  }
  for (double& mean : result.mean) mean /= count;
  for (int64_t i = 0; i < rows; ++i) {
    row(i, values.data());
    for (size_t k = 0; k < columns; ++k) {
      const double distance = values[k] - result.mean[k];
      result.deviation[k] += distance * distance;
    }
  }
  for (size_t k = 0; k < columns; ++k) {
    const double largest = std::max(std::abs(least[k]), std::abs(most[k]));
    result.rounding[k] = RoundingOf(magnitude.empty() ? largest : std::max(largest, magnitude[k]));
    result.deviation[k] = std::sqrt(result.deviation[k] / count);
    if (most[k] - least[k] > result.rounding[k] || !std::isfinite(result.mean[k])) continue;
    result.deviation[k] = 0;
    result.mean[k] = 0.5 * (least[k] + most[k]);  // without the rounding of a long sum
  }
  return result;
}

}  // namespace foreplan
