// An environment of one's own: a tank that a valve fills. What acts in the world is reset, stepped
// and observed, and no more is known of it: its state can be neither read nor set. `mpc` learns how
// the level moves and holds it at 0.5 m.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>

#include "foreplan/foreplan.h"

class Tank final : public foreplan::Environment {
 public:
  Tank() {
    spec_.dt = 2;  // [s]
    spec_.observation = {{"level", "m"}, {"opening", ""}};
    spec_.action = {{"valve", ""}};
    spec_.action_low = {0};
    spec_.action_high = {1};
  }
  const foreplan::EnvironmentSpec& spec() const override { return spec_; }

  // All chance comes from the key, so that a run can be repeated.
  void Reset(foreplan::Key key) override {
    level_ = foreplan::Random(key).Uniform(0.05, 0.2);
    opening_ = 0;
  }

  // The action lies inside the bounds. What cannot go on throws foreplan::EnvironmentFailure: the
  // episode is kept as far as it came, and the run tries again.
  foreplan::StepOutcome Step(std::span<const double> action) override {
    opening_ += 0.6 * (action[0] - opening_);  // the valve is slow
    level_ = std::max(0.0, level_ + spec_.dt * (0.05 * opening_ - 0.03 * std::sqrt(level_)));
    return {};  // it goes on, and pays nothing: the task has a reward
  }
  void Observe(std::span<double> observation) const override {
    observation[0] = level_;
    observation[1] = opening_;
  }

 private:
  foreplan::EnvironmentSpec spec_;
  double level_ = 0, opening_ = 0;
};

int main() {
  const foreplan::Task task({.name = "tank",
                             .environment = std::make_shared<Tank>(),
                             .reward = foreplan::ExpressionText{.text = "-abs(level - 0.5)"},
                             .episode_length = 40});
  foreplan::Config config = foreplan::Config::FromString(
      "model.width = 32\nplanner.icem = {horizon = 8, population = 40, particles = 1}", "tank");
  foreplan::RunLog log;
  const auto learner = foreplan::MakeLearner("mpc", config, {task, {.episodes = 4}});
  learner->AddObserver(std::make_shared<foreplan::LogObserver>(log));
  learner->Run();
  for (const auto& row : log.episodes()) fmt::print("return {:.2f}\n", row.episode_return);
  return log.episodes().back().episode_return > -6 ? 0 : 1;
}
