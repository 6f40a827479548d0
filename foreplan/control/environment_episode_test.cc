// Episodes of environments that pay, end, fail and throw.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "foreplan/control/episode.h"
#include "foreplan/core/error.h"
#include "foreplan/core/executor.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/policies/testing/function_policy.h"
#include "foreplan/systems/environment_batch.h"
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

/// Each function throws once its count is used up.
class ThrowingEnvironment final : public Environment {
 public:
  explicit ThrowingEnvironment(const Task& task) : system_(task.MakeSystem()) {}
  const EnvironmentSpec& spec() const override { return system_->spec(); }
  void Reset(Key key) override {
    if (resets_left-- == 0) throw std::runtime_error("no port");
    system_->Reset(key);
  }
  StepOutcome Step(std::span<const double> action) override {
    static_cast<void>(system_->Step(action));
    return Paid(1);
  }
  void Observe(std::span<double> observation) const override {
    if (observations_left-- == 0) throw std::runtime_error("no sensor\r\nat all");
    system_->Observe(observation);
  }

  int resets_left = kNoLimit;
  mutable int observations_left = kNoLimit;

 private:
  std::unique_ptr<System> system_;
};

class ThrowingPolicy final : public Policy {
 public:
  void Reset(Key /*key*/) override {
    if (resets_left-- == 0) throw std::runtime_error("no memory");
  }
  void Act(const Situation& /*situation*/, std::span<double> action) override {
    if (acts_left-- == 0) throw InputError("found 3, expected 4");
    action[0] = 0;
  }

  int resets_left = kNoLimit;
  int acts_left = kNoLimit;
};

TEST(RunEpisode, WhatAnEnvironmentPaysIsTheReward) {
  const Task task = ExpressionTask("environment");
  ScriptedEnvironment environment(task, [](int step) { return Paid(step); });
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  std::vector<double> rewards;
  const EpisodeResult result =
      RunEpisode(task, environment, policy, kKey, 4, [&](const EpisodeStep& step) {
        rewards.push_back(step.reward);
        EXPECT_TRUE(step.state.empty() && step.next_state.empty());  // it cannot be seen
      });
  EXPECT_EQ(rewards, (std::vector<double>{0, 1, 2, 3}));
  EXPECT_EQ(result.episode_return, 6);
  EXPECT_EQ(result.divergence, "");
}

TEST(RunEpisode, AnOracleInAnEnvironmentThatShowsNoStateIsRefusedBeforeItBegins) {
  const Task task = ExpressionTask("environment");
  ScriptedEnvironment environment(task, [](int /*step*/) -> StepOutcome {
    ADD_FAILURE() << "it began";
    return Paid(0);
  });
  OracleOf<FunctionPolicy> policy([](const Situation&) { return 0.0; });
  EXPECT_EQ(MessageOf([&] { RunEpisode(task, environment, policy, kKey, 4, nullptr); }),
            "task " + task.name() +
                ": found a policy that acts by the full state in an environment that shows none, "
                "expected a system to act in");
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
            "step 2: the environment's Step throws: map::at");
  const Task own({.name = "own",
                  .system = task.MakeSystem(),
                  .reward = std::make_shared<const ThrowingReward>(),
                  .episode_length = 30});
  const auto system = own.MakeSystem();
  EXPECT_EQ(MessageOf<RunError>([&] { RunEpisode(own, *system, policy, kKey, 4, nullptr); }),
            "step 0: the reward throws: std::bad_alloc");
}

TEST(RunEpisode, WhatOthersThrowSaysInWhichFunctionAndOnOneLine) {
  const Task task = ExpressionTask("environment");
  ThrowingEnvironment environment(task);
  ThrowingPolicy policy;
  const auto message = [&] {
    return MessageOf<RunError>([&] { RunEpisode(task, environment, policy, kKey, 4, nullptr); });
  };
  environment.resets_left = 0;
  EXPECT_EQ(message(), "step 0: the environment's Reset throws: no port");
  environment.resets_left = kNoLimit;
  environment.observations_left = 0;
  EXPECT_EQ(message(), "step 0: the environment's Observe throws: no sensor  at all");
  environment.observations_left = 3;
  EXPECT_EQ(message(), "step 2: the environment's Observe throws: no sensor  at all");
  environment.observations_left = kNoLimit;
  policy.acts_left = 2;
  EXPECT_EQ(message(), "step 2: the policy's Act throws: found 3, expected 4");
  policy.resets_left = 0;
  EXPECT_EQ(message(), "step 0: the policy's Reset throws: no memory");
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

/// Observes what a script says, of a cart-pole that does not move.
class Observing final : public Environment {
 public:
  using Script = std::function<void(int step, std::span<double> observation)>;
  Observing(EnvironmentSpec spec, Script script)
      : spec_(std::move(spec)), script_(std::move(script)) {}
  const EnvironmentSpec& spec() const override { return spec_; }
  void Reset(Key /*key*/) override { step_ = 0; }
  StepOutcome Step(std::span<const double> /*action*/) override {
    ++step_;
    return Paid(1);
  }
  void Observe(std::span<double> observation) const override { script_(step_, observation); }

 private:
  EnvironmentSpec spec_;
  Script script_;
  int step_ = 0;
};

TEST(RunEpisode, AnObservationThatIsNoNumberIsNamedWithItsStep) {
  const Task task = ExpressionTask("environment");
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  for (const int at : {0, 3}) {
    Observing environment(task.spec(), [at](int step, std::span<double> observation) {
      std::ranges::fill(observation, 0.0);
      if (step == at) observation[1] = NAN;
    });
    const EpisodeResult result = RunEpisode(task, environment, policy, kKey);
    EXPECT_EQ(result.divergence,
              at == 0 ? "start: observation 'hinge' is nan" : "step 2: observation 'hinge' is nan");
    EXPECT_EQ(result.steps, std::max(0, at - 1));
  }
}

TEST(RunEpisode, ANumberThatNobodyWritesIsNone) {
  const Task task = ExpressionTask("environment");
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  for (const int at : {0, 3}) {
    // An environment of fewer components than it says, from some step on.
    Observing environment(task.spec(), [at](int step, std::span<double> observation) {
      std::ranges::fill(observation.first(step < at ? 4 : 3), 0.0);
    });
    const EpisodeResult result = RunEpisode(task, environment, policy, kKey);
    EXPECT_EQ(result.divergence, at == 0 ? "start: observation 'hinge_velocity' is nan"
                                         : "step 2: observation 'hinge_velocity' is nan");
  }
}

TEST(RunEpisode, AnEnvironmentOfOtherSizesIsRefused) {
  const Task task = ExpressionTask("environment");
  EnvironmentSpec spec = task.spec();
  spec.observation.pop_back();
  Observing environment(spec, [](int, std::span<double>) { ADD_FAILURE(); });
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  EXPECT_EQ(MessageOf([&] { RunEpisode(task, environment, policy, kKey); }),
            "environment: found 3 observed components and 1 actions, expected the 4 and 1 of the "
            "task");
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

TEST(RunEpisode, ADivergenceThatSaysNothingIsOneAllTheSame) {
  const Task task = ExpressionTask("environment");
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  ScriptedEnvironment environment(
      task, [](int step) { return step == 4 ? StepOutcome(StepStatus::kDiverged) : Paid(1); });
  const EpisodeResult result = RunEpisode(task, environment, policy, kKey, kNoLimit, nullptr);
  EXPECT_EQ(result.steps, 4);
  EXPECT_EQ(result.divergence, "step 4: the environment diverges");
}

TEST(RunEpisode, WhatIsNoExceptionOfTheLanguagesLibraryIsSaidToo) {
  const Task task = ExpressionTask("environment");
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  ScriptedEnvironment environment(task, [](int step) -> StepOutcome {
    if (step == 1) throw 7;  // NOLINT(hicpp-exception-baseclass): others may
    return Paid(1);
  });
  EXPECT_EQ(MessageOf<RunError>([&] { RunEpisode(task, environment, policy, kKey, 4, nullptr); }),
            "step 1: the environment's Step throws: what is no std::exception");
}

TEST(RunEpisode, AFailureBeforeTheFirstStepIsNoEpisode) {
  const Task task = ExpressionTask("environment");
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  ScriptedEnvironment environment(
      task, [](int) -> StepOutcome { throw EnvironmentFailure("no answer"); });
  EXPECT_THROW(RunEpisode(task, environment, policy, kKey, kNoLimit, nullptr), EnvironmentFailure);
}

TEST(RunEpisode, IsWhatAnEnvironmentOfABatchGivesForTheSameKeyAndActions) {
  const Task task =
      ExpressionTask("cos(hinge) - 0.1 * slider^2",
                     "measurement_noise = 0.2\ntermination = \"slider_velocity > 0.5\"");
  EnvironmentBatch batch(task, {.count = 2});
  SerialExecutor serial;
  batch.Seed(1, kKey);
  batch.Reset(serial);
  const std::span<const double> row = batch.observations().subspan(4, 4);
  FunctionPolicy policy([](const Situation& situation) { return 0.3 + 0.02 * situation.time; });
  const auto system = task.MakeSystem();
  const EpisodeResult result =
      RunEpisode(task, *system, policy, kKey.Fold(0), kNoLimit, [&](const EpisodeStep& step) {
        EXPECT_TRUE(std::ranges::equal(row, step.observation));
        batch.Step(std::vector<double>{0, step.action[0]}, serial);
        EXPECT_TRUE(std::ranges::equal(row, step.next_observation));
        EXPECT_EQ(batch.rewards()[1], step.reward);
        EXPECT_EQ(batch.terminated()[1] != 0, step.end == StepEnd::kTerminated);
      });
  EXPECT_EQ(result.end, StepEnd::kTerminated);
  EXPECT_GT(result.steps, 3);
}

}  // namespace
}  // namespace foreplan
