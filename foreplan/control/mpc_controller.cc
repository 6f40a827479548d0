#include "foreplan/control/mpc_controller.h"

#include <algorithm>

namespace foreplan {

void MpcController::Reset(Key /*key*/) { planner_.Reset(); }

void MpcController::Act(const Situation& situation, std::span<double> action) {
  plan_ = &planner_.MakePlan({.state = sees_state_ ? situation.state : situation.observation,
                              .step = situation.time,
                              .key = situation.key,
                              .budget = {}});
  std::copy_n(plan_->actions.begin(), action.size(), action.begin());
}

}  // namespace foreplan
