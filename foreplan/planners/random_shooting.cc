#include "foreplan/planners/random_shooting.h"

#include <algorithm>

namespace foreplan {

void RandomShootingOptions::Visit(OptionsVisitor& visitor) {
  SamplingOptions::Visit(visitor);
  visitor.Field("population", population, {1, 1000000}, "candidates per decision");
}

RandomShooting::RandomShooting(Options options, const PlanningProblem& problem)
    : options_(Validated("planner.random_shooting", options)),
      population_(problem, options_, options_.population),
      best_(population_.sequence_size()) {
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
  DecisionClock clock(request, plan_);
  const int64_t passed = warm_step_.MoveTo(request.step);
  if (passed >= horizon()) {
    ForgetPlan();
  } else {
    ShiftSequence(plan_.actions, population_.action_dim(), static_cast<int>(passed));
  }
  best_ = plan_.actions;
  if (clock.NextIteration(1)) {
    const auto draw = [this](Random& random, int /*worker*/, std::span<double> sequence) {
      for (size_t j = 0; j < sequence.size(); ++j) {
        sequence[j] = random.Uniform(population_.low()[j], population_.high()[j]);
      }
    };
    population_.Draw(0, options_.population, request.key, draw);
    clock.Record(options_.population,
                 population_.Evaluate(request.state, options_.population, request.key));
    const auto best = population_.Elites(1);
    if (!best.empty()) std::ranges::copy(population_.candidate(best[0]), best_.begin());
  }
  population_.Conclude(request, best_, best_, plan_);
  return clock.Finish();
}

}  // namespace foreplan
