// Statistics of what happens in a step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "foreplan/data/column_statistics.h"
#include "foreplan/data/dataset.h"
#include "foreplan/models/observation_difference.h"

namespace foreplan {

/// Largest |value| of each component, before and after a step, in these rows: [no]. Changes are as
/// exact as that.
[[nodiscard]] std::vector<double> MagnitudeOf(const Dataset& data, std::span<const int64_t> rows);

/// Of the changes of the observation in these rows of the data, at least one. A component that is
/// constant in this changes by the same amount in every step.
[[nodiscard]] ColumnStatistics MeasureChanges(const Dataset& data,
                                              const ObservationDifference& difference,
                                              std::span<const int64_t> rows);
/// In all rows.
[[nodiscard]] ColumnStatistics MeasureChanges(const Dataset& data,
                                              const ObservationDifference& difference);

}  // namespace foreplan
