// How well a model predicts transitions it has not been fitted to.
#pragma once

#include <memory>

#include "foreplan/data/dataset.h"
#include "foreplan/models/ensemble.h"

namespace foreplan {

struct ModelError {
  int64_t rows = 0;
  double one_step_rmse = 0;    // of the members' mean [target standard deviations]
  double coverage_90 = 0;      // share of components inside the mixture's central 90 % interval
  double epistemic_share = 0;  // variance of the members' means over the predictive variance
};

/// Judges ensembles on rows of a data set; keeps its buffers.
class ModelJudge {
 public:
  explicit ModelJudge(const Ensemble& ensemble);

  /// Rows first ... last - 1 of `data`; all zero when there are none. Errors are counted in the
  /// deviations of the ensemble's target normaliser, i.e. of the data it was fitted to; constant
  /// targets are left out, as they have no scale.
  ModelError Judge(const Dataset& data, int64_t first, int64_t last);

 private:
  const Ensemble& ensemble_;
  std::unique_ptr<Dynamics::Workspace> workspace_;
};

}  // namespace foreplan
