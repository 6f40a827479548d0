#include "foreplan/models/change_statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace foreplan {

std::vector<double> MagnitudeOf(const Dataset& data, std::span<const int64_t> rows) {
  std::vector<double> magnitude(static_cast<size_t>(data.observation_dim()));
  for (const int64_t row : rows) {
    const std::span<const double> before = data.observation(row);
    const std::span<const double> after = data.next_observation(row);
    for (size_t k = 0; k < magnitude.size(); ++k) {
      magnitude[k] = std::max({magnitude[k], std::abs(before[k]), std::abs(after[k])});
    }
  }
  return magnitude;
}

ColumnStatistics MeasureChanges(const Dataset& data, const ObservationDifference& difference,
                                std::span<const int64_t> rows) {
  const auto change = [&](int64_t i, double* values) {
    const int64_t row = rows[static_cast<size_t>(i)];
    const std::span<const double> before = data.observation(row);
    const std::span<const double> after = data.next_observation(row);
    for (size_t k = 0; k < before.size(); ++k) values[k] = difference(k, after[k], before[k]);
  };
  return MeasureColumns(std::ssize(rows), static_cast<size_t>(data.observation_dim()), change,
                        MagnitudeOf(data, rows));
}

ColumnStatistics MeasureChanges(const Dataset& data, const ObservationDifference& difference) {
  std::vector<int64_t> rows(static_cast<size_t>(data.size()));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  return MeasureChanges(data, difference, rows);
}

}  // namespace foreplan
