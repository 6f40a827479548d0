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
  /// Throws InputError (options out of range).
  EnsembleModel(const EnvironmentSpec& spec, const Encoding& encoding,
                const EnsembleOptions& options, const FitOptions& fit, Key key,
                std::shared_ptr<Executor> executor);

  /// The present version.
  [[nodiscard]] const std::shared_ptr<const Ensemble>& ensemble() const {
    return trainer_.ensemble();
  }
  [[nodiscard]] int members() const override { return ensemble()->members(); }
  [[nodiscard]] std::unique_ptr<Dynamics::Workspace> MakePredictionWorkspace(
      int max_rows) const override;
  void Predict(int member, int rows, const double* observation, const double* action, double* mean,
               double* deviation, Dynamics::Workspace& workspace) const override;
  [[nodiscard]] std::span<const double> scale() const override { return scale_; }
  [[nodiscard]] const ObservationDifference& difference() const override {
    return ensemble()->features().difference();
  }
  void Save(TensorFile& file) const override;
  void Restore(const TensorFile& file) override;
  void SavePredictor(TensorFile& file) const override;
  void RestorePredictor(const TensorFile& file) override;

 private:
  struct Predictor {
    std::shared_ptr<const Ensemble> ensemble;
    std::vector<double> scale;
  };

  [[nodiscard]] Predictor Read(const TensorFile& file) const;
  void Take(Predictor predictor);
  FitMetrics FitVersion(const Dataset& data, Key key, const FitControl& control) override;

  EnsembleTrainer trainer_;
  std::vector<double> scale_;  // [no]
};

}  // namespace foreplan
