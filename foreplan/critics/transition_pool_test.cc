#include "foreplan/critics/transition_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "foreplan/core/size.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/critics/testing/soft_return_in_double.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::SmallWorld;

TEST(TransitionPool, WhatJoinsLastTakesThePlaceOfWhatJoinedFirst) {
  TransitionPool pool(2, 1, 3);
  EXPECT_EQ(pool.size(), 0);
  EXPECT_EQ(pool.capacity(), 3);
  for (int i = 0; i < 5; ++i) {
    const std::array<double, 2> o = {1.0 * i, 10.0 * i};
    const std::array<double, 2> next = {i + 0.5, -1.0 * i};
    const double u = 100.0 * i;
    pool.Add(o.data(), &u, next.data());
    EXPECT_EQ(pool.size(), std::min(i + 1, 3));
  }
  const std::array<int, 3> who = {3, 4, 2};
  for (int64_t row = 0; row < 3; ++row) {
    const int i = who[static_cast<size_t>(row)];
    EXPECT_EQ(pool.observation(row)[0], i);
    EXPECT_EQ(pool.observation(row)[1], 10 * i);
    EXPECT_EQ(pool.action(row)[0], 100 * i);
    EXPECT_EQ(pool.next_observation(row)[0], i + 0.5);
    EXPECT_EQ(pool.next_observation(row)[1], -i);
  }
  pool.Clear();
  EXPECT_EQ(pool.size(), 0);
  const std::array<double, 2> o = {7, 7};
  pool.Add(o.data(), o.data(), o.data());
  EXPECT_EQ(pool.observation(0)[0], 7);
}

/// x' = x + 0.6; NaN where x < 0, far out where x > 50.
class Line final : public testing::ObservedState<1, 1> {
 public:
  void Step(const StepBatch& batch, Workspace& /*workspace*/) const override {
    for (int row = 0; row < batch.rows; ++row) {
      const double x = batch.state[row];
      batch.next_state[row] = x < 0    ? std::numeric_limits<double>::quiet_NaN()
                              : x > 50 ? 1e30
                                       : x + 0.6;
    }
  }
};

/// Ends where x' >= 1; no number between 20 and 30.
class LineReward final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    for (int row = 0; row < batch.rows; ++row) {
      const double next = batch.next_observation[row];
      reward[row] = next > 20 && next < 30 ? std::numeric_limits<double>::quiet_NaN() : next;
      terminated[row] = next >= 1 && next < 10 ? 1 : 0;
    }
  }
};

SquashedGaussianPolicy LinePolicy() {
  return {FeatureMap(1),
          std::vector<double>{-2},
          std::vector<double>{4},
          {.hidden_layers = 1, .width = 4, .kernel = "eigen"},
          Key{1, 0}};
}

TEST(DistributionRollouts, StepsOfRowsThatGoOnJoinInTheOrderOfParticles) {
  const SquashedGaussianPolicy policy = LinePolicy();
  DistributionRollouts rollouts(policy, 6, 3, 2, std::make_shared<SerialExecutor>());
  rollouts.set_model({std::make_shared<Line>(), std::make_shared<LineReward>()});
  // Ends in the second step; NaN; goes on; ends at once; far out; no reward in the second step.
  const std::vector<double> starts = {0, -1, 11, 0.9, 60, 19};
  TransitionPool pool(1, 1, 100);
  EXPECT_EQ(rollouts.Fill(starts, Key{2, 0}, pool), 7);
  ASSERT_EQ(pool.size(), 7);
  const std::array<double, 7> begins = {0, 11, 0.6, 11.6, 12.2, 0.9, 19};
  for (int64_t row = 0; row < 7; ++row) {
    EXPECT_EQ(pool.observation(row)[0], begins[static_cast<size_t>(row)]) << row;
    EXPECT_EQ(pool.next_observation(row)[0], begins[static_cast<size_t>(row)] + 0.6);
    EXPECT_GE(pool.action(row)[0], -2);
    EXPECT_LE(pool.action(row)[0], 4);
  }
}

TEST(DistributionRollouts, AStepThatLeavesTheRangeIsNotGiven) {
  const SquashedGaussianPolicy policy = LinePolicy();
  DistributionRollouts rollouts(policy, 2, 3, 1, std::make_shared<SerialExecutor>());
  Dataset seen(1, 1);
  const std::vector<double> action = {0};
  seen.Add(std::vector<double>{0}, action, std::vector<double>{12}, 1);
  rollouts.set_model({std::make_shared<Line>(), std::make_shared<LineReward>()},
                     ObservationRange(seen, 0));
  TransitionPool pool(1, 1, 100);
  // 0.6 further with every step: to 11.6 and 12.2; to 12.2.
  EXPECT_EQ(rollouts.Fill(std::vector<double>{11, 11.6}, Key{2, 0}, pool), 1);
  ASSERT_EQ(pool.size(), 1);
  EXPECT_EQ(pool.next_observation(0)[0], 11.6);
}

TEST(DistributionRollouts, ActionsAreThePolicysNoiseIncluded) {
  SmallWorld w(4);
  w.model->noise = 0.3;
  DistributionRollouts rollouts(w.policy, 4, 3, 2, w.executor);
  rollouts.set_model(w.version());
  TransitionPool pool(3, 2, 100);
  const Key key{2, 0};
  ASSERT_EQ(rollouts.Fill(w.starts, key, pool), 12);
  int64_t place = 0;
  for (int particle = 0; particle < 2; ++particle) {
    for (int t = 0; t < 3; ++t) {
      const auto xi = testing::NoiseOf(key, testing::kPolicyNoise, particle, t, 4);
      const auto epsilon = testing::NoiseOf(key, testing::kModelNoise, particle, t, 6);
      for (int row = 0; row < 2; ++row, ++place) {
        const double* o = pool.observation(place);
        if (t == 0) {
          EXPECT_TRUE(std::ranges::equal(std::span(o, 3), testing::StartOf(w, 2 * particle + row)));
        } else {
          EXPECT_TRUE(
              std::ranges::equal(std::span(o, 3), std::span(pool.next_observation(place - 2), 3)));
        }
        const testing::Drawn drawn =
            testing::Draw(w, testing::InDouble(w.policy.parameters()), o, &xi[Size(row, 2)]);
        std::array<double, 3> next;
        w.model->Next(o, pool.action(place), &epsilon[Size(row, 3)], next.data());
        // The policy's network is in float.
        for (int i = 0; i < 2; ++i) EXPECT_NEAR(pool.action(place)[i], drawn.u[i], 1e-5);
        for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(pool.next_observation(place)[i], next[i], 1e-12);
      }
    }
  }
}

TEST(DistributionRollouts, NoiseIsAnotherForEveryRowTimeParticleAndKey) {
  SmallWorld w(4);
  w.starts.assign(12, 0.1);
  w.model->noise = 0.3;
  DistributionRollouts rollouts(w.policy, 4, 2, 2, w.executor);
  rollouts.set_model(w.version());
  TransitionPool pool(3, 2, 100);
  rollouts.Fill(w.starts, Key{2, 0}, pool);
  rollouts.Fill(w.starts, Key{2, 1}, pool);
  std::set<double> actions;
  std::set<double> nexts;
  for (int64_t row = 0; row < pool.size(); ++row) {
    actions.insert(pool.action(row)[0]);
    nexts.insert(pool.next_observation(row)[2]);
  }
  EXPECT_EQ(actions.size(), 16U);
  EXPECT_EQ(nexts.size(), 16U);
}

TEST(DistributionRollouts, ThreadsChangeNoBitAndNothingIsAllocated) {
  SmallWorld w(10);
  w.reward->end_above = 0.4;
  const auto ensemble = std::make_shared<Ensemble>(testing::SmallEnsemble());
  std::vector<std::vector<double>> found;
  for (const int threads : {1, 2, 3}) {
    DistributionRollouts rollouts(w.policy, 10, 5, 4, std::make_shared<ThreadPool>(threads));
    rollouts.set_model({ensemble, w.reward});
    TransitionPool pool(3, 2, 100);
    EXPECT_EQ(testing::CountAllocations([&] { rollouts.Fill(w.starts, Key{2, 0}, pool); }), 0);
    const double* first = pool.observation(0);
    found.emplace_back(first, first + 8 * pool.size());
  }
  EXPECT_EQ(found[1], found[0]);
  EXPECT_EQ(found[2], found[0]);
}

TEST(DistributionRollouts, NamesWhatIsWrong) {
  SmallWorld w(3);
  EXPECT_EQ(MessageOf([] { TransitionPool(0, 1, 5); }),
            "pool: found 0 observed numbers, 1 actions and room for 5, expected at least 1 each");
  EXPECT_NE(MessageOf([] { TransitionPool(3, 2, int64_t{1} << 50); }), "");
  EXPECT_EQ(MessageOf([&] { DistributionRollouts(w.policy, 3, 0, 1, w.executor); }),
            "imagined rollouts: found 3 rows, 0 steps and 1 particles, expected at least 1 each");
  DistributionRollouts rollouts(w.policy, 3, 1, 9, w.executor);
  EXPECT_EQ(MessageOf([&] { rollouts.set_model({}); }),
            "imagined rollouts: dynamics: found null, expected a model");
  EXPECT_EQ(MessageOf([&] { rollouts.set_model({w.model}); }),
            "imagined rollouts: reward: found null, expected one");
  const testing::DoubleIntegrator small;
  EXPECT_EQ(MessageOf([&] {
              rollouts.set_model({testing::Borrowed(small), w.reward});
            }),
            "imagined rollouts: dynamics: found a model of 2 observed numbers and 1 actions, "
            "expected the policy's 3 and 2");
}

}  // namespace
}  // namespace foreplan
