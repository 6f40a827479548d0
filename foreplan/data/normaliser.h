// Per-column mean and scale of training data.
#pragma once

#include <string>
#include <vector>

#include "foreplan/data/column_statistics.h"
#include "foreplan/data/safetensors.h"

namespace foreplan {

/// Maps a column to (value - mean) / scale. Starts as the identity.
class Normaliser {
 public:
  explicit Normaliser(int columns);
  /// Of inputs: scales are deviations; a constant column has scale 1, and so is 0 as long as it is
  /// what it was.
  [[nodiscard]] static Normaliser OfInputs(ColumnStatistics columns);
  /// Of what is predicted: scales are deviations; a constant column has the scale of its rounding,
  /// so that whatever a network says of it is the constant.
  [[nodiscard]] static Normaliser OfTargets(ColumnStatistics columns);

  /// (value - mean) / scale of a row: [columns].
  void Apply(const double* values, float* normalised) const;

  [[nodiscard]] int columns() const { return static_cast<int>(mean.size()); }

  /// Tensors <prefix>_mean and <prefix>_scale.
  void Save(const std::string& prefix, TensorFile& file) const;
  /// Throws InputError unless there are as many columns, means are finite and scales positive.
  void Restore(const std::string& prefix, const TensorFile& file);

  std::vector<double> mean;   // [columns]
  std::vector<double> scale;  // [columns], > 0
};

}  // namespace foreplan
