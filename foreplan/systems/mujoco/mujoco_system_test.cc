#include "foreplan/systems/mujoco/mujoco_system.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/systems/closed_form/cartpole.h"
#include "foreplan/systems/mujoco/testing/mujoco_test_models.h"
#include "foreplan/systems/rewards/reward.h"
#include "foreplan/systems/task_files.h"
#include "foreplan/systems/testing/golden_test_data.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;

TEST(MujocoSystem, CartPoleIsTheClosedFormAwayFromTheRail) {
  MujocoSystem simulated(ShippedModel("pets_cartpole"));
  CartPole formula;
  const Key key{7, 1};
  simulated.Reset(key);
  formula.Reset(key);
  Random random(key.Fold(1));
  Numbers expected(4);
  Numbers found(4);
  double farthest = 0;
  double error = 0;
  for (int step = 0; step < 120; ++step) {
    simulated.Observe(expected);
    // Random pushes around a feedback that keeps the cart from the rail.
    const Numbers action{random.Normal() - 0.5 * expected[0] - 0.3 * expected[2]};
    ASSERT_EQ(simulated.Step(action), StepStatus::kOk);
    ASSERT_EQ(formula.Step(action), StepStatus::kOk);
    simulated.Observe(expected);
    formula.Observe(found);
    farthest = std::max(farthest, std::abs(expected[0]));
    error = std::max(error, RelativeError(found, expected));
  }
  EXPECT_LT(farthest, 2.4);
  EXPECT_GT(farthest, 0.2);
  // Constants of 16 digits and the same integrator: rounding remains (2e-15 measured).
  EXPECT_LT(error, 1e-12);
}

// --- the state

TEST(MujocoSystem, ResetIsNoiseAroundTheRestPosition) {
  MujocoOptions options = ShippedModel("pets_cartpole");
  options.reset.distribution = ResetOptions::Distribution::kUniform;
  options.reset.position = 0.5;
  options.reset.velocity = 0.0;
  MujocoSystem system(options);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    system.Reset(Key{seed, 0});
    const Numbers state = StateOf(system);
    EXPECT_LE(std::abs(state[0]), 0.5);
    EXPECT_NE(state[0], 0);
    EXPECT_NE(state[0], state[1]);
    EXPECT_EQ(state[2], 0);
    EXPECT_EQ(state[3], 0);
    EXPECT_EQ(state[4], 0);  // time
  }
}

TEST(MujocoSystem, ContinuesBitForBitInTheSoftLimit) {
  MujocoSystem system(ShippedModel("pets_cartpole"));
  system.Reset(Key{3, 0});
  const Numbers push{1.5};
  // In the recording this push reaches the limit at step 32.
  for (int step = 0; step < 40; ++step) ASSERT_EQ(system.Step(push), StepStatus::kOk);
  MujocoSystem other(ShippedModel("pets_cartpole"));
  other.Reset(Key{4, 0});
  other.SetState(StateOf(system));
  double farthest = 0;
  for (int step = 0; step < 40; ++step) {
    ASSERT_EQ(system.Step(push), StepStatus::kOk);
    ASSERT_EQ(other.Step(push), StepStatus::kOk);
    const Numbers state = StateOf(system);
    ASSERT_EQ(StateOf(other), state) << "step " << step;
    farthest = std::max(farthest, state[0]);
  }
  EXPECT_GT(farthest, 2.5);
}

TEST(MujocoSystem, NamesTheCoordinatesOfFreeAndBallJoints) {
  const MujocoOptions options = TemporaryModel("free.xml", R"(
    <mujoco>
      <worldbody>
        <body pos="0 0 1">
          <freejoint name="root"/>
          <geom size="0.1"/>
          <body pos="0.3 0 0">
            <joint type="ball"/>
            <geom size="0.1" pos="0.2 0 0"/>
          </body>
        </body>
      </worldbody>
    </mujoco>)");
  MujocoSystem system(options);
  std::vector<std::string> names;
  for (const Component& component : system.spec().observation) names.push_back(component.name);
  EXPECT_EQ(names, (std::vector<std::string>{"root_x",
                                             "root_y",
                                             "root_z",
                                             "root_qw",
                                             "root_qx",
                                             "root_qy",
                                             "root_qz",
                                             "joint1_qw",
                                             "joint1_qx",
                                             "joint1_qy",
                                             "joint1_qz",
                                             "root_x_velocity",
                                             "root_y_velocity",
                                             "root_z_velocity",
                                             "root_x_angular_velocity",
                                             "root_y_angular_velocity",
                                             "root_z_angular_velocity",
                                             "joint1_x_angular_velocity",
                                             "joint1_y_angular_velocity",
                                             "joint1_z_angular_velocity"}));
  EXPECT_EQ(system.spec().state.size(), 11u + 9u + 1u + 9u);
  system.Reset(Key{5, 0});
  const Numbers state = StateOf(system);
  // Normalised after the noise: rounding of four squares.
  EXPECT_NEAR(std::hypot(std::hypot(state[3], state[4]), std::hypot(state[5], state[6])), 1, 1e-15);
  EXPECT_EQ(system.Step({}), StepStatus::kOk);
}

TEST(MujocoSystem, ObservesThePartsInTheOrderAsked) {
  MujocoOptions options = ShippedModel("pets_cartpole");
  options.observation = {"qvel"};
  MujocoSystem system(options);
  ASSERT_EQ(system.spec().observation.size(), 2u);
  EXPECT_EQ(system.spec().observation[1].name, "hinge_velocity");
  EXPECT_EQ(system.spec().observation[1].unit, "rad/s");
  system.SetState(Numbers{1, 2, 3, 4, 0, 0, 0});
  Numbers observation(2);
  system.Observe(observation);
  EXPECT_EQ(observation, (Numbers{3, 4}));
}

TEST(MujocoSystem, ActivationsAreStateThatCanBeObserved) {
  MujocoOptions options = TemporaryModel("muscle.xml", R"(
    <mujoco>
      <option integrator="RK4"/>
      <worldbody><body><joint name="j"/><geom size="0.1" pos="0.2 0 0"/></body></worldbody>
      <actuator>
        <motor name="plain" joint="j" ctrllimited="true" ctrlrange="-1 1"/>
        <general name="slow" joint="j" dyntype="filter" dynprm="0.1" ctrllimited="true"
                 ctrlrange="-1 1"/>
      </actuator>
    </mujoco>)");
  options.observation = {"qpos", "act", "act[0] - qvel[0]"};
  MujocoSystem system(options);
  EXPECT_EQ(system.spec().state[2].name, "slow_activation");
  EXPECT_EQ(system.spec().observation[1].name, "slow_activation");
  system.Reset(Key{1, 0});
  for (int i = 0; i < 5; ++i) ASSERT_EQ(system.Step(Numbers{0.3, 1.0}), StepStatus::kOk);
  const Numbers state = StateOf(system);
  Numbers observation(3);
  system.Observe(observation);
  // a' = (u - a) / 0.1 over 5 steps of 0.002 s, by whatever rule the version integrates it.
  EXPECT_NEAR(observation[1], 1 - std::exp(-0.1), 0.01);
  EXPECT_EQ(observation[1], state[2]);
  EXPECT_EQ(observation[2], state[2] - state[1]);

  // It goes on bit for bit, and has derivatives: the activation decays, and is filled by u.
  const auto other = system.Clone();
  other->Reset(Key{2, 0});
  other->SetState(state);
  ASSERT_EQ(system.Step(Numbers{0.3, 1.0}), StepStatus::kOk);
  ASSERT_EQ(other->Step(Numbers{0.3, 1.0}), StepStatus::kOk);
  EXPECT_EQ(StateOf(*other), StateOf(system));
  ASSERT_EQ(system.tangent_dim(), 3);
  Numbers A(9), B(6);
  const Numbers action{0.3, 0.5};
  system.Linearize({.state = state.data(), .action = action.data(), .A = A.data(), .B = B.data()});
  EXPECT_NEAR(A[8], 1 - 0.02, 1e-3);  // 0.002 s / 0.1 s
  EXPECT_NEAR(B[5], 0.02, 1e-3);
  EXPECT_NEAR(B[4], 0, 1e-9);
}

TEST(MujocoSystem, ObservesSensorsByName) {
  MujocoOptions options = TemporaryModel("sensors.xml", R"(
    <mujoco>
      <worldbody>
        <body><joint name="j" axis="0 1 0"/><geom size="0.1" pos="0.2 0 0"/>
          <site name="tip" pos="0.4 0 0"/></body>
      </worldbody>
      <sensor>
        <framequat name="turn" objtype="site" objname="tip"/>
        <jointpos name="angle" joint="j"/>
        <velocimeter name="speed" site="tip"/>
      </sensor>
    </mujoco>)");
  options.observation = {"qpos", "sensor(speed)", "sensor(angle)", "sensor(turn)[0]",
                         "sensor(angle) - qpos"};
  options.observe_at = ObservedAt::kLastEvaluation;
  MujocoSystem system(options);
  std::vector<std::string> names;
  for (const Component& component : system.spec().observation) names.push_back(component.name);
  EXPECT_EQ(names, (std::vector<std::string>{"j", "speed_x", "speed_y", "speed_z", "angle",
                                             "turn_0", "angle_minus_j"}));
  system.Reset(Key{1, 0});
  Numbers observation(7);
  system.Observe(observation);
  const Numbers state = StateOf(system);
  // Fresh after a reset: the tip's speed in its frame is -0.4 w about y.
  EXPECT_EQ(observation[4], state[0]);
  EXPECT_NEAR(observation[3], -0.4 * state[1], 1e-15);
  EXPECT_NEAR(observation[5], std::cos(0.5 * state[0]), 1e-15);
  // One simulator step old after a step.
  ASSERT_EQ(system.Step({}), StepStatus::kOk);
  system.Observe(observation);
  EXPECT_EQ(observation[4], state[0]);
  EXPECT_NE(observation[0], state[0]);

  options.observation = {"sensor(sped)"};
  EXPECT_NE(InputErrorOf(options).find("unknown sensor 'sped' (did you mean 'speed'?)"),
            std::string::npos);
  options.observation = {"sensor(speed)[3]"};
  EXPECT_NE(InputErrorOf(options).find("expected an index or a range within 0 ... 3"),
            std::string::npos);
}

// --- divergence

class Divergence : public testing::Test {
 protected:
  /// State (qpos, qvel, time, warm start) of the cart-pole at 1.5 s.
  std::string After(double slider, double hinge, double slider_velocity, double hinge_velocity) {
    system_.SetState(Numbers{slider, hinge, slider_velocity, hinge_velocity, 1.5, 0, 0});
    EXPECT_EQ(system_.Divergence(), "");
    EXPECT_EQ(system_.Step(Numbers{0}), StepStatus::kDiverged);
    return system_.Divergence();
  }

  MujocoSystem system_{ShippedModel("pets_cartpole")};
};

TEST_F(Divergence, NamesQuantityJointAndTimeThoughMujocoStartsAnew) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(After(0, nan, 0, 0), "qpos of joint 'hinge' at 1.5 s");
  EXPECT_EQ(After(0, 0, nan, 0), "qvel of joint 'slider' at 1.5 s");
  EXPECT_EQ(After(0, 0, 0, 1e11), "qvel of joint 'hinge' at 1.5 s");
  EXPECT_EQ(After(0, 0, 0, 9e9), "qacc of joint 'slider' at 1.5 s");
}

TEST_F(Divergence, IsSeenInTheStepThatCausesIt) {
  // MuJoCo itself would complain at the start of the next step only.
  EXPECT_EQ(After(0, 1, 0, 9e4), "qpos of joint 'slider' at 1.5 s");
}

TEST_F(Divergence, LastsUntilTheStateIsSet) {
  After(0, 0, 0, 1e11);
  EXPECT_EQ(system_.Step(Numbers{0}), StepStatus::kDiverged);
  EXPECT_EQ(system_.Clone()->Divergence(), system_.Divergence());
  system_.Reset(Key{1, 0});
  EXPECT_EQ(system_.Divergence(), "");
  EXPECT_EQ(system_.Step(Numbers{0}), StepStatus::kOk);
}

TEST_F(Divergence, NotFiniteActionsAreNotTakenForZero) {
  system_.Reset(Key{1, 0});
  EXPECT_EQ(system_.Step(Numbers{std::numeric_limits<double>::infinity()}), StepStatus::kDiverged);
  EXPECT_EQ(system_.Divergence(), "control of actuator 'slide' at 0 s");
}

// --- wrong input

TEST(MujocoSystem, WrongModelsGiveOneClearLine) {
  const auto expect = [](const MujocoOptions& options, const std::string& part) {
    const std::string message = InputErrorOf(options);
    EXPECT_NE(message.find(options.model), std::string::npos) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  };
  expect(TemporaryModel("unknown_element.xml", "<mujoco><worldbody><foo/></worldbody></mujoco>"),
         "MuJoCo: XML Error: Schema violation: unrecognized element Element 'foo', line 1");
  expect(TemporaryModel("no_xml.xml", "once upon a time"), "MuJoCo: XML");
  expect(TemporaryModel("empty.xml", ""), "MuJoCo: ");
  expect(TemporaryModel("no_mass.xml",
                        "<mujoco><worldbody><body><joint/></body></worldbody></mujoco>"),
         "mass");
  expect(TemporaryModel("unbounded.xml", R"(
    <mujoco>
      <worldbody><body><joint name="j"/><geom size="0.1"/></body></worldbody>
      <actuator><motor name="motor" joint="j"/></actuator>
    </mujoco>)"),
         "actuator 'motor': found no ctrlrange, expected bounds: there, or in the task as "
         "system.control_range = [\"motor = (LOW, HIGH)\"]");
  const auto timestep = [](const std::string& seconds) {
    return TemporaryModel("timestep.xml", "<mujoco><option timestep=\"" + seconds + R"("/>
      <worldbody><body><joint name="j"/><geom size="0.1"/></body></worldbody></mujoco>)");
  };
  for (const char* seconds : {"1e+300", "0", "-0.01", "11"}) {
    expect(timestep(seconds), "<option timestep=\"" + std::string(seconds) +
                                  "\"/>: expected a time above 0 and up to 10 s");
  }
  expect(TemporaryModel("no_joints.xml", R"(
    <mujoco>
      <worldbody><body name="b"><geom size="0.1"/><site name="s"/></body></worldbody>
      <actuator><general site="s" ctrllimited="true" ctrlrange="-1 1"/></actuator>
    </mujoco>)"),
         "found no joints, expected something that moves");
  expect(TemporaryModel("mesh.xml", R"(
    <mujoco>
      <asset><mesh name="shell" file="no_such_shell.stl"/></asset>
      <worldbody><body><joint/><geom type="mesh" mesh="shell"/></body></worldbody>
    </mujoco>)"),
         "no_such_shell.stl");
  MujocoOptions missing;
  missing.model = testing::TempDir() + "/missing.xml";
  expect(missing, "no such file, expected an MJCF model");
}

TEST(MujocoSystem, WrongPartsOfTheObservationAreNamed) {
  const auto expect = [](const std::string& part, const std::string& expected) {
    MujocoOptions options = ShippedModel("pets_cartpole");
    options.observation = {part};
    const std::string message = InputErrorOf(options);
    EXPECT_NE(message.find("system.observation: " + expected), std::string::npos) << message;
  };
  expect("qvell", "column 1: unknown name 'qvell' (did you mean 'qvel'?)");
  expect("", "column 1: found nothing, expected an expression");
  expect("qpos[", "column 6: found the end, expected an index from 0");
  expect("qpos[0", "column 7: found the end, expected ']'");
  expect("qpos[0]]", "column 8: found ']', expected an operator");
  expect("qpos[-1]", "column 6: found '-', expected an index from 0");
  expect("act", "found 'act', expected another part: the model has none");
  expect("qpos[2]",
         "column 5: found [2] of 2 numbers, expected an index or a range within 0 ... 2");
  expect("qpos[1:1]", "column 5: found [1:1] of 2 numbers");
  expect("sin(qpos", "column 9: found the end, expected ',' or ')'");
  expect("clip(qvel, 1)", "column 1: found 2 arguments, expected clip(x, low, high)");
  expect("clip(qvel, 1, -1)", "column 12: found the bounds 1 and -1, expected low <= high");
  expect("rate(xpo(pole))", "column 6: unknown function 'xpo' (did you mean 'xpos'?)");
  expect("xpos", "found 'xpos' alone, expected xpos(NAME)");
  expect("xpos(pol)", "unknown body 'pol' (did you mean 'pole'?)");
  expect("site_xpos(tip)", "unknown site 'tip'");
  expect("geom_xpos(tip)", "unknown geom 'tip'");
  expect("xpos(pole) - qpos",
         "column 12: found 3 numbers on the left and 2 on the right of '-', expected as many");
}

TEST(MujocoSystem, AGeomIsObservedWhereItIsAndMovesWithItsBody) {
  // The peg is a cylinder between the two sites.
  MujocoOptions options = ShippedModel("peg_insertion");
  options.observation = {"qpos", "geom_xpos(peg)", "site_xpos(peg_bottom)", "site_xpos(peg_top)"};
  MujocoSystem system(options);
  ASSERT_EQ(system.spec().observation[7].name, "peg_x");
  system.Reset(Key{0, 0});
  for (int t = 0; t < 5; ++t) ASSERT_EQ(system.Step(Numbers(7, 0.3)), StepStatus::kOk);
  Numbers observed(16);
  system.Observe(observed);
  const DependentComponents components = system.dependent_components();
  ASSERT_EQ(components.dependent.size(), 9U);
  Numbers jacobian(9 * 7);
  system.DependentJacobian(jacobian);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(observed[7 + i], 0.5 * (observed[10 + i] + observed[13 + i]), 1e-14);
    for (size_t j = 0; j < 7; ++j) {
      EXPECT_NEAR(jacobian[i * 7 + j],
                  0.5 * (jacobian[(3 + i) * 7 + j] + jacobian[(6 + i) * 7 + j]), 1e-14);
    }
  }
}

TEST(MujocoSystem, WrongDrawsOfTheResetAreNamed) {
  const auto expect = [](const std::string& draw, const std::string& expected) {
    MujocoOptions options = ShippedModel("pets_cartpole");
    options.reset.draw = {draw};
    const std::string message = InputErrorOf(options);
    EXPECT_NE(message.find("system.reset.draw: " + expected), std::string::npos) << message;
  };
  expect("hinge", "found 'hinge', expected '=' at character 6");
  expect("hinge = gauss(0, 1)", "unknown distribution 'gauss'");
  expect("hinge = normal(0)", "found 'hinge = normal(0)', expected ','");
  expect("hinge = normal(0, -1)", "found 'hinge = normal(0, -1)', expected a sigma of at least 0");
  expect("hinge = uniform(1, 0)", "found 'hinge = uniform(1, 0)', expected LOW <= HIGH");
  expect("hing = 0", "unknown position, velocity or activation 'hing' (did you mean 'hinge'?)");
  expect("hinge[1] = 0", "found 'hinge[1]', expected a range within 0 ... 1");
  expect("act = 0", "found 'act', expected another: the model has none");
  expect("hinge = -inf", "found 'hinge = -inf', expected a number at character 9");
  expect("hinge = normal(0, nan)",
         "found 'hinge = normal(0, nan)', expected a number at character 19");
  expect("qvel[1:3] = 0", "found 'qvel[1:3]', expected a range within 0 ... 2");
  expect("hinge = ring(-1, 1, -1, 1, 0, 1)", "found a ring for 1 numbers of hinge, expected 2");
  expect("qpos = ring(-1, 1, -1, 1, 2, 3)",
         "found 'qpos = ring(-1, 1, -1, 1, 2, 3)', expected a ring that covers");
}

TEST(MujocoSystem, DrawsReplaceTheNoise) {
  MujocoOptions options = ShippedModel("pets_cartpole");
  options.reset.draw = {"hinge = 0.25", "slider_velocity = uniform(2, 3)", "qvel[1] = -1"};
  MujocoSystem system(options);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    system.Reset(Key{seed, 0});
    const Numbers state = StateOf(system);
    EXPECT_NE(state[0], 0);
    EXPECT_EQ(state[1], 0.25);
    EXPECT_GE(state[2], 2);
    EXPECT_LE(state[2], 3);
    EXPECT_EQ(state[3], -1);
  }
}

TEST(MujocoSystem, ObservesFunctionsDifferencesAndRates) {
  MujocoOptions options = ShippedModel("pets_cartpole");
  options.observation = {"sin(qpos[1])", "cos(qpos[1:])",       "clip(qpos[1] - qpos[0], -0.5, 2)",
                         "rate(qpos)",   "rate(xpos(cart)[0])", "xpos(pole)[:2]"};
  options.observe_at = ObservedAt::kLastEvaluation;
  options.reset.draw = {"slider = 0.1", "hinge = 1", "qvel = 0"};
  MujocoSystem system(options);
  std::vector<std::string> names;
  for (const Component& component : system.spec().observation) names.push_back(component.name);
  EXPECT_EQ(names, (std::vector<std::string>{"hinge_sin", "hinge_cos", "hinge_minus_slider_clipped",
                                             "slider_rate", "hinge_rate", "cart_x_rate", "pole_x",
                                             "pole_y"}));
  EXPECT_EQ(system.spec().observation[4].unit, "rad/s");
  Numbers observed(8);
  system.Reset(Key{1, 0});
  system.Observe(observed);
  EXPECT_EQ(observed, (Numbers{std::sin(1.0), std::cos(1.0), 0.9, 0, 0, 0, 0.1, 0}));
  ASSERT_EQ(system.Step(Numbers{3}), StepStatus::kOk);
  system.Observe(observed);
  const Numbers state = StateOf(system);
  const double dt = system.spec().dt;
  EXPECT_EQ(observed[3], (state[0] - 0.1) / dt);
  EXPECT_EQ(observed[4], (state[1] - 1) / dt);
  // The frame of the cart is that of the last Runge-Kutta stage.
  EXPECT_NE(observed[6], state[0]);
  EXPECT_EQ(observed[5], (observed[6] - 0.1) / dt);
}

}  // namespace
}  // namespace foreplan
