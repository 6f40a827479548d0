#include "foreplan/systems/closed_form/cartpole.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "foreplan/systems/testing/golden_test_data.h"

namespace foreplan {
namespace {

TEST(CartPole, FollowsTheRecordedMotionAwayFromTheRail) {
  const GoldenTrajectory golden("pets_cartpole");
  CartPole system;
  system.SetState(Join(golden.Initial("qpos"), golden.Initial("qvel")));
  std::vector<double> state(4);
  for (int step = 0; step < golden.steps(); ++step) {
    ASSERT_EQ(system.Step(golden.Row("action", step)), StepStatus::kOk);
    system.GetState(state);
    // The constants have 16 digits and the integrator is the simulator's; what is left is rounding,
    // which the swinging pole magnifies (5e-15 measured).
    ASSERT_LT(RelativeError(state, Join(golden.Row("qpos", step), golden.Row("qvel", step))), 1e-12)
        << "step " << step;
  }
}

TEST(CartPole, KeepsItsEnergyWithoutFrictionAndForce) {
  CartPoleOptions options;
  options.cart_damping = 0;
  options.hinge_damping = 0;
  options.timestep = 0.001;
  options.substeps = 1000;
  CartPole system(options);
  const auto energy = [&] {
    std::vector<double> s(4);
    system.GetState(s);
    const double angle = s[1] - options.pole_skew;
    const double moment = options.pole_mass * options.pole_center;
    return 0.5 * (options.cart_mass + options.pole_mass) * s[2] * s[2] -
           moment * std::cos(angle) * s[2] * s[3] + 0.5 * options.pole_inertia * s[3] * s[3] -
           moment * options.gravity * std::cos(angle);
  };
  system.SetState(std::vector<double>{0.1, 2.0, -0.3, 0.5});
  const double start = energy();
  ASSERT_EQ(system.Step(std::vector<double>{0.0}), StepStatus::kOk);
  // Runge-Kutta of order 4 loses about T h^4 = 1e-12 times the fifth derivatives in one second.
  EXPECT_NEAR(energy(), start, 1e-8);
}

TEST(CartPole, MovesTheSameWhereverTheCartIs) {
  CartPole here;
  CartPole far;
  here.SetState(std::vector<double>{0, 1, 0.5, -1});
  far.SetState(std::vector<double>{100, 1, 0.5, -1});
  std::vector<double> a(4);
  std::vector<double> b(4);
  ASSERT_EQ(here.Step(std::vector<double>{2}), StepStatus::kOk);
  ASSERT_EQ(far.Step(std::vector<double>{2}), StepStatus::kOk);
  here.GetState(a);
  far.GetState(b);
  EXPECT_NEAR(b[0] - a[0], 100, 1e-12);  // rounding of numbers near 100
  EXPECT_EQ(a[1], b[1]);
  EXPECT_EQ(a[2], b[2]);
  EXPECT_EQ(a[3], b[3]);
}

TEST(CartPole, DivergenceNamesTheStateAndLastsUntilTheStateIsSet) {
  CartPole system;
  system.SetState(std::vector<double>{0, 0, 0, 1e200});
  EXPECT_EQ(system.Step(std::vector<double>{0}), StepStatus::kDiverged);
  EXPECT_NE(system.Divergence().find("state '"), std::string::npos) << system.Divergence();
  EXPECT_EQ(system.Step(std::vector<double>{0}), StepStatus::kDiverged);
  system.SetState(std::vector<double>(4, 0.0));
  EXPECT_EQ(system.Divergence(), "");
  EXPECT_EQ(system.Step(std::vector<double>{0}), StepStatus::kOk);
}

}  // namespace
}  // namespace foreplan
