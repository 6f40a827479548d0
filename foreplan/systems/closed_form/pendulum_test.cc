#include "foreplan/systems/closed_form/pendulum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "foreplan/systems/testing/golden_test_data.h"

namespace foreplan {
namespace {

TEST(Pendulum, FollowsTheRecordedMotion) {
  const GoldenTrajectory golden("pendulum");
  Pendulum system;
  system.SetState(golden.Initial("state"));
  std::vector<double> state(2);
  std::vector<double> observation(3);
  for (int step = 0; step < golden.steps(); ++step) {
    ASSERT_EQ(system.Step(golden.Row("action", step)), StepStatus::kOk);
    system.GetState(state);
    system.Observe(observation);
    // The same formula in another order of operations.
    ASSERT_LT(RelativeError(state, golden.Row("state", step)), 1e-12) << "step " << step;
    // The recorded observation is rounded to float.
    ASSERT_LT(RelativeError(observation, golden.Row("obs", step)), 1e-6) << "step " << step;
  }
}

TEST(Pendulum, ClipsItsVelocityAndKeepsTheAngleUnwrapped) {
  Pendulum system;
  system.SetState(std::vector<double>{0.5 * std::numbers::pi, 7.9});
  std::vector<double> state(2);
  ASSERT_EQ(system.Step(std::vector<double>{2}), StepStatus::kOk);
  system.GetState(state);
  EXPECT_EQ(state[1], 8.0);
  for (int step = 0; step < 20; ++step) {
    ASSERT_EQ(system.Step(std::vector<double>{2}), StepStatus::kOk);
  }
  system.GetState(state);
  EXPECT_GT(state[0], 2 * std::numbers::pi);
}

TEST(Pendulum, StartsAnywhere) {
  Pendulum system;
  std::vector<double> state(2);
  double smallest = 0;
  double largest = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    system.Reset(Key{seed, 0});
    system.GetState(state);
    ASSERT_LE(std::abs(state[0]), std::numbers::pi);
    ASSERT_LE(std::abs(state[1]), 1.0);
    smallest = std::min(smallest, state[0]);
    largest = std::max(largest, state[0]);
  }
  // 1000 uniform draws leave the outer 3 % of one side empty with probability 0.985^1000 = 3e-7.
  EXPECT_LT(smallest, -0.97 * std::numbers::pi);
  EXPECT_GT(largest, 0.97 * std::numbers::pi);
}

}  // namespace
}  // namespace foreplan
