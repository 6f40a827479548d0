#include "foreplan/control/local_rollout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <stop_token>
#include <string>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

TEST(ExplorationNoise, HasUnitVarianceWhiteOrSmooth) {
  const int steps = 400;
  for (const double smoothing : {0.0, 2.0}) {
    const MatrixXd noise = ExplorationNoise(3, steps, smoothing, Key{1, 0});
    for (Eigen::Index i = 0; i < 3; ++i) {
      const double mean = noise.row(i).mean();
      const double variance = (noise.row(i).array() - mean).square().mean();
      const double next =
          (noise.row(i).tail(steps - 1).array() * noise.row(i).head(steps - 1).array()).mean();
      if (smoothing == 0) {
        EXPECT_NEAR(variance, 1, 4 * std::sqrt(2.0 / steps));
        EXPECT_NEAR(next, 0, 4 / std::sqrt(steps));
      } else {
        EXPECT_NEAR(variance, 1, 1e-12);
        // Correlation of neighbours: exp(-1 / (4 * 2^2)) = 0.94, of a series with its mean.
        EXPECT_GT(next - mean * mean, 0.85);
      }
    }
  }
}

Task CartPole(const std::string& reward, const std::string& more = "") {
  Config config = Config::FromString("name = \"cartpole\"\nreward = \"" + reward + "\"\n" + more +
                                         "\nepisode_length = 20\n[system]\ntype = \"cartpole\"\n",
                                     "test");
  return Task::FromConfig(config, ".");
}

const std::stop_token kGoOn;

TEST(RollOut, HoldsEveryTransitionWithTheNoiseOfItsTime) {
  const Task task = CartPole("next.slider_velocity");
  const auto system = task.MakeSystem();
  const MatrixXd noise = ExplorationNoise(1, 20, 0, Key{2, 0});
  std::vector<double> seen;
  const NoisyAction policy = [&](int time, const VectorXd& observation, const VectorXd& units) {
    EXPECT_EQ(units[0], noise(0, time));
    seen.insert(seen.end(), observation.begin(), observation.end());
    return VectorXd(VectorXd::Constant(1, 0.5 + 2 * units[0]));
  };
  const LocalRollout rollout = RollOut(task, *system, policy, noise, Key{3, 0}, kGoOn);
  EXPECT_EQ(rollout.episode.steps, 20);
  ASSERT_EQ(rollout.observations.size(), 21U * 4);
  ASSERT_EQ(rollout.actions.size(), 20U);
  EXPECT_TRUE(std::equal(seen.begin(), seen.end(), rollout.observations.begin()));
  // The system goes the same way again, from the reset of the key itself.
  const auto again = task.MakeSystem();
  again->Reset(Key{3, 0});
  std::vector<double> observation(4);
  double sum = 0;
  for (size_t t = 0; t <= 20; ++t) {
    again->Observe(observation);
    EXPECT_TRUE(std::equal(observation.begin(), observation.end(),
                           rollout.observations.begin() + static_cast<std::ptrdiff_t>(4 * t)))
        << t;
    if (t > 0) sum += observation[2];
    if (t == 20) break;
    const double action = std::clamp(0.5 + 2 * noise(0, static_cast<int>(t)), -3.0, 3.0);
    EXPECT_EQ(rollout.actions[t], action) << t;
    ASSERT_EQ(again->Step({&action, 1}), StepStatus::kOk);
  }
  EXPECT_EQ(rollout.episode.episode_return, sum);
  EXPECT_TRUE(rollout.jacobians.empty());
}

TEST(RollOut, EveryKeyHasMeasurementNoiseOfItsOwn) {
  const Task task = CartPole("1", "measurement_noise = 0.01");
  const MatrixXd noise = MatrixXd::Zero(1, 20);
  const NoisyAction rest = [](int, const VectorXd&, const VectorXd&) {
    return VectorXd(VectorXd::Zero(1));
  };
  std::vector<double> measured;
  for (const Key key : {Key{3, 0}, Key{3, 1}}) {
    const auto system = task.MakeSystem();
    const LocalRollout rollout = RollOut(task, *system, rest, noise, key, kGoOn);
    system->Reset(key);
    std::vector<double> truth(4);
    system->Observe(truth);
    measured.push_back(rollout.observations[1] - truth[1]);
  }
  EXPECT_GT(std::abs(measured[0] - measured[1]), 1e-6);
}

TEST(RollOut, ALinearGaussianPolicyActsByItsGainsAndItsDeviation) {
  const Task task = CartPole("1");
  const auto system = task.MakeSystem();
  LinearGaussianStep step{.action = VectorXd::Constant(1, 0.2),
                          .state = VectorXd::Zero(4),
                          .feedforward = VectorXd::Zero(1),
                          .feedback = MatrixXd::Constant(1, 4, -0.3),
                          .covariance = MatrixXd::Constant(1, 1, 0.04)};
  const LinearGaussianPolicy policy(std::vector<LinearGaussianStep>(20, step));
  const MatrixXd noise = ExplorationNoise(1, 20, 0, Key{2, 1});
  const LocalRollout rollout = RollOut(task, *system, policy, noise, Key{3, 1}, kGoOn);
  for (size_t t = 0; t < 20; ++t) {
    double expected = 0.2;
    for (size_t i = 0; i < 4; ++i) expected -= 0.3 * rollout.observations[4 * t + i];
    // The root of the covariance has a sign of its own.
    EXPECT_NEAR(std::abs(rollout.actions[t] - expected),
                0.2 * std::abs(noise(0, static_cast<int>(t))), 1e-12)
        << t;
  }
}

TEST(RollOut, StopsWhereTheEpisodeEndsAndSaysHow) {
  const MatrixXd noise = MatrixXd::Zero(1, 20);
  const NoisyAction push = [](int, const VectorXd&, const VectorXd&) {
    return VectorXd(VectorXd::Constant(1, 0.5));
  };
  const Task falling = CartPole("1", "termination = \"slider_velocity > 0.3\"");
  const LocalRollout ended = RollOut(falling, *falling.MakeSystem(), push, noise, Key{3, 2}, kGoOn);
  EXPECT_EQ(ended.episode.end, StepEnd::kTerminated);
  EXPECT_LT(ended.episode.steps, 20);
  EXPECT_EQ(ended.episode.episode_return, ended.episode.steps);
  EXPECT_EQ(std::accumulate(ended.rewards.begin(), ended.rewards.end(), 0.0), ended.episode.steps);
  const Task undefined = CartPole("sqrt(0.3 - slider_velocity)");
  const LocalRollout diverged =
      RollOut(undefined, *undefined.MakeSystem(), push, noise, Key{3, 2}, kGoOn);
  const std::string expected = "step " + std::to_string(diverged.episode.steps) + ": reward is nan";
  EXPECT_TRUE(diverged.episode.divergence.starts_with(expected)) << diverged.episode.divergence;
  EXPECT_TRUE(std::isfinite(diverged.episode.episode_return));
}

TEST(RollOut, AnActionThatIsNoNumberIsARunThatCannotGoOn) {
  const Task task = CartPole("1");
  const NoisyAction undefined = [](int time, const VectorXd&, const VectorXd&) {
    return VectorXd(VectorXd::Constant(1, time == 4 ? std::nan("") : 0.0));
  };
  try {
    (void)RollOut(task, *task.MakeSystem(), undefined, MatrixXd::Zero(1, 20), Key{3, 3}, kGoOn);
    FAIL();
  } catch (const RunError& error) {
    EXPECT_EQ(error.what(), "step 4: action '" + task.spec().action[0].name +
                                "' of the policy: found nan, expected a finite number");
  }
}

TEST(RollOut, StopsWhenAsked) {
  const Task task = CartPole("1");
  const NoisyAction idle = [](int, const VectorXd&, const VectorXd&) {
    return VectorXd(VectorXd::Zero(1));
  };
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW((void)RollOut(task, *task.MakeSystem(), idle, MatrixXd::Zero(1, 20), Key{3, 4},
                             stop.get_token()),
               Interrupted);
}

}  // namespace
}  // namespace foreplan
