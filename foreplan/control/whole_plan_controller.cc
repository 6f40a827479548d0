#include "foreplan/control/whole_plan_controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "foreplan/control/trajectory_tracker.h"
#include "foreplan/core/error.h"
#include "foreplan/core/size.h"

namespace foreplan {

WholePlanController::WholePlanController(Planner& planner, const PlanningProblem& problem,
                                         const WholePlanControl& control)
    : planner_(planner),
      dynamics_(problem.dynamics),
      spec_(problem.spec),
      horizon_(planner.horizon()),
      control_(control),
      next_(horizon_) {
  if (control.polish == 0) return;
  problem_ =
      std::make_unique<DynamicsProblem>(problem.dynamics, problem.reward, problem.spec, horizon_);
  IlqrOptions options;
  options.max_iterations = control.polish;
  options.cost_tolerance = 1e-6;
  solver_ = std::make_unique<IlqrSolver>(*problem_, options, &problem.executor);
}

void WholePlanController::Reset(Key /*key*/) {
  planner_.Reset();
  next_ = horizon_;
  made_now_ = false;
}

bool WholePlanController::IsPlanDue() const {
  return next_ >= horizon_ || (control_.period > 0 && next_ >= control_.period);
}

void WholePlanController::MakePlan(const Situation& situation) {
  const auto x = dynamics_.observation_is_state() ? situation.observation : situation.state;
  plan_ =
      planner_.MakePlan({.state = x, .step = situation.time, .key = situation.key, .budget = {}});
  const size_t expected = Size(horizon_, dynamics_.action_dim());
  if (plan_.actions.size() != expected) {
    throw InputError(fmt::format("planner: plan: found {} numbers, expected {}: {} steps of {}",
                                 plan_.actions.size(), expected, horizon_, dynamics_.action_dim()));
  }
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
  plan_.expected_return = plan_.best_return = -result.cost;
  plan_.seconds += result.seconds();
}

void WholePlanController::Act(const Situation& situation, std::span<double> action) {
  made_now_ = IsPlanDue();
  if (made_now_) MakePlan(situation);
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
