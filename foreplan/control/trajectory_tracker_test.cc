#include "foreplan/control/trajectory_tracker.h"

#include <gtest/gtest.h>

#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;

const std::vector<double> kStart = {1.0, 0.0};

TEST(TrackTrajectory, FollowsThePredictionOfTheModel) {
  const DoubleIntegrator dynamics;
  const std::vector<double> actions = {1, -2, 0.5};
  const auto policy = TrackTrajectory(dynamics, DoubleIntegratorSpec(8), kStart, actions);
  ASSERT_EQ(policy.horizon(), 3);
  double p = kStart[0];
  double v = kStart[1];
  for (int t = 0; t < 3; ++t) {
    EXPECT_EQ(policy.step(t).state(0), p);
    EXPECT_EQ(policy.step(t).state(1), v);
    EXPECT_EQ(policy.step(t).action(0), actions[static_cast<size_t>(t)]);
    p += DoubleIntegrator::kStep * v;
    v += DoubleIntegrator::kStep * actions[static_cast<size_t>(t)];
  }
}

TEST(TrackTrajectory, ReturnsToThePlanAfterADisturbance) {
  const DoubleIntegrator dynamics;
  std::vector<double> actions(100);
  for (size_t t = 0; t < actions.size(); ++t) actions[t] = (t + 5) % 20 < 10 ? 1 : -1;
  auto policy = TrackTrajectory(dynamics, DoubleIntegratorSpec(8), kStart, actions);
  std::vector<double> x = {kStart[0] + 0.3, kStart[1] - 0.2};
  for (int t = 0; t < 100; ++t) {
    double u = 0;
    policy.Act({.observation = x, .state = {}, .time = t, .key = {}}, {&u, 1});
    x = {x[0] + DoubleIntegrator::kStep * x[1], x[1] + DoubleIntegrator::kStep * u};
  }
  const Eigen::VectorXd last = policy.step(99).state;
  EXPECT_NEAR(x[0], last(0) + DoubleIntegrator::kStep * last(1), 0.01);
  EXPECT_NEAR(x[1], last(1) + DoubleIntegrator::kStep * actions[99], 0.01);
}

TEST(TrackTrajectory, StaysInsideTheBounds) {
  const DoubleIntegrator dynamics;
  auto policy = TrackTrajectory(dynamics, DoubleIntegratorSpec(2), kStart, std::vector<double>(5));
  const std::vector<double> far = {1000.0, 0.0};
  double u = 0;
  policy.Act({.observation = far, .state = {}, .time = 0, .key = {}}, {&u, 1});
  EXPECT_EQ(u, -2);
}

TEST(TrackTrajectory, APredictionThatIsNotFiniteEndsTheRun) {
  DoubleIntegrator dynamics;
  dynamics.nan_above = 0.5;
  EXPECT_THROW(
      (void)TrackTrajectory(dynamics, DoubleIntegratorSpec(2), kStart, std::vector<double>{1.0}),
      RunError);
}

}  // namespace
}  // namespace foreplan
