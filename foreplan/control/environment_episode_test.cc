// Episodes of environments that pay, end, fail and throw.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include "foreplan/control/episode.h"
#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/policies/testing/function_policy.h"
#include "foreplan/systems/testing/scripted_environment.h"

namespace foreplan {
namespace {

using testing::ExpressionTask;
using testing::FunctionPolicy;
using testing::Paid;
using testing::ScriptedEnvironment;

constexpr Key kKey{.seed = 21, .stream = 0};
constexpr int kNoLimit = std::numeric_limits<int>::max();

class ThrowingReward final : public Reward {
 public:
  void Evaluate(const TransitionBatch& /*batch*/, double* /*reward*/,
                uint8_t* /*terminated*/) const override {
    throw std::bad_alloc();
  }
};

TEST(RunEpisode, WhatAnEnvironmentPaysIsTheReward) {
  const Task task = ExpressionTask("environment");
  ScriptedEnvironment environment(task, [](int step) { return Paid(step); });
  FunctionPolicy policy([](const Situation& situation) {
    EXPECT_TRUE(situation.state.empty());  // it cannot be seen
    return 0.0;
  });
  std::vector<double> rewards;
  const EpisodeResult result =
      RunEpisode(task, environment, policy, kKey, 4,
                 [&](const EpisodeStep& step) { rewards.push_back(step.reward); });
  EXPECT_EQ(rewards, (std::vector<double>{0, 1, 2, 3}));
  EXPECT_EQ(result.episode_return, 6);
  EXPECT_EQ(result.divergence, "");
}

TEST(RunEpisode, ATaskWithARewardOfItsOwnLeavesThePayAside) {
  const Task task = ExpressionTask("-7");
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  for (const StepOutcome& outcome : {StepOutcome(), Paid(1)}) {
    ScriptedEnvironment environment(task, [&](int) { return outcome; });
    EXPECT_EQ(RunEpisode(task, environment, policy, kKey, 4, nullptr).episode_return, -28);
  }
}

TEST(RunEpisode, AnEnvironmentThatIsToPayAndDoesNotIsNamed) {
  const Task task = ExpressionTask("environment");
  ScriptedEnvironment environment(task,
                                  [](int step) { return step < 2 ? Paid(1) : StepOutcome(); });
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  EXPECT_EQ(MessageOf<RunError>([&] { RunEpisode(task, environment, policy, kKey, 4, nullptr); }),
            "step 2: the environment pays nothing, expected a reward with every step, as the task "
            "has none of its own");
}

TEST(RunEpisode, WhatOthersThrowSaysWhoseItIs) {
  const Task task = ExpressionTask("environment");
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  ScriptedEnvironment environment(task, [](int step) {
    if (step == 2) throw std::out_of_range("map::at");
    return Paid(1);
  });
  EXPECT_EQ(MessageOf<RunError>([&] { RunEpisode(task, environment, policy, kKey, 4, nullptr); }),
            "step 2: the environment throws: map::at");
  const Task own({.name = "own",
                  .system = task.MakeSystem(),
                  .reward = std::make_shared<const ThrowingReward>(),
                  .episode_length = 30});
  const auto system = own.MakeSystem();
  EXPECT_EQ(MessageOf<RunError>([&] { RunEpisode(own, *system, policy, kKey, 4, nullptr); }),
            "step 0: the reward throws: std::bad_alloc");
}

TEST(RunEpisode, AnEnvironmentsEndOfEitherKindEndsTheEpisodeAsThatKind) {
  const Task task = ExpressionTask("environment");
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  for (const StepEnd end : {StepEnd::kTerminated, StepEnd::kTruncated}) {
    ScriptedEnvironment environment(
        task, [end](int step) { return Paid(1, step == 2 ? end : StepEnd::kContinues); });
    std::vector<StepEnd> ends;
    const EpisodeResult result =
        RunEpisode(task, environment, policy, kKey, kNoLimit,
                   [&](const EpisodeStep& step) { ends.push_back(step.end); });
    EXPECT_EQ(ends, (std::vector<StepEnd>{StepEnd::kContinues, StepEnd::kContinues, end}));
    EXPECT_EQ(result.end, end);
  }
}

TEST(RunEpisode, PayThatIsNoNumberEndsTheEpisodeWithoutItsStepAndSaysWhoPaidIt) {
  const Task task = ExpressionTask("environment");
  ScriptedEnvironment environment(task, [](int step) { return Paid(step < 2 ? 1 : NAN); });
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  const EpisodeResult result = RunEpisode(task, environment, policy, kKey, kNoLimit, nullptr);
  EXPECT_EQ(result.steps, 2);
  EXPECT_EQ(result.episode_return, 2);
  EXPECT_EQ(result.divergence, "step 2: the environment pays nan");
}

TEST(RunEpisode, WhatWasBeforeAnEnvironmentsFailureIsKept) {
  const Task task = ExpressionTask("environment");
  ScriptedEnvironment environment(task, [](int step) {
    if (step == 3) throw EnvironmentFailure("no answer");
    return Paid(1);
  });
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  int steps = 0;
  const EpisodeResult result =
      RunEpisode(task, environment, policy, kKey, kNoLimit, [&](const EpisodeStep&) { ++steps; });
  EXPECT_EQ(steps, 3);
  EXPECT_EQ(result.steps, 3);
  EXPECT_EQ(result.episode_return, 3);
  EXPECT_EQ(result.failure, "step 3: no answer");
  EXPECT_NE(result.end, StepEnd::kTerminated);
}

TEST(RunEpisode, AFailureBeforeTheFirstStepIsNoEpisode) {
  const Task task = ExpressionTask("environment");
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  ScriptedEnvironment environment(
      task, [](int) -> StepOutcome { throw EnvironmentFailure("no answer"); });
  EXPECT_THROW(RunEpisode(task, environment, policy, kKey, kNoLimit, nullptr), EnvironmentFailure);
}

}  // namespace
}  // namespace foreplan
