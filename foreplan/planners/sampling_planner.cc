#include "foreplan/planners/sampling_planner.h"

#include <fmt/format.h>

#include <cmath>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"

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
  const std::span<const double> found = Search(decision, request.key);
  CheckSequence(found);
  return decision.Conclude(found);
}

void SamplingPlanner::CheckSequence(std::span<const double> sequence) const {
  const size_t expected = plan_.actions.size();
  if (sequence.size() != expected) {
    throw RunError(fmt::format("planner: Search: found a plan of {} numbers, expected {}",
                               sequence.size(), expected));
  }
  for (size_t i = 0; i < expected; ++i) {
    if (std::isfinite(sequence[i])) continue;
    throw RunError(fmt::format("planner: Search: step {} of the plan: found {}, expected a number",
                               i / static_cast<size_t>(population_.action_dim()),
                               WithoutSignOfNan(sequence[i])));
  }
}

}  // namespace foreplan
