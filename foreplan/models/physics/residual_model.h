// Physics plus networks for what it leaves unexplained.
#pragma once

#include <memory>
#include <utility>

#include "foreplan/core/executor.h"
#include "foreplan/models/ensembles/ensemble_model.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/models/physics/fitted_physics.h"

namespace foreplan {

/// The sum of two models' changes: x' = f(x, u) + (g(x, u) - x), where g is an ensemble fitted to
/// x + (x' - f(x, u)).
class ResidualDynamics final : public Dynamics {
 public:
  ResidualDynamics(std::shared_ptr<const Dynamics> physics,
                   std::shared_ptr<const Ensemble> residual)
      : physics_(std::move(physics)), residual_(std::move(residual)) {}

  [[nodiscard]] int state_dim() const override { return physics_->state_dim(); }
  [[nodiscard]] int observation_dim() const override { return physics_->observation_dim(); }
  [[nodiscard]] int action_dim() const override { return physics_->action_dim(); }
  [[nodiscard]] bool observation_is_state() const override { return true; }
  [[nodiscard]] bool is_stochastic() const override { return residual_->is_stochastic(); }
  [[nodiscard]] std::unique_ptr<Workspace> MakeWorkspace(int max_rows) const override;
  [[nodiscard]] std::unique_ptr<Workspace> MakeDerivativeWorkspace(int max_rows) const override;
  void Observe(std::span<const double> state, std::span<double> observation,
               Workspace& workspace) const override;
  void Step(const StepBatch& batch, Workspace& workspace) const override;
  void StepMean(const StepBatch& batch, Workspace& workspace) const override;
  void Linearize(const LinearizeBatch& batch, Workspace& workspace) const override;
  /// Through the physics, and through the networks' member and noise.
  [[nodiscard]] std::unique_ptr<RolloutTape> MakeTape(int max_rows, int steps) const override;

 private:
  struct Buffers;
  using StepFunction = void (Dynamics::*)(const StepBatch&, Workspace&) const;

  /// x' = f(x, u) + (g(x, u) - x), both parts by `step`.
  void StepBoth(StepFunction step, const StepBatch& batch, Workspace& workspace) const;

  std::shared_ptr<const Dynamics> physics_;
  std::shared_ptr<const Ensemble> residual_;
};

/// Fits the physics, then the ensemble to its errors; when either fails, both are as they were. The
/// members are the ensemble's.
class ResidualModel final : public LearnedModel {
 public:
  /// Throws InputError (options out of range, wrong unknowns).
  ResidualModel(const Task& task, const PhysicsOptions& physics, const EnsembleOptions& ensemble,
                const FitOptions& fit, Key key, std::shared_ptr<Executor> executor);

  [[nodiscard]] int members() const override { return residual_.members(); }
  [[nodiscard]] std::unique_ptr<Dynamics::Workspace> MakePredictionWorkspace(
      int max_rows) const override;
  void Predict(int member, int rows, const double* observation, const double* action, double* mean,
               double* deviation, Dynamics::Workspace& workspace) const override;
  [[nodiscard]] std::span<const double> scale() const override { return physics_.scale(); }
  [[nodiscard]] const ObservationDifference& difference() const override {
    return residual_.difference();
  }
  void Save(TensorFile& file) const override;
  void Restore(const TensorFile& file) override;
  void SavePredictor(TensorFile& file) const override;
  void RestorePredictor(const TensorFile& file) override;
  [[nodiscard]] nlohmann::ordered_json Describe() const override;

 private:
  FitMetrics FitVersion(const Dataset& data, Key key, const FitControl& control) override;
  void PublishSum();

  FittedPhysics physics_;
  EnsembleModel residual_;
};

}  // namespace foreplan
