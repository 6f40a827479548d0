#include "foreplan/models/ensemble_model.h"

#include <cstddef>

namespace foreplan {

EnsembleModel::EnsembleModel(const SystemSpec& spec, const Encoding& encoding,
                             const EnsembleOptions& options, const FitOptions& fit, Key key,
                             ThreadPool& pool)
    : ensemble_(spec, encoding, options, key), trainer_(ensemble_, fit, pool) {
  TakeScale();
}

void EnsembleModel::TakeScale() {
  constexpr double kSmallestScale = 1e-6;  // of a target that is not constant
  scale_ = ensemble_.target_normaliser().scale;
  for (double& scale : scale_) scale = scale > kSmallestScale ? scale : 0;
}

FitMetrics EnsembleModel::Fit(const Dataset& data, Key key) {
  const FitReport report = trainer_.Fit(data, key);
  TakeScale();
  FitMetrics metrics = {{"training_loss", report.training_loss},
                        {"steps", static_cast<double>(report.steps)}};
  if (report.holdout_rows > 0) metrics.emplace_back("holdout_rmse", report.holdout_rmse);
  return metrics;
}

std::unique_ptr<Dynamics::Workspace> EnsembleModel::MakePredictionWorkspace() const {
  return ensemble_.MakeWorkspace(1);
}

void EnsembleModel::Predict(int member, const double* observation, const double* action,
                            double* mean, double* deviation, Dynamics::Workspace& workspace) const {
  ensemble_.PredictTarget(member, 1, observation, action, mean, deviation, workspace);
  ensemble_.features().Apply(observation, mean, mean);
}

void EnsembleModel::Save(TensorFile& file) const {
  ensemble_.Save(file);
  trainer_.Save(file);
}

void EnsembleModel::Restore(const TensorFile& file) {
  ensemble_.Restore(file);
  trainer_.Restore(file);
  TakeScale();
}

void EnsembleModel::SaveForUse(TensorFile& file) const { ensemble_.Save(file); }

void EnsembleModel::RestoreForUse(const TensorFile& file) {
  ensemble_.Restore(file);
  TakeScale();
}

}  // namespace foreplan
