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

}  // namespace foreplan
