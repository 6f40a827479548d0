// Where observations lie.
#pragma once

#include <span>
#include <vector>

#include "foreplan/data/dataset.h"

namespace foreplan {

/// A box around what was seen, component by component.
class ObservationRange {
 public:
  /// Everywhere.
  ObservationRange() = default;
  /// All observations before and after the steps of `data`, and so many widths of what a component
  /// did on either side of it. What never changed may be anywhere.
  ObservationRange(const Dataset& data, double margin);

  /// Whether an observation, [no], is in it; NaN is not, but where anything is.
  [[nodiscard]] bool Holds(std::span<const double> observation) const;

 private:
  std::vector<double> low_, high_;  // [no], or empty
};

}  // namespace foreplan
