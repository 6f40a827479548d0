// An ensemble of networks as a model that is fitted to data.
#pragma once

#include <memory>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"
#include "foreplan/models/learned_model.h"

namespace foreplan {

class EnsembleModel final : public LearnedModel {
 public:
  /// References must outlive the model. Throws InputError (options out of range).
  EnsembleModel(const EnvironmentSpec& spec, const Encoding& encoding,
                const EnsembleOptions& options, const FitOptions& fit, Key key, Executor& executor);

  [[nodiscard]] const Dynamics& dynamics() const override { return ensemble_; }
  [[nodiscard]] const Ensemble& ensemble() const { return ensemble_; }
  FitMetrics Fit(const Dataset& data, Key key) override;
  [[nodiscard]] int members() const override { return ensemble_.members(); }
  [[nodiscard]] std::unique_ptr<Dynamics::Workspace> MakePredictionWorkspace() const override;
  void Predict(int member, const double* observation, const double* action, double* mean,
               double* deviation, Dynamics::Workspace& workspace) const override;
  [[nodiscard]] std::span<const double> scale() const override { return scale_; }
  [[nodiscard]] const ObservationDifference& difference() const override {
    return ensemble_.features().difference();
  }
  void Save(TensorFile& file) const override;
  void Restore(const TensorFile& file) override;
  void SaveForUse(TensorFile& file) const override;
  void RestoreForUse(const TensorFile& file) override;

 private:
  Ensemble ensemble_;
  EnsembleTrainer trainer_;
  std::vector<double> scale_;  // [no]
};

}  // namespace foreplan
