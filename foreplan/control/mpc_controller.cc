#include "foreplan/control/mpc_controller.h"

#include <algorithm>

namespace foreplan {

std::optional<std::chrono::nanoseconds> DecisionTime(double ms) {
  if (ms == 0) return {};
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double, std::milli>(ms));
}

void MpcController::Reset(Key /*key*/) { planner_->Reset(); }

void MpcController::Act(const Situation& situation, std::span<double> action) {
  Budget budget;
  if (deadline_) budget.deadline = std::chrono::steady_clock::now() + *deadline_;
  const std::shared_ptr<const Dynamics> dynamics = source_();
  planner_->set_dynamics(dynamics);
  plan_ = &planner_->MakePlan(
      {.state = dynamics->observation_is_state() ? situation.observation : situation.state,
       .step = situation.time,
       .key = situation.key,
       .budget = budget});
  std::copy_n(plan_->actions.begin(), action.size(), action.begin());
}

}  // namespace foreplan
