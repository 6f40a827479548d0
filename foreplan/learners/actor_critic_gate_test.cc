// What actors and critics must learn, on the pendulum's settings for dhmbpo. Slow.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/thread_pool.h"
#include "foreplan/learners/learner.h"
#include "foreplan/learners/log_observer.h"

namespace foreplan {
namespace {

/// The task's settings for dhmbpo, for another algorithm.
std::vector<std::string> SettingsOfDhmbpo(const Config& config) {
  constexpr std::string_view kSection = "dhmbpo";
  std::vector<std::string> settings = config.Assignments(kSection);
  for (std::string& setting : settings) setting.erase(0, kSection.size() + 1);
  return settings;
}

/// What the mean action earns in the last evaluation, a mean of ten episodes.
double LastEvaluation(const std::string& algorithm, int seed, int steps) {
  std::vector<std::string> settings = SettingsOfDhmbpo(Task::Load("pendulum").second);
  settings.push_back("actor_critic.evaluate_every=" + std::to_string(steps));
  auto [task, config] = Task::Load("pendulum", settings);
  const RunOptions run{.algorithm = algorithm, .seed = seed, .steps = steps};
  const auto executor = std::make_shared<ThreadPool>(2);
  const auto learner = MakeLearner(algorithm, config, {task, run, executor});
  RunLog log;
  learner->AddObserver(std::make_shared<LogObserver>(log, run, task.episode_length()));
  learner->Run();
  const auto& metrics = log.metrics();
  const auto found = std::ranges::find(metrics, "evaluation.mean_return", &MetricRow::name);
  return found == metrics.end() ? -1e9 : found->value;
}

struct Corner {
  std::string algorithm;
  int steps = 0;
};

class ActorCriticGate : public ::testing::TestWithParam<Corner> {};

// A random policy earns -1,200; one that swings up at once, -150, by the start. On tuning seeds all
// corners came to -120 ... -210 by then.
TEST_P(ActorCriticGate, LearnsThePendulum) {
  EXPECT_GE(LastEvaluation(GetParam().algorithm, 20, GetParam().steps), -250);
}

INSTANTIATE_TEST_SUITE_P(Corners, ActorCriticGate,
                         ::testing::Values(Corner{"dhmbpo", 3000}, Corner{"svg", 3000},
                                           Corner{"mbpo", 3000}, Corner{"sac", 6000}),
                         [](const auto& test) { return test.param.algorithm; });

}  // namespace
}  // namespace foreplan
