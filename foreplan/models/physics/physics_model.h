// A system of guessed or fitted physics as a model.
#pragma once

#include <memory>

#include "foreplan/models/dynamics.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// Steps clones of a system from observations, as a controller has nothing else: the model's state
/// is the observation, with which the system's state must begin; the rest of it starts as zeros.
/// Rows that diverge are NaN. Derivatives are the system's own where observation and state are the
/// same, else differences.
class PhysicsModel final : public Dynamics {
 public:
  /// Throws InputError naming the observation component that is not where the state has it.
  explicit PhysicsModel(const System& system);

  [[nodiscard]] int state_dim() const override { return observation_dim(); }
  [[nodiscard]] int observation_dim() const override { return system_->spec().observation_dim(); }
  [[nodiscard]] int action_dim() const override { return system_->spec().action_dim(); }
  [[nodiscard]] bool observation_is_state() const override { return true; }
  [[nodiscard]] bool is_stochastic() const override { return false; }
  [[nodiscard]] std::unique_ptr<Workspace> MakeWorkspace(int max_rows) const override;
  void Observe(std::span<const double> state, std::span<double> observation,
               Workspace& workspace) const override;
  void Step(const StepBatch& batch, Workspace& workspace) const override;
  void Linearize(const LinearizeBatch& batch, Workspace& workspace) const override;

 private:
  struct PhysicsWorkspace;

  std::unique_ptr<const System> system_;
  bool sees_whole_state_;
};

/// Throws InputError unless the state of `spec` begins with its observation, by name.
void CheckObservationBeginsState(const SystemSpec& spec);

}  // namespace foreplan
