// What a fit of an ensemble learns from.
#pragma once

#include <cstdint>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/data/dataset.h"
#include "foreplan/data/normaliser.h"
#include "foreplan/models/ensembles/ensemble.h"

namespace foreplan {

/// Rows of a data set that are trained on and rows that are held out, as the networks see them.
class FitRows {
 public:
  /// holdout_share: of the rows, 0 ... 0.5. Ensemble and data must outlive it. Throws RunError
  /// naming expression and row of an input that is not finite.
  FitRows(const Ensemble& ensemble, const Dataset& data, double holdout_share);

  [[nodiscard]] const std::vector<int64_t>& training() const { return training_; }
  [[nodiscard]] const std::vector<int64_t>& holdout() const { return holdout_; }
  [[nodiscard]] const Normaliser& input() const { return input_; }
  [[nodiscard]] const Normaliser& target() const { return target_; }
  /// Standard deviations of the normalised targets, 0: constant: [no].
  [[nodiscard]] const std::vector<double>& target_scale() const { return target_scale_; }
  /// Of constant noise: [no].
  [[nodiscard]] const std::vector<float>& least_log_variance() const { return least_log_variance_; }

  /// Encodes all rows once, to the same bits, where that is less than the `drawn` rows and there is
  /// room.
  void Keep(int64_t drawn, Executor& executor);

  /// A row of the data as the networks see it; `values`: for one row.
  void FillInput(int64_t row, std::vector<double>& values, float* input) const;
  void FillTarget(int64_t row, std::vector<double>& values, float* target) const;

 private:
  void Split(double holdout_share);
  void Measure();
  void CheckInputs() const;

  const Ensemble& ensemble_;
  const FeatureMap& features_;
  const Dataset& data_;
  std::vector<int64_t> training_, holdout_;
  Normaliser input_, target_;
  std::vector<double> target_scale_;
  std::vector<float> least_log_variance_;
  std::vector<float> inputs_;   // of all rows of the data, where they are kept: [rows x inputs]
  std::vector<float> targets_;  // [rows x no]
};

}  // namespace foreplan
