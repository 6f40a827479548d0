#include "foreplan/models/ensembles/ensemble_model.h"

#include <array>
#include <cstddef>
#include <utility>

#include "foreplan/data/tensor_checks.h"

namespace foreplan {

EnsembleModel::EnsembleModel(const EnvironmentSpec& spec, const Encoding& encoding,
                             const EnsembleOptions& options, const FitOptions& fit, Key key,
                             std::shared_ptr<Executor> executor)
    : trainer_(std::make_shared<const Ensemble>(spec, encoding, options, key), fit,
               std::move(executor)),
      scale_(ensemble()->target_normaliser().scale) {
  Publish(ensemble());
}

FitMetrics EnsembleModel::FitVersion(const Dataset& data, Key key, const FitControl& control) {
  FitReport report = trainer_.Fit(data, key, control);
  scale_ = std::move(report.scale);
  // Where nothing is learned there is no error to be measured.
  for (const KnownMotion& motion : ensemble()->features().known()) {
    scale_[static_cast<size_t>(motion.component)] = 0;
  }
  Publish(ensemble());
  FitMetrics metrics = {{"training_loss", report.training_loss},
                        {"steps", static_cast<double>(report.steps)}};
  if (report.holdout_rows > 0) metrics.emplace_back("holdout_rmse", report.holdout_rmse);
  return metrics;
}

std::unique_ptr<Dynamics::Workspace> EnsembleModel::MakePredictionWorkspace(int max_rows) const {
  return ensemble()->MakeWorkspace(max_rows);
}

void EnsembleModel::Predict(int member, int rows, const double* observation, const double* action,
                            double* mean, double* deviation, Dynamics::Workspace& workspace) const {
  ensemble()->PredictTarget(member, rows, observation, action, mean, deviation, workspace);
  const FeatureMap& features = ensemble()->features();
  for (int row = 0; row < rows; ++row) {
    double* next = mean + row * features.observation_dim();
    features.Apply(observation + row * features.observation_dim(),
                   action + row * features.action_dim(), next, next);
  }
}

void EnsembleModel::Save(TensorFile& file) const {
  SavePredictor(file);
  trainer_.Save(file);
}

void EnsembleModel::Restore(const TensorFile& file) {
  Predictor predictor = Read(file);  // first: networks of another kind have other moments, too
  trainer_.Restore(file);
  Take(std::move(predictor));
}

void EnsembleModel::SavePredictor(TensorFile& file) const {
  ensemble()->Save(file);
  file.tensors["model.scale"] = {{std::ssize(scale_)}, scale_};
}

void EnsembleModel::RestorePredictor(const TensorFile& file) { Take(Read(file)); }

EnsembleModel::Predictor EnsembleModel::Read(const TensorFile& file) const {
  const std::array<int64_t, 1> components = {std::ssize(scale_)};
  std::vector<double> scale = file.Doubles("model.scale", components);
  CheckAtLeast(file, "model.scale", 0);
  auto restored = std::make_shared<Ensemble>(*ensemble());
  restored->Restore(file);
  return {std::move(restored), std::move(scale)};
}

void EnsembleModel::Take(Predictor predictor) {
  trainer_.set_ensemble(std::move(predictor.ensemble));
  scale_ = std::move(predictor.scale);
  Publish(ensemble());
}

}  // namespace foreplan
