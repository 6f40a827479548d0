#include "foreplan/control/whole_plan_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "foreplan/control/trajectory_tracker.h"
#include "foreplan/core/error.h"
#include "foreplan/core/size.h"

namespace foreplan {

WholePlanController::WholePlanController(std::shared_ptr<Planner> planner, PlanningProblem problem,
                                         ModelSource source, const WholePlanControl& control)
    : planner_(std::move(planner)),
      problem_(std::move(problem)),
      source_(std::move(source)),
      horizon_(planner_->horizon()),
      control_(control),
      next_(horizon_) {
  MakeSolver();
}

void WholePlanController::MakeSolver() {
  if (control_.polish == 0) return;
  solver_.reset();  // it refers to the problem
  trajectory_problem_.emplace(problem_.dynamics, problem_.reward, problem_.bounds, horizon_,
                              problem_.terminal_value);
  IlqrOptions options;
  options.max_iterations = control_.polish;
  options.cost_tolerance = 1e-6;
  solver_.emplace(*trajectory_problem_, options, problem_.executor.get());
}

void WholePlanController::TakeModel() {
  const ModelVersion version = source_();
  planner_->set_model(version);
  if (problem_.Take(version)) MakeSolver();
}

void WholePlanController::Reset(Key /*key*/) {
  planner_->Reset();
  next_ = horizon_;
  made_now_ = false;
}

bool WholePlanController::IsPlanDue() const {
  return next_ >= horizon_ || (control_.period > 0 && next_ >= control_.period);
}

void WholePlanController::MakePlan(const Situation& situation) {
  TakeModel();
  const Dynamics& dynamics = *problem_.dynamics;
  CheckSeesStateOf(dynamics, *this);
  const std::span<const double> x = situation.observation;
  start_.assign(x.begin(), x.end());
  plan_ = planner_->MakePlan({.state = x,
                              .step = situation.time,
                              .key = situation.key,
                              .budget = {},
                              .stop = control_.stop});
  if (control_.stop.stop_requested()) throw Interrupted("interrupted");
  const size_t expected = Size(horizon_, dynamics.action_dim());
  if (plan_.actions.size() != expected) {
    throw InputError(fmt::format("planner: plan: found {} numbers, expected {}: {} steps of {}",
                                 plan_.actions.size(), expected, horizon_, dynamics.action_dim()));
  }
  next_ = 0;
  if (solver_) Polish(x);
  if (!control_.track) return;
  tracking_ = TrackTrajectory(dynamics, problem_.bounds, x, plan_.actions);
}

void WholePlanController::Polish(std::span<const double> x) {
  solver_->set_cutoff({{}, control_.stop});
  const IlqrResult result = solver_->Solve(x, plan_.actions);
  if (control_.stop.stop_requested()) throw Interrupted("interrupted");
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
