#include "foreplan/planners/random_shooting.h"

#include <algorithm>

namespace foreplan {

void RandomShootingOptions::Visit(OptionsVisitor& visitor) {
  SamplingOptions::Visit(visitor);
  visitor.Field("population", population, {1, 1000000}, "candidates per decision");
}

RandomShooting::RandomShooting(Options options, const PlanningProblem& problem)
    : options_(Validated("planner.random_shooting", options)),
      population_(problem, options_, options_.population) {
  Reset();
  plan_.actions = warm_start_;
}

void RandomShooting::Reset() {
  warm_start_.assign(population_.middle().begin(), population_.middle().end());
}

const Plan& RandomShooting::MakePlan(std::span<const double> state, Key key, const Budget& budget) {
  Decision decision(budget, plan_);
  plan_.actions = warm_start_;
  if (decision.NextIteration(1)) {
    const auto draw = [this](Random& random, int /*worker*/, std::span<double> sequence) {
      for (size_t j = 0; j < sequence.size(); ++j) {
        sequence[j] = random.Uniform(population_.low()[j], population_.high()[j]);
      }
    };
    population_.Draw(0, options_.population, key, draw);
    decision.Record(options_.population, population_.Evaluate(state, options_.population, key));
    const auto best = population_.Elites(1);
    if (!best.empty()) std::ranges::copy(population_.candidate(best[0]), plan_.actions.begin());
  }
  warm_start_ = plan_.actions;
  ShiftSequence(warm_start_, population_.action_dim());
  return decision.Finish();
}

}  // namespace foreplan
