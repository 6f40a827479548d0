#include "foreplan/control/whole_plan_controller.h"

#include <algorithm>

#include "foreplan/control/trajectory_tracker.h"
#include "foreplan/core/error.h"

namespace foreplan {

WholePlanController::WholePlanController(Planner& planner, const PlanningProblem& problem,
                                         int horizon, const WholePlanControl& control)
    : planner_(planner),
      dynamics_(problem.dynamics),
      spec_(problem.spec),
      horizon_(horizon),
      control_(control),
      next_(horizon) {
  if (control.polish == 0) return;
  problem_ =
      std::make_unique<DynamicsProblem>(problem.dynamics, problem.reward, problem.spec, horizon);
  IlqrOptions options;
  options.max_iterations = control.polish;
  options.cost_tolerance = 1e-6;
  solver_ = std::make_unique<IlqrSolver>(*problem_, options, &problem.pool);
}

void WholePlanController::Reset(Key /*key*/) {
  next_ = horizon_;
  made_now_ = false;
}

bool WholePlanController::IsPlanDue() const {
  return next_ >= horizon_ || (control_.period > 0 && next_ >= control_.period);
}

void WholePlanController::MakePlan(std::span<const double> x, Key key) {
  planner_.Reset();
  plan_ = planner_.MakePlan(x, key);
  next_ = 0;
  if (solver_ != nullptr) Polish(x);
  if (!control_.track) return;
  tracking_ = TrackTrajectory(dynamics_, spec_, x, plan_.actions);
  tracking_.set_sees_state(!dynamics_.observation_is_state());
}

void WholePlanController::Polish(std::span<const double> x) {
  const IlqrResult result = solver_->Solve(x, plan_.actions);
  if (result.status == IlqrStatus::kInvalidStart) {
    throw RunError("whole plans: the model's prediction along the plan is not finite");
  }
  std::ranges::copy(solver_->actions(), plan_.actions.begin());
  plan_.predicted_return = -result.cost;
  plan_.seconds += result.seconds();
}

void WholePlanController::Act(const Situation& situation, std::span<double> action) {
  made_now_ = IsPlanDue();
  if (made_now_) {
    MakePlan(dynamics_.observation_is_state() ? situation.observation : situation.state,
             situation.key);
  }
  if (control_.track) {
    Situation within = situation;
    within.time = next_;  // of the plan
    tracking_.Act(within, action);
  } else {
    std::copy_n(&plan_.actions[static_cast<size_t>(next_) * action.size()], action.size(),
                action.begin());
  }
  ++next_;
}

}  // namespace foreplan
