#include "foreplan/systems/environment_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/systems/testing/scripted_environment.h"

namespace foreplan {
namespace {

using testing::ExpressionTask;
using ::testing::HasSubstr;

constexpr int kCount = 5;

/// Ends early, at times that differ.
Task SwingTask() {
  Config config = Config::FromString(R"(
name = "cartpole"
reward = "cos(hinge) + time"
termination = "slider_velocity > 0.3"
episode_length = 30
measurement_noise = 0.1
[system]
type = "cartpole"
)",
                                     "test");
  return Task::FromConfig(config, ".");
}

/// [steps x count]
std::vector<double> SomeActions(int steps, int count) {
  std::vector<double> actions(static_cast<size_t>(steps * count));
  Random random(Key{5, 0});
  for (double& action : actions) action = random.Uniform(-1, 1.2);
  return actions;
}

struct Seen {
  std::vector<double> observation, final_observation;
  double reward = 0;
  bool terminated = false, truncated = false;
  friend bool operator==(const Seen&, const Seen&) = default;
};

std::vector<double> RowOf(std::span<const double> rows, size_t i, int columns) {
  const auto row = rows.subspan(i * static_cast<size_t>(columns), static_cast<size_t>(columns));
  return {row.begin(), row.end()};
}

Seen SeenOf(const EnvironmentBatch& batch, size_t i) {
  return {.observation = RowOf(batch.observations(), i, batch.observed()),
          .final_observation = RowOf(batch.final_observations(), i, batch.observed()),
          .reward = batch.rewards()[i],
          .terminated = batch.terminated()[i] != 0,
          .truncated = batch.truncated()[i] != 0};
}

class EnvironmentBatches : public ::testing::TestWithParam<Autoreset> {};

TEST_P(EnvironmentBatches, GiveTogetherOnThreadsWhatEachGivesAlone) {
  const Task task = SwingTask();
  EnvironmentBatchOptions options{.count = kCount, .max_steps = 12, .autoreset = GetParam()};
  EnvironmentBatch together(task, options);
  options.count = 1;
  std::vector<std::unique_ptr<EnvironmentBatch>> alone;
  for (int i = 0; i < kCount; ++i) {
    alone.push_back(std::make_unique<EnvironmentBatch>(task, options));
    together.Seed(i, Key{static_cast<uint64_t>(i), 3});
    alone.back()->Seed(0, Key{static_cast<uint64_t>(i), 3});
  }
  ThreadPool threads(3);
  SerialExecutor serial;
  together.Reset(threads);
  for (auto& one : alone) one->Reset(serial);
  const std::vector<double> actions = SomeActions(60, kCount);
  int ends = 0;
  for (size_t t = 0; t < 60; ++t) {
    const std::span<const double> row(&actions[t * kCount], kCount);
    together.Step(row, threads);
    std::vector<uint8_t> over(kCount);
    for (size_t i = 0; i < kCount; ++i) {
      alone[i]->Step(row.subspan(i, 1), serial);
      ASSERT_EQ(SeenOf(together, i), SeenOf(*alone[i], 0)) << "step " << t << ", environment " << i;
      over[i] = together.terminated()[i] != 0 || together.truncated()[i] != 0 ? 1 : 0;
      ends += over[i];
    }
    if (GetParam() != Autoreset::kDisabled || std::ranges::count(over, 1) == 0) continue;
    together.Reset(threads, over);
    for (size_t i = 0; i < kCount; ++i) {
      if (over[i] != 0) alone[i]->Reset(serial);
      ASSERT_EQ(SeenOf(together, i), SeenOf(*alone[i], 0)) << "reset after step " << t;
    }
  }
  EXPECT_GT(ends, 2 * kCount);
}

INSTANTIATE_TEST_SUITE_P(Modes, EnvironmentBatches,
                         ::testing::Values(Autoreset::kNextStep, Autoreset::kSameStep,
                                           Autoreset::kDisabled));

TEST(EnvironmentBatch, ARolloutIsAsManySteps) {
  const Task task = SwingTask();
  const EnvironmentBatchOptions options{.count = kCount, .max_steps = 12};
  EnvironmentBatch stepped(task, options);
  EnvironmentBatch rolled(task, options);
  ThreadPool threads(2);
  stepped.Reset(threads);
  rolled.Reset(threads);
  const std::vector<double> actions = SomeActions(40, kCount);
  for (size_t t = 0; t < 40; ++t) stepped.Step({&actions[t * kCount], kCount}, threads);
  rolled.RollOut(actions, 40, threads);
  for (size_t i = 0; i < kCount; ++i) EXPECT_EQ(SeenOf(rolled, i), SeenOf(stepped, i));
}

TEST(EnvironmentBatch, TheStepAfterTheEndBeginsTheNextEpisodeAndEarnsNothing) {
  EnvironmentBatch batch(ExpressionTask("1"), {.max_steps = 2});
  SerialExecutor serial;
  batch.Reset(serial);
  const std::vector<double> start = SeenOf(batch, 0).observation;
  const std::vector<double> push{1};
  batch.Step(push, serial);
  batch.Step(push, serial);
  EXPECT_TRUE(SeenOf(batch, 0).truncated && !SeenOf(batch, 0).terminated);
  EXPECT_EQ(batch.rewards()[0], 1);
  EXPECT_NE(SeenOf(batch, 0).observation, start);
  batch.Step(push, serial);
  EXPECT_EQ(SeenOf(batch, 0), (Seen{.observation = start,  // the task starts at rest
                                    .final_observation = SeenOf(batch, 0).final_observation}));
}

TEST(EnvironmentBatch, WithinTheStepThatEndsItWhatWasSeenLastIsKept) {
  const Task task = ExpressionTask("1");
  EnvironmentBatch same(task, {.max_steps = 2, .autoreset = Autoreset::kSameStep});
  EnvironmentBatch next(task, {.max_steps = 2});
  SerialExecutor serial;
  same.Reset(serial);
  next.Reset(serial);
  const std::vector<double> start = SeenOf(same, 0).observation;
  for (int t = 0; t < 2; ++t) {
    same.Step(std::vector<double>{1}, serial);
    next.Step(std::vector<double>{1}, serial);
  }
  EXPECT_TRUE(SeenOf(same, 0).truncated);
  EXPECT_EQ(SeenOf(same, 0).observation, start);
  EXPECT_EQ(SeenOf(same, 0).final_observation, SeenOf(next, 0).observation);
}

TEST(EnvironmentBatch, EpisodesOfASequenceDifferAndASeedBeginsItAgain) {
  EnvironmentBatch batch(SwingTask(), {});
  SerialExecutor serial;
  std::vector<std::vector<double>> starts;
  for (int episode = 0; episode < 4; ++episode) {
    if (episode % 2 == 0) batch.Seed(0, Key{9, 0});
    batch.Reset(serial);
    starts.push_back(SeenOf(batch, 0).observation);
  }
  EXPECT_EQ(starts[0], starts[2]);
  EXPECT_EQ(starts[1], starts[3]);
  EXPECT_NE(starts[0], starts[1]);
}

TEST(EnvironmentBatch, ShowsTheFirstComponents) {
  EnvironmentBatch all(SwingTask(), {.count = 2});
  EnvironmentBatch some(SwingTask(), {.count = 2, .observed = 3});
  SerialExecutor serial;
  all.Reset(serial);
  some.Reset(serial);
  all.Step(std::vector<double>{1, -1}, serial);
  some.Step(std::vector<double>{1, -1}, serial);
  for (size_t i = 0; i < 2; ++i) {
    std::vector<double> first = SeenOf(all, i).observation;
    first.resize(3);
    EXPECT_EQ(SeenOf(some, i).observation, first);
    EXPECT_EQ(some.rewards()[i], all.rewards()[i]);
  }
}

TEST(EnvironmentBatch, BeginsInAStateAndGoesOnFromIt) {
  EnvironmentBatch batch(ExpressionTask("1"), {.count = 2});
  SerialExecutor serial;
  batch.Reset(serial);
  const std::vector<double> push{1, -1};
  batch.Step(push, serial);
  const std::vector<double> states(batch.states().begin(), batch.states().end());
  const Seen before = SeenOf(batch, 1);
  batch.Step(push, serial);
  const Seen after = SeenOf(batch, 1);
  batch.Reset(serial, {}, states);
  EXPECT_EQ(SeenOf(batch, 1).observation, before.observation);
  batch.Step(push, serial);
  EXPECT_EQ(SeenOf(batch, 1).observation, after.observation);
}

/// Environments that diverge at step 1 and show no state.
Task DivergingTask() {
  const Task inner = ExpressionTask("1");
  return Task({.name = "diverges",
               .make_environment =
                   [inner] {
                     return std::make_unique<testing::ScriptedEnvironment>(inner, [](int step) {
                       return step == 1 ? StepOutcome(StepStatus::kDiverged) : testing::Paid(2.0);
                     });
                   },
               .episode_length = 30});
}

TEST(EnvironmentBatch, AStepThatDivergesTruncatesAndShowsWhatWasSeenBefore) {
  EnvironmentBatch batch(DivergingTask(), {.count = 2});
  SerialExecutor serial;
  batch.Reset(serial);
  const std::vector<double> push{1, 1};
  batch.Step(push, serial);
  const Seen before = SeenOf(batch, 1);
  EXPECT_EQ(before.reward, 2);
  EXPECT_EQ(batch.trouble(1), "");
  batch.Step(push, serial);
  EXPECT_EQ(SeenOf(batch, 1).observation, before.observation);
  EXPECT_EQ(SeenOf(batch, 1).reward, 0);
  EXPECT_TRUE(SeenOf(batch, 1).truncated && !SeenOf(batch, 1).terminated);
  EXPECT_EQ(batch.trouble(1), "step 1: the environment diverges");
  batch.Step(push, serial);
  EXPECT_EQ(batch.trouble(1), "");
  EXPECT_FALSE(SeenOf(batch, 1).truncated);
}

TEST(EnvironmentBatch, SaysWhatIsWrong) {
  const Task task = ExpressionTask("1");
  SerialExecutor serial;
  const std::vector<double> push{1};
  EnvironmentBatch batch(task, {.max_steps = 1, .autoreset = Autoreset::kDisabled});
  EXPECT_THAT(MessageOf<InputError>([&] { batch.Step(push, serial); }),
              HasSubstr("found no episode"));
  batch.Reset(serial);
  batch.Step(push, serial);
  EXPECT_THAT(MessageOf<InputError>([&] { batch.Step(push, serial); }),
              HasSubstr("found its episode over"));
  EXPECT_THAT(MessageOf<InputError>([&] { EnvironmentBatch(task, {.count = 0}); }),
              HasSubstr("environments: found 0"));
  EXPECT_THAT(MessageOf<InputError>([&] { EnvironmentBatch(task, {.observed = 99}); }),
              HasSubstr("observed components: found 99, expected 0 ... 4"));
  EXPECT_THAT(MessageOf<InputError>([&] { EnvironmentBatch(task, {.max_steps = 0}); }),
              HasSubstr("found 0"));
  EnvironmentBatch stateless(DivergingTask(), {});
  EXPECT_THAT(MessageOf<InputError>([&] { stateless.Reset(serial, {}, push); }),
              HasSubstr("expected none"));
}

TEST(EnvironmentBatch, OneEnvironmentForAllIsRefused) {
  const Task inner = ExpressionTask("1");
  const auto one = std::make_shared<testing::ScriptedEnvironment>(
      inner, [](int /*step*/) { return testing::Paid(1.0); });
  const Task task({.name = "single", .environment = one, .episode_length = 30});
  EXPECT_EQ(EnvironmentBatch(task, {.count = 1}).count(), 1);
  EXPECT_THAT(MessageOf<InputError>([&] { EnvironmentBatch(task, {.count = 2}); }),
              HasSubstr("found one environment for all"));
}

TEST(EnvironmentBatch, StepsWithoutAllocating) {
  EnvironmentBatch batch(SwingTask(), {.count = kCount, .max_steps = 5});
  SerialExecutor serial;
  batch.Reset(serial);
  const std::vector<double> actions = SomeActions(1, kCount);
  const long allocations = testing::CountAllocations([&] {
    for (int t = 0; t < 20; ++t) batch.Step(actions, serial);
  });
  EXPECT_EQ(allocations, 0);
}

}  // namespace
}  // namespace foreplan
