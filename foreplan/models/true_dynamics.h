// The system itself as a model: planning without model error.
#pragma once

#include <memory>

#include "foreplan/models/dynamics.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// Steps clones of a system. The state row is the system's full state; rows that diverge are NaN.
class TrueDynamics final : public Dynamics {
 public:
  explicit TrueDynamics(const System& system);

  [[nodiscard]] int state_dim() const override;
  [[nodiscard]] int observation_dim() const override;
  [[nodiscard]] int action_dim() const override;
  [[nodiscard]] bool observation_is_state() const override { return false; }
  [[nodiscard]] bool is_stochastic() const override { return false; }
  [[nodiscard]] std::unique_ptr<Workspace> MakeWorkspace(int max_rows) const override;
  void Observe(std::span<const double> state, std::span<double> observation,
               Workspace& workspace) const override;
  void Step(const StepBatch& batch, Workspace& workspace) const override;
  [[nodiscard]] int tangent_dim() const override { return prototype_->tangent_dim(); }
  void Difference(const double* state, const double* reference, double* tangent) const override;
  void Linearize(const LinearizeBatch& batch, Workspace& workspace) const override;
  void ObservationJacobian(const double* state, double* jacobian,
                           Workspace& workspace) const override;

 private:
  std::unique_ptr<const System> prototype_;
};

}  // namespace foreplan
