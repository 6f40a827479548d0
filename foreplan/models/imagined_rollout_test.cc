#include "foreplan/models/imagined_rollout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::QuadraticReward;

constexpr Key kKey{.seed = 4, .stream = 1};
const std::vector<double> kStart = {1.0, 0.5};
const std::vector<double> kActions = {1.0, -2.0, 0.5};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// What is imagined, step by step, of the sample by `particle`.
std::vector<float> ByHand(const Dynamics& model, const ImaginedRollout::Particle& particle) {
  const auto workspace = model.MakeWorkspace(1);
  std::vector<double> state = kStart;
  std::vector<float> all(state.begin(), state.end());
  for (int t = 0; t < 3; ++t) {
    std::vector<double> next(2);
    model.Step({.rows = 1,
                .state = state.data(),
                .action = &kActions[static_cast<size_t>(t)],
                .next_state = next.data(),
                .particle = particle.number,
                .particles = particle.count,
                .time = t,
                .key = particle.key},
               *workspace);
    all.insert(all.end(), next.begin(), next.end());
    state = next;
  }
  return all;
}

TEST(ImaginedRollout, ExpectsWhatTheModelSaysStepByStep) {
  ImaginedRollout rollout(std::make_shared<const DoubleIntegrator>(),
                          std::make_shared<const QuadraticReward>());
  std::vector<float> observations(8);
  const double earned = rollout.Expect(kStart, kActions, observations);
  EXPECT_EQ(observations, ByHand(DoubleIntegrator(), {}));
  EXPECT_NEAR(earned, testing::ReturnOf(kActions, kStart), 1e-15);
}

TEST(ImaginedRollout, SamplesTheNoiseOfItsParticle) {
  auto model = std::make_shared<DoubleIntegrator>();
  model->noise = 0.3;
  ImaginedRollout rollout(model, nullptr);
  std::vector<float> first(8);
  std::vector<float> second(8);
  const ImaginedRollout::Particle particle = {.number = 2, .count = 4, .key = kKey};
  EXPECT_EQ(rollout.Sample(kStart, kActions, particle, first), 0);  // without a reward
  EXPECT_EQ(first, ByHand(*model, particle));
  rollout.Sample(kStart, kActions, {.number = 3, .count = 4, .key = kKey}, second);
  EXPECT_NE(first, second);
  EXPECT_EQ(second[0], 1.0F);  // both from the state
}

TEST(ImaginedRollout, StaysWhereItEnded) {
  auto reward = std::make_shared<QuadraticReward>();
  reward->limit = 1.04;  // the first step leads to 1.05
  ImaginedRollout rollout(std::make_shared<const DoubleIntegrator>(), reward);
  std::vector<float> observations(8);
  const double earned = rollout.Expect(kStart, kActions, observations);
  EXPECT_EQ(observations, (std::vector<float>{1, 0.5F, 1.05F, 0.6F, 1.05F, 0.6F, 1.05F, 0.6F}));
  EXPECT_NEAR(earned, testing::ReturnOf(std::span(kActions).first(1), kStart), 1e-15);
}

TEST(ImaginedRollout, StaysWhereThePredictionIsNoNumber) {
  auto model = std::make_shared<DoubleIntegrator>();
  model->nan_above = 0.4;
  ImaginedRollout rollout(model, std::make_shared<const QuadraticReward>());
  std::vector<float> observations(8);
  const std::vector<double> actions = {0.1, 0.5, 0.1};
  EXPECT_EQ(rollout.Expect(kStart, actions, observations), -kInfinity);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(std::isfinite(observations[2 + i]));
    EXPECT_EQ(observations[4 + i], observations[2 + i]);
    EXPECT_EQ(observations[6 + i], observations[2 + i]);
  }
  // Nor one that a float cannot hold.
  EXPECT_EQ(
      rollout.Expect(std::vector<double>{0, 1e38}, std::vector<double>{-1e40, 0, 0}, observations),
      -kInfinity);
  EXPECT_TRUE(std::isfinite(observations[7]));
}

}  // namespace
}  // namespace foreplan
