// Per-column mean and scale of training data.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace foreplan {

/// Maps a column to (value - mean) / scale. Starts as the identity.
class Normaliser {
 public:
  explicit Normaliser(int columns);

  /// Writes the values of a row, [columns].
  using Row = std::function<void(int64_t row, double* values)>;

  /// Mean and standard deviation of `rows` rows, each of which is asked for twice, in order. A
  /// column whose deviation is below `smallest_scale` counts as constant and gets `constant_scale`
  /// as its scale.
  void Fit(int64_t rows, const Row& row, double smallest_scale, double constant_scale);

  /// (value - mean) / scale of a row: [columns].
  void Apply(const double* values, float* normalised) const;

  [[nodiscard]] int columns() const { return static_cast<int>(mean.size()); }

  std::vector<double> mean;   // [columns]
  std::vector<double> scale;  // [columns], > 0
};

}  // namespace foreplan
