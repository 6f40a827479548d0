// Derivatives of MuJoCo systems: against the closed form, and by what they are for.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/source_dir.h"
#include "foreplan/systems/closed_form/cartpole.h"
#include "foreplan/systems/mujoco/mujoco_system.h"

namespace foreplan {
namespace {

MujocoSystem Load(const std::string& mjcf,
                  const std::vector<std::string>& observation = {"qpos", "qvel"},
                  ObservedAt observe_at = ObservedAt::kNewState) {
  const ::testing::TestInfo& test = *::testing::UnitTest::GetInstance()->current_test_info();
  const auto file = std::filesystem::path(::testing::TempDir()) /
                    (std::to_string(std::hash<std::string>{}(test.name())) + ".xml");
  std::ofstream(file) << mjcf;
  MujocoOptions options;
  options.model = file.string();
  options.observation = observation;
  options.observe_at = observe_at;
  return MujocoSystem(options);
}

TEST(MujocoDerivatives, EqualThoseOfTheClosedFormCartPole) {
  MujocoOptions options;
  options.model = std::string(FOREPLAN_SOURCE_DIR) + "/tasks/pets_cartpole.xml";
  options.frame_skip = 2;
  MujocoSystem simulator(options);
  CartPole formula;
  const std::vector<double> state = {0.2, 1.1, -0.4, 0.8};
  const std::vector<double> action = {0.7};
  std::vector<double> full(static_cast<size_t>(simulator.spec().state_dim()), 0.0);
  std::copy(state.begin(), state.end(), full.begin());
  ASSERT_EQ(simulator.tangent_dim(), 4);
  std::vector<double> A(16), B(4), A_formula(16), B_formula(4);
  simulator.Linearize(
      {.state = full.data(), .action = action.data(), .A = A.data(), .B = B.data()});
  formula.Linearize({.state = state.data(),
                     .action = action.data(),
                     .A = A_formula.data(),
                     .B = B_formula.data()});
  // Differences of 1e-6 with slopes up to 100: rounding of 1e-8.
  for (size_t i = 0; i < 16; ++i) EXPECT_NEAR(A[i], A_formula[i], 1e-6) << i;
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(B[i], B_formula[i], 1e-6) << i;
  EXPECT_EQ(testing::CountAllocations([&] {
              simulator.Linearize(
                  {.state = full.data(), .action = action.data(), .A = A.data(), .B = B.data()});
            }),
            0);

  // At the bound: one-sided, the same for a system that is affine in its action; beyond: 0.
  for (const double u : {3.0, 3.5}) {
    const std::vector<double> limit = {u};
    simulator.Linearize(
        {.state = full.data(), .action = limit.data(), .A = A.data(), .B = B.data()});
    if (u > 3) {
      EXPECT_EQ(B[2], 0);
    } else {
      EXPECT_NEAR(B[2], B_formula[2], 1e-2 * std::abs(B_formula[2]));
    }
  }
}

constexpr const char* kFreeBody = R"(<mujoco>
  <option integrator="RK4" timestep="0.01"/>
  <worldbody><body><freejoint/><geom type="box" size=".1 .2 .3" mass="1"/>
    <body pos="0 0 .5"><joint type="ball"/><geom type="capsule" size=".05 .2" mass=".3"/>
      <body pos="0 0 .5"><joint name="h" type="hinge" axis="0 1 0"/>
        <geom type="capsule" size=".05 .1" mass=".2"/></body></body></body></worldbody>
  <actuator><motor joint="h" ctrllimited="true" ctrlrange="-1 1"/></actuator>
</mujoco>)";

TEST(MujocoDerivatives, PredictSmallChangesWithQuaternionsAndRungeKutta) {
  MujocoSystem system = Load(kFreeBody);
  const auto ns = static_cast<size_t>(system.spec().state_dim());
  const auto nx = static_cast<size_t>(system.tangent_dim());
  ASSERT_EQ(nx, 20U);  // 2 x (6 + 3 + 1), where qpos has 7 + 4 + 1 numbers
  system.Reset(Key{1, 0});
  std::vector<double> start(ns);
  const std::vector<double> action = {0.3};
  for (int i = 0; i < 20; ++i) ASSERT_EQ(system.Step(action), StepStatus::kOk);
  system.GetState(start);
  for (size_t i = 12; i < 22; ++i) start[i] += 0.3;  // turn and move
  std::vector<double> A(nx * nx), B(nx);
  system.Linearize({.state = start.data(), .action = action.data(), .A = A.data(), .B = B.data()});

  const auto step = [&](const std::vector<double>& state) {
    system.SetState(state);
    EXPECT_EQ(system.Step(action), StepStatus::kOk);
    std::vector<double> next(ns);
    system.GetState(next);
    return next;
  };
  const std::vector<double> nominal = step(start);
  // Another trajectory that differs a little in every velocity entry, and its difference now.
  Random random(Key{2, 0});
  std::vector<double> moved = start;
  for (size_t i = 12; i < 22; ++i) moved[i] += 1e-4 * random.Normal();
  std::vector<double> dx(nx), found(nx);
  system.Difference(moved, start, dx);
  const std::vector<double> next = step(moved);
  system.Difference(next, nominal, found);
  for (size_t i = 0; i < nx; ++i) {
    double expected = 0;
    for (size_t j = 0; j < nx; ++j) expected += A[i * nx + j] * dx[j];
    EXPECT_NEAR(found[i], expected, 1e-7) << i;  // second order: (1e-4)^2 times curvature
  }
}

constexpr const char* kSlider = R"(<mujoco>
  <option timestep="0.01"/>
  <worldbody><body name="cart"><joint name="s" type="slide" axis="1 0 0"/>
    <geom type="box" size=".1 .1 .1" mass="1"/>
    <body name="tip" pos="0 0 .5"><joint name="h" type="hinge" axis="0 1 0" damping=".1"/>
      <geom type="capsule" size=".05 .2" mass=".3"/></body></body></worldbody>
  <actuator><motor joint="s" ctrllimited="true" ctrlrange="-5 5"/></actuator>
</mujoco>)";

class MujocoDerivativesOf : public ::testing::TestWithParam<ObservedAt> {};

TEST_P(MujocoDerivativesOf, WhatIsMeasuredPredictSmallChanges) {
  // Rates of a position and of a body's position, a position, and a force that the action changes.
  MujocoSystem system = Load(kSlider,
                             {"qpos[1]", "qvel", "rate(qpos[0])", "rate(subtree_com(tip)[0:1])",
                              "xpos(tip)[0:1]", "qfrc_actuator[0]"},
                             GetParam());
  const auto ns = static_cast<size_t>(system.spec().state_dim());
  const auto nx = static_cast<size_t>(system.tangent_dim());
  const auto no = static_cast<size_t>(system.spec().observation_dim());
  // 2 x 2, two rates, and the control; or the term of the second rate, the position, the force.
  ASSERT_EQ(nx, GetParam() == ObservedAt::kNewState ? 7U : 9U);
  system.Reset(Key{1, 0});
  for (int i = 0; i < 20; ++i) ASSERT_EQ(system.Step(std::vector<double>{1.0}), StepStatus::kOk);
  std::vector<double> start(ns), A(nx * nx), B(nx), C(no * nx);
  system.GetState(start);
  const std::vector<double> action = {0.3};
  system.Linearize({.state = start.data(), .action = action.data(), .A = A.data(), .B = B.data()});
  const auto step = [&](const std::vector<double>& state, double u, std::vector<double>& o) {
    system.SetState(state);
    EXPECT_EQ(system.Step(std::vector<double>{u}), StepStatus::kOk);
    system.Observe(o);
    std::vector<double> next(ns);
    system.GetState(next);
    return next;
  };
  std::vector<double> observed(no), found(no), dx(nx);
  const std::vector<double> next = step(start, 0.3, observed);
  system.ObservationJacobian(next, C);
  Random random(Key{2, 0});
  std::vector<double> moved = start;
  for (double& entry : moved) entry += 1e-4 * random.Normal();
  (void)step(moved, 0.3 + 1e-4, found);
  system.Difference(moved, start, dx);
  for (size_t o = 0; o < no; ++o) {
    double expected = observed[o];
    for (size_t i = 0; i < nx; ++i) {
      double change = B[i] * 1e-4;
      for (size_t j = 0; j < nx; ++j) change += A[i * nx + j] * dx[j];
      expected += C[o * nx + i] * change;
    }
    EXPECT_NEAR(found[o], expected, 2e-6) << o;  // second order: (1e-4)^2 over the step, 0.01 s
  }
}

INSTANTIATE_TEST_SUITE_P(BothMoments, MujocoDerivativesOf,
                         ::testing::Values(ObservedAt::kNewState, ObservedAt::kLastEvaluation),
                         [](const auto& info) {
                           return info.param == ObservedAt::kNewState ? "NewState"
                                                                      : "LastEvaluation";
                         });

}  // namespace
}  // namespace foreplan
