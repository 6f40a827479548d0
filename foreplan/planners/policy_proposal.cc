#include "foreplan/planners/policy_proposal.h"

#include <algorithm>
#include <utility>

#include "foreplan/core/size.h"

namespace foreplan {

PolicyRollout::PolicyRollout(std::shared_ptr<const Dynamics> dynamics, Policy policy)
    : dynamics_(std::move(dynamics)),
      policy_(std::move(policy)),
      workspace_(dynamics_->MakeDerivativeWorkspace(1)),
      state_(Size(dynamics_->state_dim())),
      next_state_(state_.size()),
      observation_(Size(dynamics_->observation_dim())),
      next_observation_(observation_.size()) {}

void PolicyRollout::set_dynamics(std::shared_ptr<const Dynamics> dynamics) {
  if (dynamics == dynamics_) return;
  CheckReplaces(*dynamics, *dynamics_);
  dynamics_ = std::move(dynamics);
  workspace_ = dynamics_->MakeDerivativeWorkspace(1);
}

int PolicyRollout::Propose(std::span<const double> state, int horizon,
                           std::span<double> sequences) {
  const size_t nu = Size(dynamics_->action_dim());
  std::ranges::copy(state, state_.begin());
  dynamics_->Observe(state_, observation_, *workspace_);
  for (int t = 0; t < horizon; ++t) {
    const std::span<double> action = sequences.subspan(Size(t) * nu, nu);
    policy_(observation_, action);
    dynamics_->StepMean({.rows = 1,
                         .state = state_.data(),
                         .action = action.data(),
                         .next_state = next_state_.data(),
                         .next_observation = next_observation_.data(),
                         .time = t,
                         .key = {}},
                        *workspace_);
    std::swap(state_, next_state_);
    if (dynamics_->observation_is_state()) {
      observation_ = state_;
    } else {
      std::swap(observation_, next_observation_);
    }
  }
  return 1;
}

}  // namespace foreplan
