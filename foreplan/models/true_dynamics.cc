#include "foreplan/models/true_dynamics.h"

#include <utility>

namespace foreplan {
namespace {

struct TrueDynamicsWorkspace final : Dynamics::Workspace {
  explicit TrueDynamicsWorkspace(std::unique_ptr<System> instance) : system(std::move(instance)) {}
  std::unique_ptr<System> system;
};

System& SystemOf(Dynamics::Workspace& workspace) {
  return *static_cast<TrueDynamicsWorkspace&>(workspace).system;
}

}  // namespace

TrueDynamics::TrueDynamics(const System& system) : prototype_(system.Clone()) {}

int TrueDynamics::state_dim() const { return prototype_->spec().state_dim(); }
int TrueDynamics::observation_dim() const { return prototype_->spec().observation_dim(); }
int TrueDynamics::action_dim() const { return prototype_->spec().action_dim(); }

std::unique_ptr<Dynamics::Workspace> TrueDynamics::MakeWorkspace(int /*max_rows*/) const {
  return std::make_unique<TrueDynamicsWorkspace>(prototype_->Clone());
}

void TrueDynamics::Observe(std::span<const double> state, std::span<double> observation,
                           Workspace& workspace) const {
  System& system = SystemOf(workspace);
  system.SetState(state);
  system.Observe(observation);
}

void TrueDynamics::Step(const StepBatch& batch, Workspace& workspace) const {
  SystemOf(workspace).StepRows({.rows = batch.rows,
                                .state = batch.state,
                                .action = batch.action,
                                .next_state = batch.next_state,
                                .next_observation = batch.next_observation});
}

void TrueDynamics::Difference(const double* state, const double* reference, double* tangent) const {
  const auto ns = static_cast<size_t>(state_dim());
  prototype_->Difference({state, ns}, {reference, ns},
                         {tangent, static_cast<size_t>(tangent_dim())});
}

void TrueDynamics::Linearize(const LinearizeBatch& batch, Workspace& workspace) const {
  const int nx = tangent_dim();
  const int nu = action_dim();
  for (int row = 0; row < batch.rows; ++row) {
    SystemOf(workspace).Linearize({.state = batch.state + row * state_dim(),
                                   .action = batch.action + row * nu,
                                   .A = batch.A + row * nx * nx,
                                   .B = batch.B + row * nx * nu});
  }
}

void TrueDynamics::ObservationJacobian(const double* state, double* jacobian,
                                       Workspace& workspace) const {
  const auto size = static_cast<size_t>(observation_dim() * tangent_dim());
  SystemOf(workspace).ObservationJacobian({state, static_cast<size_t>(state_dim())},
                                          {jacobian, size});
}

}  // namespace foreplan
