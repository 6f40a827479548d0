// Per-column mean and scale of training data.
#pragma once

#include <cstdint>
#include <vector>

namespace foreplan {

/// Maps a column to (value - mean) / scale. Starts as the identity.
class Normaliser {
 public:
  explicit Normaliser(int columns);

  /// Mean and standard deviation of `rows` rows, [rows x columns] in double. A column whose
  /// deviation is below `smallest_scale` counts as constant and gets `constant_scale` as its scale.
  void Fit(int64_t rows, const double* values, double smallest_scale, double constant_scale);

  [[nodiscard]] int columns() const { return static_cast<int>(mean.size()); }

  std::vector<double> mean;   // [columns]
  std::vector<double> scale;  // [columns], > 0
};

}  // namespace foreplan
