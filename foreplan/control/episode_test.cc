#include "foreplan/control/episode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/policies/testing/function_policy.h"
#include "foreplan/systems/testing/scripted_environment.h"

namespace foreplan {
namespace {

using testing::ExpressionTask;
using testing::FunctionPolicy;

constexpr Key kKey{.seed = 21, .stream = 0};
constexpr int kNoLimit = std::numeric_limits<int>::max();

Task CartPoleTask() {
  Config config = Config::FromString(R"(
name = "cartpole"
summary = "for a test"
reward = "pets_cartpole"
episode_length = 30
[system]
type = "cartpole"
[system.reset]
distribution = "normal"
position = 0.1
velocity = 0.1
)",
                                     "test");
  return Task::FromConfig(config, ".");
}

// Passes everything on to another system, but diverges at a given step.
class DivergingSystem final : public System {
 public:
  DivergingSystem(std::unique_ptr<System> system, int at) : system_(std::move(system)), at_(at) {}
  const SystemSpec& spec() const override { return system_->spec(); }
  std::unique_ptr<System> Clone() const override {
    return std::make_unique<DivergingSystem>(system_->Clone(), at_);
  }
  void Reset(Key key) override { system_->Reset(key); }
  StepOutcome Step(std::span<const double> action) override {
    return at_-- == 0 ? StepStatus::kDiverged : system_->Step(action);
  }
  void Observe(std::span<double> observation) const override { system_->Observe(observation); }
  void GetState(std::span<double> state) const override { system_->GetState(state); }
  void SetState(std::span<const double> state) override { system_->SetState(state); }
  std::string Divergence() const override { return "qacc of joint 'hinge'"; }

 private:
  std::unique_ptr<System> system_;
  int at_;
};

TEST(RunEpisode, ReportsEveryTransitionAndSumsTheRewards) {
  const Task task = CartPoleTask();
  const auto system = task.MakeSystem();
  FunctionPolicy policy(
      [](const Situation& situation) { return 2.0 * std::sin(0.3 * situation.time); });
  double sum = 0;
  int steps = 0;
  std::vector<double> previous;
  const auto result =
      RunEpisode(task, *system, policy, kKey, kNoLimit, [&](const EpisodeStep& step) {
        EXPECT_EQ(step.time, steps++);
        EXPECT_DOUBLE_EQ(step.action[0], 2.0 * std::sin(0.3 * step.time));
        if (!previous.empty()) {
          EXPECT_TRUE(std::equal(previous.begin(), previous.end(), step.observation.begin()));
        }
        previous.assign(step.next_observation.begin(), step.next_observation.end());
        double r = 0;
        uint8_t terminated = 0;
        task.reward().Evaluate(
            {1, step.observation.data(), step.action.data(), step.next_observation.data()}, &r,
            &terminated);
        EXPECT_EQ(step.reward, r);
        EXPECT_EQ(step.end, step.time == 29 ? StepEnd::kTruncated : StepEnd::kContinues);
        sum += r;
      });
  EXPECT_EQ(result.steps, 30);
  EXPECT_EQ(steps, 30);
  EXPECT_EQ(result.episode_return, sum);
  EXPECT_NE(result.end, StepEnd::kTerminated);
  EXPECT_EQ(result.divergence, "");
}

TEST(RunEpisode, EndsAfterTheMostStepsAllowedWhichIsNoTermination) {
  const Task task = CartPoleTask();
  const auto system = task.MakeSystem();
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  std::vector<StepEnd> ends;
  EXPECT_EQ(RunEpisode(task, *system, policy, kKey, 12,
                       [&](const EpisodeStep& step) { ends.push_back(step.end); })
                .steps,
            12);
  std::vector<StepEnd> expected(12, StepEnd::kContinues);
  expected.back() = StepEnd::kTruncated;
  EXPECT_EQ(ends, expected);
}

TEST(RunEpisode, EndsWithTheStepThatTerminates) {
  // The cart is pushed to the right from rest: its velocity grows from step to step.
  const Task task = ExpressionTask("1", "termination = \"slider_velocity > 0.3\"");
  const auto system = task.MakeSystem();
  FunctionPolicy policy([](const Situation&) { return 0.5; });
  std::vector<double> velocities;
  std::vector<StepEnd> ends;
  const EpisodeResult result =
      RunEpisode(task, *system, policy, kKey, kNoLimit, [&](const EpisodeStep& step) {
        velocities.push_back(step.next_observation[2]);
        ends.push_back(step.end);
      });
  EXPECT_EQ(result.end, StepEnd::kTerminated);
  ASSERT_GE(result.steps, 2);
  ASSERT_LT(result.steps, 30);
  EXPECT_EQ(result.episode_return, result.steps);
  ASSERT_EQ(velocities.size(), static_cast<size_t>(result.steps));
  for (size_t t = 0; t < velocities.size(); ++t) {
    EXPECT_EQ(velocities[t] > 0.3, t + 1 == velocities.size()) << t;
    EXPECT_EQ(ends[t], t + 1 == velocities.size() ? StepEnd::kTerminated : StepEnd::kContinues)
        << t;
  }
}

TEST(RunEpisode, ATimeLimitIsNoTermination) {
  const Task task = ExpressionTask("1", "termination = \"slider_velocity > 1e9\"");
  const auto system = task.MakeSystem();
  FunctionPolicy policy([](const Situation&) { return 3.0; });
  StepEnd end = StepEnd::kContinues;
  const EpisodeResult result = RunEpisode(task, *system, policy, kKey, kNoLimit,
                                          [&](const EpisodeStep& step) { end = step.end; });
  EXPECT_EQ(result.steps, 30);
  EXPECT_NE(result.end, StepEnd::kTerminated);
  EXPECT_EQ(end, StepEnd::kTruncated);
}

TEST(RunEpisode, AnEndOfTheTaskInTheLastStepIsATermination) {
  const Task task = ExpressionTask("1", "termination = \"slider_velocity > 0.3\"");
  const auto system = task.MakeSystem();
  FunctionPolicy policy([](const Situation&) { return 0.5; });
  StepEnd end = StepEnd::kContinues;
  const auto observe = [&](const EpisodeStep& step) { end = step.end; };
  const int steps = RunEpisode(task, *system, policy, kKey, kNoLimit, observe).steps;
  EXPECT_EQ(RunEpisode(task, *system, policy, kKey, steps, observe).end, StepEnd::kTerminated);
  EXPECT_EQ(end, StepEnd::kTerminated);
}

TEST(RunEpisode, RewardsTheTrueObservationsBeforeAndAfterTheStep) {
  // A reward of the observation before, one of the action, one of that after; the noise is huge.
  FunctionPolicy policy([](const Situation& situation) { return 0.1 * situation.time; });
  for (const char* reward : {"previous.slider_velocity", "u[0]", "next.slider_velocity"}) {
    std::vector<double> returns;
    for (const char* noise : {"", "measurement_noise = 100"}) {
      const Task task = ExpressionTask(reward, noise);
      const auto system = task.MakeSystem();
      returns.push_back(RunEpisode(task, *system, policy, kKey, kNoLimit, nullptr).episode_return);
    }
    EXPECT_NE(returns[0], 0) << reward;
    EXPECT_EQ(returns[0], returns[1]) << reward;
  }
}

TEST(RunEpisode, RewardsEveryStepByItsOwnObservations) {
  const auto velocities = [](const char* reward) {
    const Task task = ExpressionTask(reward);
    const auto system = task.MakeSystem();
    FunctionPolicy policy([](const Situation&) { return 3.0; });
    std::vector<double> rewards;
    RunEpisode(task, *system, policy, kKey, kNoLimit,
               [&](const EpisodeStep& step) { rewards.push_back(step.reward); });
    return rewards;
  };
  const std::vector<double> before = velocities("previous.slider_velocity");
  const std::vector<double> after = velocities("next.slider_velocity");
  ASSERT_EQ(after.size(), 30U);
  EXPECT_EQ(before[0], 0);  // at rest
  for (size_t t = 1; t < after.size(); ++t) EXPECT_EQ(before[t], after[t - 1]) << t;
}

TEST(RunEpisode, PlanningRewardsAreOfWhatIsMeasured) {
  const Task task = ExpressionTask(
      "next.slider", "planning_reward = \"-next.slider + 0.5 * u[0]\"\nmeasurement_noise = 0.5");
  const auto system = task.MakeSystem();
  FunctionPolicy policy([](const Situation&) { return 2.0; });
  int steps = 0;
  RunEpisode(task, *system, policy, kKey, kNoLimit, [&](const EpisodeStep& step) {
    EXPECT_NEAR(PlanningReward(task, step), -step.next_observation[0] + 1, 1e-12);
    ++steps;
  });
  EXPECT_EQ(steps, 30);
}

TEST(RunEpisode, ADecisionAtAnotherTimeHasAnotherKey) {
  const Task task = CartPoleTask();
  const auto system = task.MakeSystem();
  std::vector<double> drawn;
  FunctionPolicy policy([&](const Situation& situation) {
    drawn.push_back(Random(situation.key).Normal());
    return 0.0;
  });
  RunEpisode(task, *system, policy, kKey, kNoLimit, nullptr);
  std::ranges::sort(drawn);
  EXPECT_EQ(std::ranges::adjacent_find(drawn), drawn.end());
}

TEST(RunEpisode, MeasurementNoiseIsAnotherAtEveryTime) {
  const Task noisy = ExpressionTask("1", "measurement_noise = 0.5");
  const Task clean = ExpressionTask("1");
  FunctionPolicy policy([](const Situation&) { return 1.0; });
  const auto seen = [&](const Task& task) {
    std::vector<double> all;
    const auto system = task.MakeSystem();
    RunEpisode(task, *system, policy, kKey, kNoLimit,
               [&](const EpisodeStep& step) { all.push_back(step.observation[0]); });
    return all;
  };
  std::vector<double> off = seen(noisy);
  const std::vector<double> truth = seen(clean);
  for (size_t t = 0; t < off.size(); ++t) off[t] -= truth[t];
  std::ranges::sort(off);
  for (size_t t = 1; t < off.size(); ++t) EXPECT_GT(off[t] - off[t - 1], 1e-9) << t;
}

TEST(RunEpisode, WhatATaskAddsIsNotMeasured) {
  const Task task = ExpressionTask("time", "measurement_noise = 100");
  FunctionPolicy policy([](const Situation&) { return 1.0; });
  const auto system = task.MakeSystem();
  RunEpisode(task, *system, policy, kKey, kNoLimit, [&](const EpisodeStep& step) {
    EXPECT_NEAR(step.observation[4], task.spec().dt * step.time, 1e-12);
    EXPECT_NEAR(step.next_observation[4], task.spec().dt * (step.time + 1), 1e-12);
    EXPECT_GT(std::abs(step.observation[0]), 1e-6);
  });
}

TEST(RunEpisode, ARepeatedActionCountsWithAllItsControlPeriods) {
  const Task once = ExpressionTask("cos(hinge) + time", "termination = \"time > 0.5\"");
  const Task often =
      ExpressionTask("cos(hinge) + time", "termination = \"time > 0.5\"\naction_repeat = 4");
  FunctionPolicy policy([](const Situation&) { return 1.0; });
  const EpisodeResult expected = RunEpisode(once, *once.MakeEnvironment(), policy, kKey);
  const EpisodeResult result = RunEpisode(often, *often.MakeEnvironment(), policy, kKey);
  EXPECT_EQ(expected.steps, 13);
  EXPECT_EQ(result.steps, 4);  // the last has one control period
  EXPECT_EQ(result.end, StepEnd::kTerminated);
  EXPECT_NEAR(result.episode_return, expected.episode_return, 1e-12);
}

TEST(RunEpisode, ARewardThatIsNoNumberWithinADecisionIsNamed) {
  const Task task = ExpressionTask("log(0.3 - time)", "action_repeat = 4");
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  const EpisodeResult result = RunEpisode(task, *task.MakeEnvironment(), policy, kKey);
  EXPECT_EQ(result.steps, 1);
  EXPECT_NE(result.divergence.find("step 1: reward is nan: the logarithm of -0.02"),
            std::string::npos)
      << result.divergence;
}

TEST(RunEpisode, TheSameKeyGivesTheSameEpisode) {
  const Task task = CartPoleTask();
  const auto system = task.MakeSystem();
  FunctionPolicy policy(
      [](const Situation& situation) { return Random(situation.key).Uniform(-3.0, 3.0); });
  const double first = RunEpisode(task, *system, policy, kKey, kNoLimit, nullptr).episode_return;
  const double other =
      RunEpisode(task, *system, policy, kKey.Fold(1), kNoLimit, nullptr).episode_return;
  const double again = RunEpisode(task, *system, policy, kKey, kNoLimit, nullptr).episode_return;
  EXPECT_EQ(first, again);
  EXPECT_NE(first, other);
}

TEST(RunEpisode, ClampsActionsBeforeAnyoneSeesThem) {
  const Task task = CartPoleTask();
  const auto system = task.MakeSystem();
  FunctionPolicy policy([](const Situation&) { return 50.0; });
  RunEpisode(task, *system, policy, kKey, kNoLimit,
             [](const EpisodeStep& step) { EXPECT_EQ(step.action[0], 3.0); });
}

// Of a system whose state is the observation, but for the noise of its measurement.
TEST(RunEpisode, ShowsTheStateToOraclesAndWhatIsMeasuredToOthers) {
  const Task task = ExpressionTask("1", "measurement_noise = 0.5");
  const auto system = task.MakeSystem();
  std::vector<double> seen;
  const auto see = [&](const Situation& situation) {
    seen.assign(situation.observation.begin(), situation.observation.end());
    return 1.0;
  };
  FunctionPolicy policy(see);
  RunEpisode(task, *system, policy, kKey, 5, [&](const EpisodeStep& step) {
    EXPECT_TRUE(std::ranges::equal(seen, step.observation));
    EXPECT_FALSE(std::ranges::equal(seen, step.state));
  });
  OracleOf<FunctionPolicy> oracle(see);
  RunEpisode(task, *system, oracle, kKey, 5, [&](const EpisodeStep& step) {
    EXPECT_TRUE(std::ranges::equal(seen, step.state));
    EXPECT_FALSE(std::ranges::equal(seen, step.observation));
  });
}

// On a system whose state is the observation, under noise of its measurement.
TEST(RunEpisode, StepsHaveTheStateBeforeAndAfterThem) {
  const Task task = ExpressionTask("1", "measurement_noise = 0.5");
  const auto system = task.MakeSystem();
  FunctionPolicy policy([](const Situation&) { return 1.0; });
  std::vector<double> last;
  const auto replay = task.MakeSystem();
  std::vector<double> next(4);
  RunEpisode(task, *system, policy, kKey, 5, [&](const EpisodeStep& step) {
    const std::vector<double> state(step.state.begin(), step.state.end());
    EXPECT_TRUE(step.time == 0 || state == last);
    EXPECT_NE(state[0], step.observation[0]);
    replay->SetState(step.state);
    EXPECT_EQ(replay->Step(step.action), StepStatus::kOk);
    replay->GetState(next);
    last.assign(step.next_state.begin(), step.next_state.end());
    EXPECT_EQ(last, next);
  });
}

TEST(RunEpisode, DivergenceEndsTheEpisodeAndIsNamed) {
  const Task task = CartPoleTask();
  DivergingSystem system(task.MakeSystem(), 7);
  FunctionPolicy policy([](const Situation&) { return 0.0; });
  int steps = 0;
  const auto result =
      RunEpisode(task, system, policy, kKey, kNoLimit, [&](const EpisodeStep&) { ++steps; });
  EXPECT_EQ(result.steps, 7);
  EXPECT_EQ(steps, 7);  // the step that diverged is no transition
  EXPECT_EQ(result.divergence, "step 7: qacc of joint 'hinge'");
}

TEST(RunEpisode, ARewardThatIsNoNumberEndsTheEpisodeWithoutItsStep) {
  // The velocity grows from 0: soon the root is of a number below 0.
  const Task task = ExpressionTask("sqrt(0.3 - slider_velocity)");
  const auto system = task.MakeSystem();
  FunctionPolicy policy([](const Situation&) { return 0.5; });
  double sum = 0;
  int steps = 0;
  const EpisodeResult result =
      RunEpisode(task, *system, policy, kKey, kNoLimit, [&](const EpisodeStep& step) {
        EXPECT_TRUE(std::isfinite(step.reward));
        sum += step.reward;
        ++steps;
      });
  ASSERT_GE(steps, 1);
  EXPECT_EQ(result.steps, steps);
  EXPECT_EQ(result.episode_return, sum);
  const std::string expected = "step " + std::to_string(steps) + ": reward is nan";
  EXPECT_TRUE(result.divergence.starts_with(expected)) << result.divergence;
}

TEST(RunEpisode, AnActionThatIsNoNumberNamesStepAndComponent) {
  const Task task = CartPoleTask();
  const auto system = task.MakeSystem();
  FunctionPolicy policy([](const Situation& situation) {
    return situation.time == 4 ? std::numeric_limits<double>::quiet_NaN() : 0.0;
  });
  try {
    RunEpisode(task, *system, policy, kKey, kNoLimit, nullptr);
    FAIL();
  } catch (const RunError& error) {
    EXPECT_EQ(error.what(), "step 4: action '" + task.spec().action[0].name +
                                "' of the policy: found nan, expected a finite number");
  }
}

TEST(RunEpisode, MeasurementNoiseIsSeenButNotRewarded) {
  Config config = Config::FromString(R"(
name = "cartpole"
reward = "pets_cartpole"
episode_length = 30
measurement_noise = 0.5
[system]
type = "cartpole"
)",
                                     "test");
  const Task noisy = Task::FromConfig(config, ".");
  const Task clean = CartPoleTask();
  std::vector<std::vector<double>> seen;
  std::vector<std::vector<double>> measured;
  std::vector<double> next;
  FunctionPolicy policy([&](const Situation& situation) {
    seen.emplace_back(situation.observation.begin(), situation.observation.end());
    return 0.3;
  });
  const auto run = [&](const Task& task) {
    const auto system = task.MakeSystem();
    return RunEpisode(task, *system, policy, kKey, kNoLimit,
                      [&](const EpisodeStep& step) {
                        measured.emplace_back(step.observation.begin(), step.observation.end());
                        // What was seen after a step is what is seen before the next.
                        if (step.time > 0) {
                          EXPECT_EQ(measured.back(), next);
                        }
                        next.assign(step.next_observation.begin(), step.next_observation.end());
                      })
        .episode_return;
  };
  const double with_noise = run(noisy);
  EXPECT_EQ(seen, measured);
  const std::vector<std::vector<double>> off = seen;
  seen.clear();
  measured.clear();
  EXPECT_EQ(run(clean), with_noise);  // the same motion, as the policy looks at nothing
  double squares = 0;
  for (size_t t = 0; t < seen.size(); ++t) {
    for (size_t i = 0; i < 4; ++i) squares += std::pow(off[t][i] - seen[t][i], 2);
  }
  // 120 squares of deviation 0.5: relative error sqrt(2 / 120) = 13 %; four of them.
  EXPECT_NEAR(squares / (4.0 * static_cast<double>(seen.size())), 0.25, 0.25 * 0.52);
}

}  // namespace
}  // namespace foreplan
