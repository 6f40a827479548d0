#include "foreplan/planners/random_shooting.h"

#include <gtest/gtest.h>

#include <vector>

#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;
using testing::QuadraticReward;

TEST(RandomShooting, PlansTheBestCandidate) {
  const DoubleIntegrator dynamics;
  const QuadraticReward reward;
  const EnvironmentSpec spec = DoubleIntegratorSpec(3.0);
  ThreadPool executor(2);
  RandomShootingOptions options;
  options.horizon = 2;
  options.population = 200;
  RandomShooting planner(options, {testing::Borrowed(dynamics), testing::Borrowed(reward), spec,
                                   testing::Borrowed(executor)});
  const std::vector<double> start = {1, 0};
  const Key key{.seed = 8, .stream = 0};
  const Plan& plan = planner.MakePlan({.state = start, .step = 0, .key = key, .budget = {}});

  double best = -1e300;
  std::vector<double> best_actions;
  for (uint64_t c = 0; c < 200; ++c) {
    Random random(key.Fold(0).Fold(c));
    const std::vector<double> u = {random.Uniform(-3.0, 3.0), random.Uniform(-3.0, 3.0)};
    const double v1 = 0.1 * u[0];
    const double p2 = 1.0 + 0.1 * v1;
    const double v2 = v1 + 0.1 * u[1];
    const double value = -(1.0 + 0.1 * v1 * v1 + 0.01 * u[0] * u[0]) -
                         (p2 * p2 + 0.1 * v2 * v2 + 0.01 * u[1] * u[1]);
    if (value > best) {
      best = value;
      best_actions = u;
    }
  }
  EXPECT_EQ(plan.actions, best_actions);
  EXPECT_NEAR(plan.best_return, best, 1e-12);         // rounding
  EXPECT_EQ(plan.expected_return, plan.best_return);  // the model is deterministic
}

}  // namespace
}  // namespace foreplan
