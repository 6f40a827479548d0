// Mean and spread of columns of data, and which of them are constant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

namespace foreplan {

/// By how much numbers of that magnitude that stand for equal ones may differ: a few roundings of
/// eps / 2 each.
inline double RoundingOf(double magnitude) {
  return 8 * std::numeric_limits<double>::epsilon() * magnitude;
}

/// Writes the values of a row, [columns].
using RowFiller = std::function<void(int64_t row, double* values)>;

struct ColumnStatistics {
  std::vector<double> mean;  // [columns]
  /// Root of the mean squared distance to the mean; exactly 0 for a constant column: [columns].
  std::vector<double> deviation;
  /// By how much numbers of the column's magnitude may differ by rounding alone: [columns]. A
  /// column whose values differ by no more is constant, whatever its unit.
  std::vector<double> rounding;
};

/// Of `rows` rows, at least 1, each of which is asked for twice, in order. The magnitude of a
/// column is its largest |value|; columns of differences have the rounding of what they are
/// differences of, and `magnitude` says how large that is: [columns], or empty.
[[nodiscard]] ColumnStatistics MeasureColumns(int64_t rows, size_t columns, const RowFiller& row,
                                              std::span<const double> magnitude = {});

}  // namespace foreplan
