#include "foreplan/control/mpc_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan {

std::optional<std::chrono::nanoseconds> DecisionTime(double ms) {
  if (ms == 0) return {};
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double, std::milli>(ms));
}

void CheckSeesStateOf(const Dynamics& dynamics, const PlanningPolicy& policy) {
  const bool sees_state = dynamic_cast<const Oracle*>(&policy) != nullptr;
  if (sees_state == !dynamics.observation_is_state()) return;
  throw InputError(sees_state ? "controller: model: found one of observations, expected one of the "
                                "full state, which an oracle sees"
                              : "controller: model: found one of the full state, expected one of "
                                "observations, or an oracle (OracleOf) to see that state");
}

MpcController::MpcController(std::shared_ptr<Planner> planner, ModelSource source,
                             const MpcControl& control)
    : planner_(std::move(planner)), source_(std::move(source)), control_(control) {
  if (planner_ == nullptr) throw InputError("mpc: planner: found null, expected one");
  if (control.period >= 1) return;
  throw InputError(fmt::format("mpc: period: found {}, expected at least 1", control.period));
}

void MpcController::Reset(Key /*key*/) {
  planner_->Reset();
  plan_ = nullptr;
  made_now_ = false;
}

bool MpcController::IsPlanDue(int64_t step) const {
  return plan_ == nullptr || step <= plan_->first_step ||
         step - plan_->first_step >= std::min(control_.period, planner_->horizon());
}

void MpcController::MakePlan(int64_t step, const Situation& situation) {
  Budget budget;
  if (control_.deadline) budget.deadline = std::chrono::steady_clock::now() + *control_.deadline;
  model_ = source_();
  planner_->set_model(model_);
  CheckSeesStateOf(*model_.dynamics, *this);
  start_.assign(situation.observation.begin(), situation.observation.end());
  plan_ = &planner_->MakePlan({.state = situation.observation,
                               .step = step,
                               .key = situation.key,
                               .budget = budget,
                               .stop = control_.stop,
                               .feedback = control_.period > 1});
  if (control_.stop.stop_requested()) throw Interrupted("interrupted");
}

void MpcController::Act(const Situation& situation, std::span<double> action) {
  const int64_t step = situation.time;
  made_now_ = IsPlanDue(step);
  if (made_now_) MakePlan(step, situation);
  plan_->ActionAt(step, situation.observation, action);
}

}  // namespace foreplan
