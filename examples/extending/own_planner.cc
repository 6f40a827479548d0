// A planner of one's own: it imagines what holding one action leads to, for many actions, and takes
// the best. Once it is registered, runs may name it; here `mpc` plans with it through a model that
// it learns.
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <span>

#include "foreplan/foreplan.h"

/// Section [planner.held_action]: what all planners have that sample (horizon, particles), and ...
struct HeldActionOptions : foreplan::SamplingOptions {
  int population = 40;  // actions that are tried
  // One list reads the options, checks them and writes them into the run's config.toml.
  void Visit(foreplan::OptionsVisitor& visitor) {
    SamplingOptions::Visit(visitor);
    visitor.Field("population", population, {1, 1000000}, "actions that are tried");
  }
};

/// For systems with one action. SamplingPlanner keeps the warm start and the deadline; what plans
/// in another way derives from Planner.
class HeldAction final : public foreplan::SamplingPlanner {
 public:
  using Options = HeldActionOptions;
  HeldAction(const Options& options, const foreplan::PlanningProblem& problem)
      : SamplingPlanner(problem, options, options.population), candidates_(options.population) {}

 private:
  std::span<const double> Search(foreplan::SamplingDecision& decision, foreplan::Key key) override {
    // Called by several threads: every candidate has random numbers of its own.
    const auto draw = [this](foreplan::Random& random, int, std::span<double> sequence) {
      std::ranges::fill(sequence, random.Uniform(population().low()[0], population().high()[0]));
    };
    if (decision.NextIteration(1)) decision.Explore(0, candidates_, key, draw);
    return decision.best();
  }

  int candidates_;
};

int main() {
  foreplan::RegisterPlanner("held_action", foreplan::PlannerEntryOf<HeldAction>());
  auto [task, config] = foreplan::Task::Load(
      "pendulum", {"system.max_torque=10", "episode_length=100", "model.width=32",
                   "fit.min_steps=300", "fit.max_steps=300", "planner.held_action.horizon=12"});
  const auto learner =
      foreplan::MakeLearner("mpc", config, {task, {.planner = "held_action", .episodes = 4}});
  foreplan::RunLog log;
  learner->AddObserver(std::make_shared<foreplan::LogObserver>(log));
  learner->Run();
  const double random = log.episodes().front().episode_return;
  const double planned = log.episodes().back().episode_return;
  fmt::print("return {:.1f}, {:.1f} at random\n", planned, random);
  return planned > random + 200 ? 0 : 1;
}
