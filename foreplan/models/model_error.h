// How well a model predicts transitions it has not been fitted to.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "foreplan/data/dataset.h"
#include "foreplan/models/learned_model.h"

namespace foreplan {

/// Errors are in the model's scale, i.e. deviations of the one-step changes in the data it was
/// fitted to. Constant components have no scale and are left out.
struct ModelError {
  int64_t rows = 0;
  double one_step_rmse = 0;            // of the members' mean
  double coverage_90 = 0;              // share of components inside the central 90 % interval
  double epistemic_share = 0;          // variance of the members' means over the whole variance
  std::vector<double> component_rmse;  // [no], one step; 0 for constant components
  int64_t open_loop_runs = 0;          // stretches of recorded actions that were played
  double open_loop_rmse = 0;           // after such a stretch, the mean fed back at each step
};

/// Judges a model on rows of a data set; keeps its buffers.
class ModelJudge {
 public:
  explicit ModelJudge(const LearnedModel& model);

  /// Rows first ... last - 1 of `data`; all zero when there are none. Open loop: stretches of
  /// `open_loop_steps` rows, each of which begins where the one before ended, without overlap.
  ModelError Judge(const Dataset& data, int64_t first, int64_t last, int open_loop_steps = 10);

 private:
  /// Predicts the next observation as a mixture of the members: mean_, aleatoric_, epistemic_.
  void Predict(const double* observation, const double* action);
  /// After the stretch that starts at `row`: sum over components of squared errors.
  double OpenLoopError(const Dataset& data, int64_t row, int steps);

  const LearnedModel& model_;
  std::unique_ptr<Dynamics::Workspace> workspace_;
  std::vector<double> member_mean_;       // [no], of one member
  std::vector<double> member_deviation_;  // [no]
  std::vector<double> mean_;              // [no], of the members' means
  std::vector<double> aleatoric_;         // [no], mean of the members' variances
  std::vector<double> epistemic_;         // [no], variance of the members' means
  std::vector<double> observation_;       // [no], imagined
};

}  // namespace foreplan
