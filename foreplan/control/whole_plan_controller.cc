#include "foreplan/control/whole_plan_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "foreplan/core/error.h"

namespace foreplan {

void WholePlanController::Track(const PlanningProblem& problem, int horizon) {
  constexpr int kPolishingIterations = 50;
  if (problem.dynamics.tangent_dim() != problem.dynamics.state_dim()) {
    throw InputError(fmt::format(
        "tracked plans: found a model with {} tangent dimensions and {} state numbers, expected as "
        "many of both",
        problem.dynamics.tangent_dim(), problem.dynamics.state_dim()));
  }
  problem_ =
      std::make_unique<DynamicsProblem>(problem.dynamics, problem.reward, problem.spec, horizon);
  IlqrOptions options;
  options.max_iterations = kPolishingIterations;
  options.cost_tolerance = 1e-6;
  tracker_ = std::make_unique<IlqrSolver>(*problem_, options, &problem.pool);
}

void WholePlanController::Reset(Key /*key*/) {
  plan_ = nullptr;
  made_now_ = false;
}

void WholePlanController::MakePlan(std::span<const double> x, Key key) {
  planner_.Reset();
  plan_ = &planner_.MakePlan(x, key);
  next_ = 0;
  if (tracker_ == nullptr) return;
  const IlqrResult result = tracker_->Solve(x, plan_->actions);
  if (result.status == IlqrStatus::kInvalidStart) {
    throw RunError("tracked plans: the model's prediction along the plan is not finite");
  }
  if (!tracker_->RefreshGains()) {
    throw RunError("tracked plans: the model's derivatives along the plan give no gains");
  }
  tracking_ = tracker_->TrackingPolicy();
  tracking_.set_sees_state(sees_state_);
}

void WholePlanController::Act(const Situation& situation, std::span<double> action) {
  const size_t nu = action.size();
  made_now_ = plan_ == nullptr || next_ * nu >= plan_->actions.size();
  if (made_now_) MakePlan(sees_state_ ? situation.state : situation.observation, situation.key);
  if (tracker_ != nullptr) {
    Situation within = situation;
    within.time = static_cast<int>(next_);  // of the plan
    tracking_.Act(within, action);
  } else {
    std::copy_n(&plan_->actions[next_ * nu], nu, action.begin());
  }
  ++next_;
}

}  // namespace foreplan
