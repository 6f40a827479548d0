#include "foreplan/models/true_dynamics.h"

#include <algorithm>
#include <cmath>
#include <limits>
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

bool AllFinite(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(),
                     [](double value) { return std::isfinite(value); });
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
  System& system = SystemOf(workspace);
  const auto ns = static_cast<size_t>(state_dim());
  const auto no = static_cast<size_t>(observation_dim());
  const auto nu = static_cast<size_t>(action_dim());
  for (size_t row = 0; row < static_cast<size_t>(batch.rows); ++row) {
    const std::span<const double> state(batch.state + row * ns, ns);
    const std::span<double> next_state(batch.next_state + row * ns, ns);
    const std::span<double> next_observation(batch.next_observation + row * no, no);
    bool ok = AllFinite(state);  // a simulator must not see a NaN
    if (ok) {
      system.SetState(state);
      ok = system.Step({batch.action + row * nu, nu}) == StepStatus::kOk;
    }
    if (ok) {
      system.GetState(next_state);
      system.Observe(next_observation);
    } else {
      std::fill(next_state.begin(), next_state.end(), std::numeric_limits<double>::quiet_NaN());
      std::fill(next_observation.begin(), next_observation.end(),
                std::numeric_limits<double>::quiet_NaN());
    }
  }
}

}  // namespace foreplan
