#include "foreplan/planners/sampling_planner.h"

namespace foreplan {

SamplingPlanner::SamplingPlanner(const PlanningProblem& problem, const SamplingOptions& options,
                                 int population)
    : population_(problem, options, population) {
  ForgetPlan();
}

void SamplingPlanner::Reset() {
  ForgetPlan();
  warm_step_.Reset();
}

void SamplingPlanner::ForgetPlan() {
  plan_.actions.assign(population_.middle().begin(), population_.middle().end());
}

const Plan& SamplingPlanner::MakePlan(const PlanRequest& request) {
  const int64_t passed = warm_step_.MoveTo(request.step);
  if (passed >= horizon()) {
    ForgetPlan();
  } else {
    ShiftSequence(plan_.actions, population_.action_dim(), static_cast<int>(passed));
  }
  SamplingDecision decision(population_, request, plan_);
  return decision.Conclude(Search(decision, request.key));
}

}  // namespace foreplan
