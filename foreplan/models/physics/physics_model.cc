#include "foreplan/models/physics/physics_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {
struct PhysicsModel::PhysicsWorkspace final : Dynamics::Workspace {
  explicit PhysicsWorkspace(std::unique_ptr<System> instance)
      : system(std::move(instance)), state(system->spec().state.size()) {}
  std::unique_ptr<System> system;
  std::vector<double> state;  // [the system's state_dim]
};

void CheckObservationBeginsState(const SystemSpec& spec) {
  for (size_t i = 0; i < spec.observation.size(); ++i) {
    if (i < spec.state.size() && spec.state[i].name == spec.observation[i].name) continue;
    throw InputError(
        fmt::format("physics: observation component '{}': found no state component of this name in "
                    "its place, expected the observation to be the beginning of the state",
                    spec.observation[i].name));
  }
}

PhysicsModel::PhysicsModel(const System& system)
    : system_(system.Clone()),
      sees_whole_state_(system.spec().observation.size() == system.spec().state.size()) {
  CheckObservationBeginsState(system.spec());
}

std::unique_ptr<Dynamics::Workspace> PhysicsModel::MakeWorkspace(int /*max_rows*/) const {
  return std::make_unique<PhysicsWorkspace>(system_->Clone());
}

void PhysicsModel::Observe(std::span<const double> state, std::span<double> observation,
                           Workspace& /*workspace*/) const {
  std::ranges::copy(state, observation.begin());
}

void PhysicsModel::Step(const StepBatch& batch, Workspace& workspace) const {
  auto& w = static_cast<PhysicsWorkspace&>(workspace);
  System& system = *w.system;
  const auto no = static_cast<size_t>(observation_dim());
  const auto nu = static_cast<size_t>(action_dim());
  if (sees_whole_state_) {
    system.StepRows({.rows = batch.rows,
                     .state = batch.state,
                     .action = batch.action,
                     .next_state = batch.next_state,
                     .next_observation = batch.next_state});
  } else {
    for (size_t row = 0; row < static_cast<size_t>(batch.rows); ++row) {
      std::ranges::fill(w.state, 0.0);
      std::copy_n(batch.state + row * no, no, w.state.begin());
      system.SetState(w.state);
      const std::span<double> next(batch.next_state + row * no, no);
      if (system.Step({batch.action + row * nu, nu}) == StepStatus::kOk) {
        system.Observe(next);
      } else {
        std::ranges::fill(next, std::numeric_limits<double>::quiet_NaN());
      }
    }
  }
  if (batch.next_observation != nullptr && batch.next_observation != batch.next_state) {
    std::copy_n(batch.next_state, static_cast<size_t>(batch.rows) * no, batch.next_observation);
  }
}

void PhysicsModel::Linearize(const LinearizeBatch& batch, Workspace& workspace) const {
  if (!sees_whole_state_ || system_->tangent_dim() != state_dim()) {
    Dynamics::Linearize(batch, workspace);
    return;
  }
  const int nx = state_dim();
  const int nu = action_dim();
  System& system = *static_cast<PhysicsWorkspace&>(workspace).system;
  for (int row = 0; row < batch.rows; ++row) {
    system.Linearize({.state = batch.state + row * nx,
                      .action = batch.action + row * nu,
                      .A = batch.A + row * nx * nx,
                      .B = batch.B + row * nx * nu});
  }
}

}  // namespace foreplan
