#include "foreplan/systems/mujoco_system.h"

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
#include "foreplan/systems/cartpole.h"
#include "foreplan/systems/golden_test_data.h"
#include "foreplan/systems/reward.h"
#include "foreplan/systems/task_files.h"

namespace foreplan {
namespace {

MujocoOptions ShippedModel(const std::string& name) {
  MujocoOptions options;
  options.model = (TasksDirectory() / (name + ".xml")).string();
  options.frame_skip = 2;
  return options;
}

/// Writes a model into the tests' temporary directory.
MujocoOptions TemporaryModel(const std::string& name, const std::string& mjcf) {
  MujocoOptions options;
  options.model = testing::TempDir() + "/" + name;
  std::ofstream(options.model) << mjcf;
  return options;
}

std::string InputErrorOf(const MujocoOptions& options) {
  try {
    MujocoSystem system(options);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

std::vector<double> StateOf(const System& system) {
  std::vector<double> state(system.spec().state.size());
  system.GetState(state);
  return state;
}

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
// ------------------------------------------------------------------------------------

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

// --- divergence
// -----------------------------------------------------------------------------------

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

TEST(Mujoco, FatalErrorsThrowInsteadOfEndingTheProcess) {
  LoadMujocoModel(ShippedModel("pets_cartpole").model);
  EXPECT_THROW(mju_error("out of luck"), MujocoError);
}

// --- wrong input
// ----------------------------------------------------------------------------------

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
         "actuator 'motor': found no ctrlrange, expected bounds");
  MujocoOptions missing;
  missing.model = testing::TempDir() + "/missing.xml";
  expect(missing, "no such file, expected an MJCF model");
  MujocoOptions part = ShippedModel("pets_cartpole");
  part.observation = {"qpos", "qvell"};
  expect(part, "system.observation: unknown part 'qvell' (did you mean 'qvel'?)");
}

}  // namespace
}  // namespace foreplan
