#include "foreplan/models/imagination.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/systems/closed_form/cartpole.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::QuadraticReward;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr Key kKey{.seed = 3, .stream = 0};
const std::vector<double> kStart = {1.0, -0.5};

std::vector<double> RandomActions(int candidates, int horizon) {
  std::vector<double> actions(static_cast<size_t>(candidates * horizon));
  Random(Key{.seed = 9, .stream = 0}).FillNormal(actions);
  return actions;
}

std::vector<double> Evaluate(const Dynamics& dynamics, const Reward& reward, int horizon,
                             int particles, const std::vector<double>& actions, int threads) {
  ThreadPool executor(threads);
  const int candidates = static_cast<int>(actions.size()) / horizon;
  Imagination imagination(
      testing::Borrowed(dynamics), testing::Borrowed(reward),
      {.horizon = horizon, .max_candidates = candidates, .particles = particles},
      testing::Borrowed(executor));
  std::vector<double> returns(static_cast<size_t>(candidates));
  imagination.Evaluate(kStart, actions, kKey, returns);
  return returns;
}

// The return of one candidate, one row at a time; it ends where |p| > limit.
double RollOut(const double* actions, int horizon, double limit) {
  double p = kStart[0];
  double v = kStart[1];
  double sum = 0;
  for (int t = 0; t < horizon && std::abs(p) <= limit; ++t) {
    p += DoubleIntegrator::kStep * v;
    v += DoubleIntegrator::kStep * actions[t];
    sum -= p * p + 0.1 * v * v + 0.01 * actions[t] * actions[t];
  }
  return sum;
}

TEST(Imagination, SumsRewardsOverTheHorizonForAnyNumberOfCandidates) {
  const int horizon = 12;
  for (const int candidates : {1, 2, 15, 64, 65, 131}) {
    const auto actions = RandomActions(candidates, horizon);
    const auto returns = Evaluate(DoubleIntegrator(), QuadraticReward(), horizon, 5, actions, 2);
    for (int c = 0; c < candidates; ++c) {
      // The same operations; room for fused multiply-adds.
      EXPECT_NEAR(returns[static_cast<size_t>(c)],
                  RollOut(&actions[static_cast<size_t>(c * horizon)], horizon, 1e300), 1e-12);
    }
  }
}

TEST(Imagination, EndedRowsEarnNothingMore) {
  const int horizon = 40;
  QuadraticReward reward;
  reward.limit = 1.2;
  std::vector<double> actions = RandomActions(50, horizon);
  for (double& action : actions) action *= 3;  // so that some leave the limits and others do not
  const auto returns = Evaluate(DoubleIntegrator(), reward, horizon, 1, actions, 2);
  int ended = 0;
  for (size_t c = 0; c < returns.size(); ++c) {
    const double* sequence = &actions[c * static_cast<size_t>(horizon)];
    const double expected = RollOut(sequence, horizon, reward.limit);
    EXPECT_NEAR(returns[c], expected, 1e-12);  // room for fused multiply-adds
    if (expected != RollOut(sequence, horizon, 1e300)) ++ended;
  }
  EXPECT_GT(ended, 5);
  EXPECT_LT(ended, 45);
}

// Ends by a strong action, and by nothing of the state: one that ended may look alive again.
class EndsByAction final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    for (int row = 0; row < batch.rows; ++row) {
      reward[row] = 1;
      terminated[row] = batch.action[row] > 5 ? 1 : 0;
    }
  }
};

TEST(Imagination, EndedRowsEarnNothingMoreWhereNothingElseEnds) {
  std::vector<double> actions(4 * 4);  // of four candidates: two tiles
  actions[1] = 6;
  EXPECT_EQ(Evaluate(DoubleIntegrator(), EndsByAction(), 4, 1, actions, 1),
            (std::vector<double>{2, 4, 4, 4}));
}

TEST(Imagination, WhatIsNotFiniteIsWorstAndLeavesTheOthersAlone) {
  const int horizon = 6;
  DoubleIntegrator dynamics;
  dynamics.nan_above = 50;
  std::vector<double> actions = RandomActions(20, horizon);
  const auto clean = Evaluate(dynamics, QuadraticReward(), horizon, 1, actions, 1);
  actions[7 * 6 + 5] = 51;    // a NaN state in the last step
  actions[3 * 6 + 0] = kNan;  // and one in the first
  const auto returns = Evaluate(dynamics, QuadraticReward(), horizon, 1, actions, 1);
  for (size_t c = 0; c < returns.size(); ++c) {
    EXPECT_EQ(returns[c], c == 3 || c == 7 ? -std::numeric_limits<double>::infinity() : clean[c]);
  }
}

// Rewards that compare, and so overlook a NaN.
class BlindReward final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    for (int row = 0; row < batch.rows; ++row) {
      reward[row] = batch.next_observation[2 * row + 1] > 0 ? 1.0 : 0.0;
      terminated[row] = batch.next_observation[2 * row + 1] > 0 ? 0 : 1;
    }
  }
};

TEST(Imagination, SeesANanThatTheRewardOverlooks) {
  DoubleIntegrator dynamics;
  dynamics.nan_above = 50;
  const auto returns = Evaluate(dynamics, BlindReward(), 2, 1, {10, 10, 51, 10}, 1);
  EXPECT_EQ(returns[0], 2.0);
  EXPECT_EQ(returns[1], -std::numeric_limits<double>::infinity());
}

TEST(Imagination, AveragesParticlesOfAStochasticModelOnly) {
  // Every particle costs a step of the model.
  class Counting final : public DoubleIntegrator {
   public:
    mutable std::atomic<int> rows{0};
    void Step(const StepBatch& batch, Workspace& workspace) const override {
      rows += batch.rows;
      DoubleIntegrator::Step(batch, workspace);
    }
  };
  const auto actions = RandomActions(10, 1);
  Counting dynamics;
  Evaluate(dynamics, QuadraticReward(), 1, 7, actions, 2);
  EXPECT_EQ(dynamics.rows, 10);

  dynamics.rows = 0;
  dynamics.noise = 0.5;
  const auto returns = Evaluate(dynamics, QuadraticReward(), 1, 7, actions, 2);
  EXPECT_EQ(dynamics.rows, 70);
  double mean = 0;
  for (uint64_t particle = 0; particle < 7; ++particle) {
    const double v =
        kStart[1] + 0.1 * actions[0] + 0.5 * Random(kKey.Fold(particle).Fold(0)).Normal();
    const double p = kStart[0] + 0.1 * kStart[1];
    mean -= (p * p + 0.1 * v * v + 0.01 * actions[0] * actions[0]) / 7;
  }
  EXPECT_NEAR(returns[0], mean, 1e-12);  // rounding
}

TEST(Imagination, IsEqualBitForBitOnAnyNumberOfThreads) {
  DoubleIntegrator dynamics;
  dynamics.noise = 0.3;
  const auto actions = RandomActions(70, 11);
  const auto serial = Evaluate(dynamics, QuadraticReward(), 11, 5, actions, 1);
  EXPECT_EQ(serial, Evaluate(dynamics, QuadraticReward(), 11, 5, actions, 2));
  EXPECT_EQ(serial, Evaluate(dynamics, QuadraticReward(), 11, 5, actions, 8));
}

TEST(Imagination, RollsASimulatorWhoseStateIsNotTheObservation) {
  CartPole system;
  const TrueDynamics dynamics(system);
  const auto reward = MakeReward("pets_cartpole", 4, 1);
  const int horizon = 9;
  const auto actions = RandomActions(30, horizon);
  ThreadPool executor(2);
  Imagination imagination(testing::Borrowed(dynamics), testing::Borrowed(*reward),
                          {.horizon = horizon, .max_candidates = 30, .particles = 1},
                          testing::Borrowed(executor));
  system.Reset(kKey);
  std::vector<double> start(static_cast<size_t>(dynamics.state_dim()));
  system.GetState(start);
  std::vector<double> returns(30);
  imagination.Evaluate(start, actions, kKey, returns);

  for (size_t c = 0; c < returns.size(); ++c) {
    system.SetState(start);
    double sum = 0;
    std::vector<double> observation(4);
    std::vector<double> next_observation(4);
    for (size_t t = 0; t < 9; ++t) {
      const double* action = &actions[c * 9 + t];
      system.Observe(observation);
      ASSERT_EQ(system.Step({action, 1}), StepStatus::kOk);
      system.Observe(next_observation);
      double r = 0;
      uint8_t terminated = 0;
      reward->Evaluate({1, observation.data(), action, next_observation.data()}, &r, &terminated);
      sum += r;
    }
    EXPECT_DOUBLE_EQ(returns[c], sum);
  }
}

TEST(Imagination, AllocatesOnlyWhenItIsMade) {
  for (const int threads : {1, 2}) {
    DoubleIntegrator dynamics;
    dynamics.noise = 0.1;
    const QuadraticReward reward;
    ThreadPool executor(threads);
    Imagination imagination(testing::Borrowed(dynamics), testing::Borrowed(reward),
                            {.horizon = 8, .max_candidates = 100, .particles = 5},
                            testing::Borrowed(executor));
    const auto actions = RandomActions(100, 8);
    std::vector<double> returns(100);
    EXPECT_EQ(
        testing::CountAllocations([&] { imagination.Evaluate(kStart, actions, kKey, returns); }),
        0);
  }
}

TEST(Imagination, NamesTheSizeThatIsWrong) {
  const DoubleIntegrator dynamics;
  const QuadraticReward reward;
  ThreadPool executor(1);
  try {
    Imagination imagination(testing::Borrowed(dynamics), testing::Borrowed(reward),
                            {.horizon = 0, .max_candidates = 1}, testing::Borrowed(executor));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "imagination: horizon: found 0, expected at least 1");
  }
}

}  // namespace
}  // namespace foreplan
