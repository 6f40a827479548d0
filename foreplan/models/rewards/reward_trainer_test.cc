// What rewards and terminations are learned from, and what not.
#include "foreplan/models/rewards/reward_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"
#include "foreplan/models/imagination.h"
#include "foreplan/models/rewards/testing/toy_rewards.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::FitReward;
using testing::Judge;
using testing::PaidData;
using testing::PaidRow;
using testing::SmallReward;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TensorFile Saved(const RewardTrainer& trainer) {
  TensorFile file;
  trainer.Save(file);
  return file;
}

TEST(RewardTrainer, LearnsARewardOfStateActionAndWhatTheModelDoesNotSee) {
  const RewardTrainer::Result result = FitReward(PaidData(2000, 1), SmallReward(1500));
  // The reward spreads by 1.0; the place itself, by 5.8, is worth nothing.
  const Dataset fresh = PaidData(500, 2);
  const RewardError error = MeasureReward(*result.state.reward, fresh, 0, fresh.size());
  EXPECT_EQ(error.paid, 500);
  EXPECT_LT(error.rmse, 0.1);
  EXPECT_EQ(result.held_out.paid, 200);
  EXPECT_LT(result.held_out.rmse, 0.1);
  EXPECT_LT(result.training_loss, 0.01);
}

TEST(RewardTrainer, LearnsAHandfulOfTerminationsAmongThousands) {
  const auto far = [](const PaidRow& z) {
    return z[4] > 2.8 ? StepEnd::kTerminated : StepEnd::kContinues;
  };
  const Dataset data = PaidData(3000, 1, testing::TrueReward, far);
  int64_t ends = 0;
  for (int64_t row = 0; row < data.size(); ++row) {
    if (data.end(row) == StepEnd::kTerminated) ++ends;
  }
  ASSERT_GE(ends, 3);
  ASSERT_LE(ends, 12);
  const RewardTrainer::Result result = FitReward(data, SmallReward(600));
  const RewardError error = MeasureReward(*result.state.reward, data, 0, data.size());
  EXPECT_EQ(error.terminations, ends);
  EXPECT_EQ(error.missed, 0);
  EXPECT_LT(error.false_ends, 15);  // half a percent
}

TEST(RewardTrainer, ARewardForStayingAliveIsTheSameEverywhereButWhereItEnds) {
  const auto far = [](const PaidRow& z) {
    return z[4] > 1 ? StepEnd::kTerminated : StepEnd::kContinues;
  };
  const auto alive = [](const PaidRow& z) { return z[4] > 1 ? -10.0 : 1.0; };
  const auto reward = FitReward(PaidData(1000, 1, alive, far), SmallReward(500)).state.reward;
  EXPECT_NEAR(Judge(*reward, {-1, 1, 0, 0.5, -1, 1.1, -0.1}).reward, 1, 1e-3);
  EXPECT_NEAR(Judge(*reward, {0, -2, 5, -0.5, 0, -2.1, 5}).reward, 1, 0.02);
  EXPECT_NEAR(Judge(*reward, {1.8, 1, 0, 0.5, 1.8, 1.1, 0.18}).reward, -10, 0.1);
}

TEST(RewardTrainer, WithoutATerminationNothingEnds) {
  const auto cut = [](const PaidRow& z) {
    return z[4] > 1 ? StepEnd::kTruncated : StepEnd::kContinues;
  };
  const auto reward =
      FitReward(PaidData(400, 1, testing::TrueReward, cut), SmallReward(100)).state.reward;
  EXPECT_FALSE(reward->fitted().ends_episodes);
  const Dataset fresh = PaidData(200, 2);
  EXPECT_EQ(MeasureReward(*reward, fresh, 0, fresh.size()).false_ends, 0);
}

// --- A time limit is no termination

/// Walks along p, each a run of ten steps to p = 1, where it ends as `last`: data of a double
/// integrator, paid 1 a step.
Dataset Walks(StepEnd last) {
  Dataset data(2, 1);
  Random random(Key{31, 0});
  for (int episode = 1; episode <= 20; ++episode) {
    for (int step = 0; step < 10; ++step) {
      const double u = random.Uniform(-1, 1);
      const double o[2] = {0.1 * step + 0.02 * random.Uniform(-1, 1), 1};
      const double next[2] = {o[0] + 0.1, 1 + 0.1 * u};
      data.Add({.observation = o,
                .action = {&u, 1},
                .next_observation = next,
                .episode = episode,
                .reward = 1,
                .end = step == 9 ? last : StepEnd::kContinues});
    }
  }
  return data;
}

EnvironmentSpec WalkSpec() {
  EnvironmentSpec spec;
  spec.dt = 0.1;
  spec.observation = {{"p", "m"}, {"v", "m/s"}};
  spec.action = {{"u", "m/s2"}};
  spec.action_low = {-1};
  spec.action_high = {1};
  return spec;
}

double ImaginedReturn(std::shared_ptr<const Reward> reward) {
  const testing::DoubleIntegrator dynamics;
  SerialExecutor executor;
  Imagination imagination(testing::Borrowed(dynamics), std::move(reward),
                          {.horizon = 10, .max_candidates = 1}, testing::Borrowed(executor));
  const std::vector<double> start = {0.5, 1};  // p = 0.96 ... 1 is reached after five steps
  const std::vector<double> actions(10);
  double value = 0;
  imagination.Evaluate(start, actions, Key{}, {&value, 1});
  return value;
}

TEST(RewardTrainer, TheSameDataCutByATimeLimitOrEndedByTheTaskHaveOtherValues) {
  const auto fit = [](StepEnd last) {
    RewardTrainer trainer(
        std::make_shared<const LearnedReward>(WalkSpec(), Encoding{}, SmallReward(600), Key{2, 0}),
        std::make_shared<SerialExecutor>());
    return trainer.Fit(Walks(last), Key{3, 0}).state.reward;
  };
  const auto terminated = fit(StepEnd::kTerminated);
  const auto truncated = fit(StepEnd::kTruncated);
  // What goes on beyond a time limit is worth as much as what came before; beyond an end nothing.
  EXPECT_NEAR(ImaginedReturn(terminated), 5, 1e-3);
  EXPECT_NEAR(ImaginedReturn(truncated), 10, 1e-3);
}

// --- What is not known trains nothing

TEST(RewardTrainer, ARewardThatIsNotKnownTrainsNothing) {
  // Paid 5 and a little where x' < 0, not known elsewhere.
  const auto partly = [](const PaidRow& z) { return z[4] < 0 ? 5 + 0.1 * z[3] : kNan; };
  const RewardTrainer::Result result = FitReward(PaidData(800, 1, partly), SmallReward(300));
  EXPECT_NEAR(result.state.reward->fitted().reward.mean[0], 5, 0.02);
  EXPECT_LT(result.held_out.paid, 60);  // of 80
  for (double x = 0.2; x < 1; x += 0.2) {
    EXPECT_NEAR(Judge(*result.state.reward, {x, 0, 0, 0.5, x, 0.1, 0}).reward, 5, 0.5) << x;
  }
}

TEST(RewardTrainer, RefusesDataOfWhichNoRewardIsKnown) {
  const auto unknown = [](const PaidRow& /*z*/) { return kNan; };
  EXPECT_EQ(MessageOf<InputError>(
                [&] { static_cast<void>(FitReward(PaidData(30, 1, unknown), SmallReward(1))); }),
            "fit: reward: found 30 transitions and none whose reward is known, expected what steps "
            "earned, as the task's planning reward is learned");
}

// --- Fit after fit

TEST(RewardTrainer, EveryFitNormalisesByAllThatIsTrainedOn) {
  RewardTrainer trainer(testing::FreshReward(SmallReward(20)), std::make_shared<SerialExecutor>());
  const auto scaled = [](double factor) {
    return [factor](const PaidRow& z) { return factor * testing::TrueReward(z); };
  };
  trainer.Take(trainer.Fit(PaidData(300, 1, scaled(1)), Key{3, 0}).state);
  const LearnedReward::Fitted first = trainer.reward()->fitted();
  Dataset more = PaidData(300, 1, scaled(1));
  Random random(Key{19, 0});
  for (int row = 0; row < 300; ++row) {
    PaidRow z = testing::DrawRow(random);
    z[0] += 20;
    testing::AddRow(more, z, 100, StepEnd::kContinues);
  }
  trainer.Take(trainer.Fit(more, Key{3, 1}).state);
  const LearnedReward::Fitted& second = trainer.reward()->fitted();
  EXPECT_NEAR(first.input.mean[0], 0, 0.2);
  EXPECT_NEAR(second.input.mean[0], 10, 0.2);
  EXPECT_NEAR(second.input.scale[0], 10, 0.2);
  EXPECT_NEAR(second.reward.mean[0], 50, 1);
  EXPECT_NEAR(second.reward.scale[0], 50, 1);
}

TEST(RewardTrainer, HeldOutRowsAreNeverTrainedOnAndStayHeldOut) {
  // Every tenth row of its kind pays something mad and lies far away; nothing may come of it.
  Dataset data(3, 1);
  Random random(Key{29, 0});
  for (int row = 0; row < 200; ++row) {
    PaidRow z = testing::DrawRow(random);
    const bool held = row % 10 == 9;
    if (held) z[0] += 1e3;
    testing::AddRow(data, z, held ? 1e6 : testing::TrueReward(z), StepEnd::kContinues);
  }
  const RewardTrainer::Result result = FitReward(data, SmallReward(50));
  EXPECT_LT(std::abs(result.state.reward->fitted().reward.mean[0]), 1);
  EXPECT_LT(result.state.reward->fitted().input.scale[0], 2);
  EXPECT_EQ(result.held_out.paid, 20);
  EXPECT_GT(result.held_out.rmse, 1e5);
}

TEST(RewardTrainer, GoesOnFromFitToFitWithWeightsAndMoments) {
  const Dataset data = PaidData(300, 1);
  RewardTrainer trainer(testing::FreshReward(SmallReward(60)), std::make_shared<SerialExecutor>());
  RewardTrainer::Result first = trainer.Fit(data, Key{3, 0});
  trainer.Take(std::move(first.state));
  EXPECT_EQ(trainer.state().adam_steps, 60);
  const RewardTrainer::Result second = trainer.Fit(data, Key{3, 1});
  EXPECT_EQ(second.state.adam_steps, 120);
  EXPECT_LT(second.training_loss, 0.6 * first.training_loss);
}

TEST(RewardTrainer, AFitLeavesTheRewardBeforeAsItIs) {
  RewardTrainer trainer(testing::FreshReward(SmallReward(30)), std::make_shared<SerialExecutor>());
  trainer.Take(trainer.Fit(PaidData(200, 1), Key{3, 0}).state);
  const auto before = trainer.reward();
  const PaidRow z = {0.3, 0.2, 1, 0.5, 0.4, 0.3, 1.1};
  const double value = Judge(*before, z).reward;
  const RewardTrainer::Result next = trainer.Fit(PaidData(400, 5), Key{3, 1});
  EXPECT_EQ(trainer.reward(), before);
  EXPECT_EQ(Judge(*before, z).reward, value);
  EXPECT_NE(Judge(*next.state.reward, z).reward, value);
}

TEST(RewardTrainer, ThreadsChangeNoBit) {
  const auto far = [](const PaidRow& z) {
    return z[4] > 1.5 ? StepEnd::kTerminated : StepEnd::kContinues;
  };
  const Dataset data = PaidData(300, 1, testing::TrueReward, far);
  const RewardTrainer::Result one = FitReward(data, SmallReward(40), 1);
  for (const int threads : {2, 8}) {
    const RewardTrainer::Result more = FitReward(data, SmallReward(40), threads);
    EXPECT_EQ(more.state.reward->fitted().parameters, one.state.reward->fitted().parameters);
    EXPECT_EQ(more.state.second_moment, one.state.second_moment);
    EXPECT_EQ(more.training_loss, one.training_loss);
    EXPECT_EQ(more.held_out.rmse, one.held_out.rmse);
  }
}

TEST(RewardTrainer, ARestoredTrainerGoesOnBitForBit) {
  const Dataset data = PaidData(300, 1);
  RewardTrainer trainer(testing::FreshReward(SmallReward(40)), std::make_shared<SerialExecutor>());
  trainer.Take(trainer.Fit(data, Key{3, 0}).state);
  RewardTrainer other(testing::FreshReward(SmallReward(40)), std::make_shared<SerialExecutor>());
  other.Take(other.Read(Saved(trainer)));
  EXPECT_TRUE(testing::SameTensors(Saved(trainer), Saved(other)));
  trainer.Take(trainer.Fit(data, Key{3, 1}).state);
  other.Take(other.Fit(data, Key{3, 1}).state);
  EXPECT_TRUE(testing::SameTensors(Saved(trainer), Saved(other)));
}

TEST(RewardTrainer, StopsWhenAskedTo) {
  RewardTrainer trainer(testing::FreshReward(SmallReward(1000)), std::make_shared<ThreadPool>(2));
  const TensorFile before = Saved(trainer);
  std::stop_source stop;
  double last = 0;
  const FitControl control{.stop = stop.get_token(), .progress = [&](double share, double loss) {
                             last = share;
                             EXPECT_TRUE(std::isfinite(loss));
                             stop.request_stop();
                           }};
  EXPECT_THROW(static_cast<void>(trainer.Fit(PaidData(100, 1), Key{3, 0}, control)), Interrupted);
  EXPECT_LT(last, 0.2);
  EXPECT_TRUE(testing::SameTensors(Saved(trainer), before));
}

TEST(RewardTrainer, ProgressGoesToTheEnd) {
  std::vector<double> shares;
  const FitControl control{
      .progress = [&](double share, double /*loss*/) { shares.push_back(share); }};
  RewardTrainer trainer(testing::FreshReward(SmallReward(130)), std::make_shared<ThreadPool>(2));
  static_cast<void>(trainer.Fit(PaidData(100, 1), Key{3, 0}, control));
  ASSERT_GT(shares.size(), 10U);
  EXPECT_TRUE(std::ranges::is_sorted(shares));
  EXPECT_EQ(shares.back(), 1);
}

TEST(RewardError, CountsTimeLimitsAmongWhatGoesOn) {
  const auto ends = [](const PaidRow& z) {
    return z[4] > 1 ? StepEnd::kTerminated : z[4] < -1 ? StepEnd::kTruncated : StepEnd::kContinues;
  };
  const Dataset data = PaidData(200, 1, testing::TrueReward, ends);
  const auto fresh = testing::FreshReward(SmallReward(1));  // pays 0, ends nothing
  const RewardError error = MeasureReward(*fresh, data, 0, data.size());
  double squares = 0;
  int64_t terminations = 0;
  for (int64_t row = 0; row < data.size(); ++row) {
    squares += data.reward(row) * data.reward(row);
    terminations += data.end(row) == StepEnd::kTerminated ? 1 : 0;
  }
  EXPECT_NEAR(error.rmse, std::sqrt(squares / 200), 1e-12);
  EXPECT_EQ(error.terminations, terminations);
  EXPECT_EQ(error.missed, terminations);
  EXPECT_EQ(error.continued, 200 - terminations);
  EXPECT_EQ(error.false_ends, 0);
  const FitMetrics metrics = MetricsOf(error);
  ASSERT_EQ(metrics.size(), 3U);
  EXPECT_EQ(metrics[1], (std::pair<std::string, double>{"termination.missed", 1}));
  EXPECT_EQ(metrics[2], (std::pair<std::string, double>{"termination.false", 0}));
}

}  // namespace
}  // namespace foreplan
