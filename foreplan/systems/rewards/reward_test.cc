#include "foreplan/systems/rewards/reward.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/systems/rewards/gymnasium_reward_functions.h"
#include "foreplan/systems/rewards/reward_functions.h"
#include "foreplan/systems/testing/golden_test_data.h"

namespace foreplan {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Outcome {
  double reward;
  bool terminated;
};

Outcome EvaluateOne(const Reward& reward, const std::vector<double>& observation,
                    const std::vector<double>& action, const std::vector<double>& next) {
  double value = 0;
  uint8_t terminated = 2;
  reward.Evaluate({1, observation.data(), action.data(), next.data()}, &value, &terminated);
  EXPECT_LE(terminated, 1);
  return {value, terminated == 1};
}

TEST(PetsCartPoleReward, EqualsTheRecordedRewards) {
  const auto reward = MakeReward("pets_cartpole", 4, 1);
  for (const char* name : {"pets_cartpole", "pets_cartpole_rail"}) {
    const GoldenTrajectory golden(name);
    auto observation = Join(golden.Initial("qpos"), golden.Initial("qvel"));
    for (int step = 0; step < golden.steps(); ++step) {
      const auto next = Join(golden.Row("qpos", step), golden.Row("qvel", step));
      const auto found = EvaluateOne(*reward, observation, golden.Row("action", step), next);
      ASSERT_NEAR(found.reward, golden.Row("reward", step)[0], 1e-12) << name << " step " << step;
      ASSERT_FALSE(found.terminated);
      observation = next;
    }
  }
}

TEST(PetsCartPoleReward, IsLargestUprightAndPaysForTheAction) {
  const auto reward = MakeReward("pets_cartpole", 4, 1);
  const double pi = std::numbers::pi;
  EXPECT_NEAR(EvaluateOne(*reward, {0, 0, 0, 0}, {0}, {0, pi, 0, 0}).reward, 1, 1e-15);
  EXPECT_NEAR(EvaluateOne(*reward, {0, 0, 0, 0}, {3}, {0, pi, 0, 0}).reward, 1 - 0.09, 1e-15);
  EXPECT_NEAR(EvaluateOne(*reward, {0, 0, 0, 0}, {0}, {0, 0, 0, 0}).reward, std::exp(-4), 1e-15);
  EXPECT_NEAR(EvaluateOne(*reward, {0, 0, 0, 0}, {0}, {0.6, pi, 0, 0}).reward, std::exp(-1), 1e-15);
}

TEST(PendulumReward, EqualsTheRecordedRewards) {
  const auto reward = MakeReward("pendulum", 3, 1);
  const GoldenTrajectory golden("pendulum");
  const auto observe = [](const std::vector<double>& state) {
    return std::vector<double>{std::cos(state[0]), std::sin(state[0]), state[1]};
  };
  auto observation = observe(golden.Initial("state"));
  for (int step = 0; step < golden.steps(); ++step) {
    const auto next = observe(golden.Row("state", step));
    const auto found = EvaluateOne(*reward, observation, golden.Row("action", step), next);
    ASSERT_NEAR(found.reward, golden.Row("reward", step)[0], 1e-12) << "step " << step;
    ASSERT_FALSE(found.terminated);
    observation = next;
  }
}

TEST(PendulumReward, LooksAtTheStateBeforeTheStep) {
  const auto reward = MakeReward("pendulum", 3, 1);
  EXPECT_EQ(EvaluateOne(*reward, {1, 0, 0}, {0}, {-1, 0, 5}).reward, 0);
  EXPECT_NEAR(EvaluateOne(*reward, {-1, 0, 8}, {2}, {1, 0, 0}).reward,
              -(std::numbers::pi * std::numbers::pi + 6.4 + 0.004), 1e-14);
}

// Rewards are computed several rows at a time: what the plain formula gives, but for the rounding
// of numbers below 100.
template <typename Function>
void ExpectPlainFormula(const std::string& name) {
  constexpr size_t no = Function::kObservationDim;
  constexpr size_t nu = Function::kActionDim;
  const auto reward = MakeReward(name, no, nu);
  Random random(Key{1, no});
  for (const size_t rows : {1, 3, 8, 13, 64}) {
    std::vector<double> observation(rows * no);
    std::vector<double> action(rows * nu);
    std::vector<double> next(rows * no);
    for (auto* values : {&observation, &action, &next}) {
      for (double& value : *values) value = random.Uniform(-3.0, 3.0);
    }
    std::vector<double> found(rows);
    std::vector<uint8_t> terminated(rows);
    reward->Evaluate({static_cast<int>(rows), observation.data(), action.data(), next.data()},
                     found.data(), terminated.data());
    for (size_t row = 0; row < rows; ++row) {
      EXPECT_EQ(terminated[row] != 0, Function().Terminated(&next[row * no]));
      EXPECT_NEAR(found[row],
                  Function()(&observation[row * no], &action[row * nu], &next[row * no]), 1e-13);
    }
  }
}

TEST(Reward, EveryRowOfABatchIsThePlainFormula) {
  ExpectPlainFormula<PetsCartPoleReward>("pets_cartpole");
  ExpectPlainFormula<PendulumReward>("pendulum");
  ExpectPlainFormula<InvertedPendulumReward>("inverted_pendulum");
  ExpectPlainFormula<GymnasiumAntReward>("gymnasium_ant");
  ExpectPlainFormula<GymnasiumHalfCheetahReward>("gymnasium_half_cheetah");
  ExpectPlainFormula<GymnasiumHopperReward>("gymnasium_hopper");
  ExpectPlainFormula<GymnasiumHumanoidReward>("gymnasium_humanoid");
  ExpectPlainFormula<GymnasiumInvertedDoublePendulumReward>("gymnasium_inverted_double_pendulum");
  ExpectPlainFormula<GymnasiumPusherReward>("gymnasium_pusher");
  ExpectPlainFormula<GymnasiumReacherReward>("gymnasium_reacher");
  ExpectPlainFormula<GymnasiumSwimmerReward>("gymnasium_swimmer");
  ExpectPlainFormula<GymnasiumWalker2dReward>("gymnasium_walker2d");
  ExpectPlainFormula<PetsHalfCheetahReward>("pets_half_cheetah");
  ExpectPlainFormula<PetsPusherReward>("pets_pusher");
  ExpectPlainFormula<PetsPusherPlanningReward>("pets_pusher_planning");
  ExpectPlainFormula<PetsReacher3dReward>("pets_reacher3d");
}

TEST(Reward, ARowDoesNotNoticeItsNeighbours) {
  const auto reward = MakeReward("pets_cartpole", 4, 1);
  std::vector<double> rows(4 * 13, 0.5);
  const std::vector<double> actions(13, 0.25);
  const auto third = [&] {
    std::vector<double> found(13);
    std::vector<uint8_t> terminated(13);
    reward->Evaluate({13, rows.data(), actions.data(), rows.data()}, found.data(),
                     terminated.data());
    return found[3];
  };
  const double among_equals = third();
  for (const double neighbour : {-2.0, 1e300, kNan, kInfinity}) {
    std::fill(rows.begin() + 16, rows.end(), neighbour);
    EXPECT_EQ(third(), among_equals) << neighbour;
  }
}

TEST(InvertedPendulumReward, EqualsTheRecordedRewardsAndTerminations) {
  const auto reward = MakeReward("inverted_pendulum", 4, 1);
  int terminations = 0;
  for (const char* name : {"gymnasium_inverted_pendulum", "gymnasium_inverted_pendulum_balanced"}) {
    const GoldenTrajectory golden(name);
    auto observation = Join(golden.Initial("qpos"), golden.Initial("qvel"));
    for (int step = 0; step < golden.steps(); ++step) {
      const auto next = Join(golden.Row("qpos", step), golden.Row("qvel", step));
      const auto found = EvaluateOne(*reward, observation, golden.Row("action", step), next);
      ASSERT_EQ(found.reward, golden.Row("reward", step)[0]) << name << " step " << step;
      ASSERT_EQ(found.terminated, golden.Row("terminated", step)[0] == 1.0) << name << " " << step;
      terminations += found.terminated ? 1 : 0;
      observation = next;
    }
  }
  EXPECT_GT(terminations, 0);
}

TEST(CenteredInvertedPendulumReward, PrefersRestInTheMiddleAndEndsLikeTheTask) {
  const auto task = MakeReward("inverted_pendulum", 4, 1);
  const auto planning = MakeReward("centered_inverted_pendulum", 4, 1);
  const std::vector<double> rest = {0, 0, 0, 0};
  EXPECT_EQ(EvaluateOne(*planning, rest, {0}, rest).reward, 1.0);
  const std::vector<std::vector<double>> worse = {
      {0.5, 0, 0, 0}, {0, 0.1, 0, 0}, {0, 0, 0.5, 0}, {0, 0, 0, 0.5}, {0, 0.21, 0, 0}};
  for (const auto& next : worse) {
    EXPECT_LT(EvaluateOne(*planning, rest, {0}, next).reward, 1.0);
    EXPECT_EQ(EvaluateOne(*planning, rest, {0}, next).terminated,
              EvaluateOne(*task, rest, {0}, next).terminated);
  }
}

TEST(InvertedPendulumReward, TheBoundItselfIsAlive) {
  const auto reward = MakeReward("inverted_pendulum", 4, 1);
  const std::vector<double> zero(4, 0.0);
  EXPECT_FALSE(EvaluateOne(*reward, zero, {0}, {0, 0.2, 0, 0}).terminated);
  EXPECT_FALSE(EvaluateOne(*reward, zero, {0}, {0, -0.2, 0, 0}).terminated);
  EXPECT_TRUE(EvaluateOne(*reward, zero, {0}, {0, std::nextafter(0.2, 1), 0, 0}).terminated);
  const Outcome infinite = EvaluateOne(*reward, zero, {0}, {kInfinity, 0, 0, 0});
  EXPECT_TRUE(infinite.terminated);
  EXPECT_EQ(infinite.reward, 0);
}

class EveryReward : public testing::TestWithParam<std::string> {};

// Every reward is made for one size of observation and action.
std::unique_ptr<const Reward> MakeOfSomeSize(const std::string& name, int* observation_dim,
                                             int* action_dim) {
  for (*action_dim = 1; *action_dim < 20; ++*action_dim) {
    for (*observation_dim = 1; *observation_dim < 400; ++*observation_dim) {
      try {
        return MakeReward(name, *observation_dim, *action_dim);
      } catch (const InputError&) {
        continue;
      }
    }
  }
  return nullptr;
}

TEST_P(EveryReward, NanAnywhereInARowGivesNanInThatRowOnly) {
  int no = 0;
  int nu = 0;
  const auto reward = MakeOfSomeSize(GetParam(), &no, &nu);
  ASSERT_NE(reward, nullptr);
  const auto size = static_cast<size_t>(no);
  const auto actions = static_cast<size_t>(nu);
  for (size_t spoiled = 0; spoiled < 2 * size + actions; ++spoiled) {
    std::vector<double> observation(3 * size, 0.1);
    std::vector<double> action(3 * actions, 0.1);
    std::vector<double> next(3 * size, 0.1);
    if (spoiled < size) {
      observation[size + spoiled] = kNan;
    } else if (spoiled < 2 * size) {
      next[spoiled] = kNan;
    } else {
      action[actions + spoiled - 2 * size] = kNan;
    }
    std::array<double, 3> value{};
    std::array<uint8_t, 3> terminated{};
    reward->Evaluate({3, observation.data(), action.data(), next.data()}, value.data(),
                     terminated.data());
    EXPECT_TRUE(std::isnan(value[1])) << "entry " << spoiled;
    EXPECT_TRUE(std::isfinite(value[0]));
    EXPECT_EQ(value[0], value[2]);
  }
}

INSTANTIATE_TEST_SUITE_P(Rewards, EveryReward, testing::ValuesIn(RewardNames()),
                         [](const auto& info) { return info.param; });

TEST(MakeReward, RefusesUnknownNamesAndWrongSizes) {
  const auto message = [](const std::string& name, int no, int nu) -> std::string {
    try {
      MakeReward(name, no, nu);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message("pendulums", 3, 1).find("did you mean 'pendulum'?"), std::string::npos);
  EXPECT_EQ(message("pendulum", 4, 1),
            "reward: 'pendulum' found 4 observation and 1 action components, expected 3 and 1");
}

}  // namespace
}  // namespace foreplan
