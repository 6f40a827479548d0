#include "foreplan/planners/random_shooting.h"

#include <algorithm>

#include "foreplan/core/validated.h"

namespace foreplan {

void RandomShootingOptions::Visit(OptionsVisitor& visitor) {
  SamplingOptions::Visit(visitor);
  visitor.Field("population", population, {1, 1000000}, "candidates per decision");
}

RandomShooting::RandomShooting(Options options, const PlanningProblem& problem)
    : options_(Validated("planner.random_shooting", options)),
      population_(problem, options_, options_.population) {
  Reset();
}

void RandomShooting::Reset() {
  ForgetPlan();
  warm_step_.Reset();
}

void RandomShooting::ForgetPlan() {
  plan_.actions.assign(population_.middle().begin(), population_.middle().end());
}

const Plan& RandomShooting::MakePlan(const PlanRequest& request) {
  const int64_t passed = warm_step_.MoveTo(request.step);
  if (passed >= horizon()) {
    ForgetPlan();
  } else {
    ShiftSequence(plan_.actions, population_.action_dim(), static_cast<int>(passed));
  }
  SamplingDecision decision(population_, request, plan_);
  if (decision.NextIteration(1)) {
    const auto draw = [this](Random& random, int /*worker*/, std::span<double> sequence) {
      for (size_t j = 0; j < sequence.size(); ++j) {
        sequence[j] = random.Uniform(population_.low()[j], population_.high()[j]);
      }
    };
    decision.Explore(0, options_.population, request.key, draw);
  }
  return decision.Conclude(decision.best());
}

}  // namespace foreplan
