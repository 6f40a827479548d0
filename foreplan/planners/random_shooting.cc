#include "foreplan/planners/random_shooting.h"

#include "foreplan/core/validated.h"

namespace foreplan {

void RandomShootingOptions::Visit(OptionsVisitor& visitor) {
  SamplingOptions::Visit(visitor);
  visitor.Field("population", population, {1, 1000000}, "candidates per decision");
}

RandomShooting::RandomShooting(const Options& options, const PlanningProblem& problem)
    : SamplingPlanner(problem, Validated("planner.random_shooting", options), options.population),
      candidates_(options.population) {}

std::span<const double> RandomShooting::Search(SamplingDecision& decision, Key key) {
  if (decision.NextIteration(1)) {
    const auto draw = [this](Random& random, int /*worker*/, std::span<double> sequence) {
      for (size_t j = 0; j < sequence.size(); ++j) {
        sequence[j] = random.Uniform(population().low()[j], population().high()[j]);
      }
    };
    decision.Explore(0, candidates_, key, draw);
  }
  return decision.best();
}

}  // namespace foreplan
