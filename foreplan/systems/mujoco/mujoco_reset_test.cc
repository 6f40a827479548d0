// Starts from several keyframes, from a file of states, and after settling.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "foreplan/systems/mujoco/testing/mujoco_test_models.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;

// A cart with a hanging, damped pole and a filtered drive.
MujocoOptions Crane() {
  MujocoOptions options = TemporaryModel("crane.xml", R"(
    <mujoco>
      <option timestep="0.01"/>
      <default><geom contype="0" conaffinity="0"/></default>
      <worldbody>
        <body><joint name="cart" type="slide" axis="1 0 0" damping="1"/><geom size="0.1" mass="1"/>
          <body><joint name="pole" axis="0 1 0" damping="0.2"/>
            <geom size="0.05" pos="0 0 -0.5" mass="0.5"/></body></body>
        <body name="hand" mocap="true" pos="0 2 0"><geom size="0.1"/></body>
      </worldbody>
      <actuator>
        <general name="drive" joint="cart" dyntype="filter" dynprm="0.1" ctrllimited="true"
                 ctrlrange="-1 1"/>
      </actuator>
      <keyframe>
        <key name="left" qpos="-1 0.1" act="0.5"/>
        <key name="right" qpos="1 0.2"/>
        <key name="1" qpos="3 0"/>
        <key name="away" qpos="5 0" mpos="0 0 9"/>
        <key name="pushed" qpos="0 0" ctrl="0.5" time="2"/>
      </keyframe>
    </mujoco>)");
  options.observation = {"qpos", "qvel", "act"};
  options.reset.position = 0;
  options.reset.velocity = 0;
  return options;
}

Numbers StartOf(const MujocoOptions& options, uint64_t seed = 1) {
  MujocoSystem system(options);
  system.Reset(Key{seed, 0});
  return ObservationOf(system);
}

std::string WriteStates(const std::string& name, const std::string& text) {
  std::string file = testing::TempDir() + "/" + name;
  std::ofstream(file) << text;
  return file;
}

TEST(MujocoReset, OfSeveralKeyframesOneIsDrawnByKey) {
  MujocoOptions options = Crane();
  for (const char* keyframe : {"left, right", "right,0", "*t"}) {
    options.reset.keyframe = keyframe;
    MujocoSystem system(options);
    std::set<double> carts;
    for (uint64_t seed = 0; seed < 40; ++seed) {
      system.Reset(Key{seed, 0});
      const Numbers start = ObservationOf(system);
      const bool is_left = start[0] == -1;
      EXPECT_EQ(start, (is_left ? Numbers{-1, 0.1, 0, 0, 0.5} : Numbers{1, 0.2, 0, 0, 0}));
      EXPECT_EQ(StartOf(options, seed), start);
      carts.insert(start[0]);
    }
    EXPECT_EQ(carts.size(), 2U) << keyframe;  // one alone 40 times: 2^-39
  }
}

TEST(MujocoReset, KeyframesThatMeanTwoThingsOrMoveMocapBodiesAreRefused) {
  const auto expect = [](const std::string& keyframe, const std::string& part) {
    MujocoOptions options = Crane();
    options.reset.keyframe = keyframe;
    EXPECT_EQ(InputErrorOf(options), options.model + ": system.reset.keyframe: " + part);
  };
  expect("1",
         "found '1', the name of keyframe 2 and the number of keyframe 1, expected '2' or 'right'");
  expect("left, away",
         "found keyframes 0 and 3 with mocap bodies in other places, expected the same: no state "
         "holds them");
  expect("left, top", "unknown keyframe 'top'; known: left, right, 1, away, pushed");
  expect("up*", "unknown keyframe 'up*'; known: left, right, 1, away, pushed");
}

TEST(MujocoReset, AStateOfAFileReplacesTheNumbersItNames) {
  MujocoOptions options = Crane();
  options.reset.states = WriteStates("states.csv",
                                     "pole,drive_activation,cart_velocity\n"
                                     "0.7,0.25,-2\n-0.7,-0.25,2\n");
  options.reset.keyframe = "right";
  options.reset.draw = {"pole_velocity = 3"};
  MujocoSystem system(options);
  std::set<double> poles;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    system.Reset(Key{seed, 0});
    const Numbers start = ObservationOf(system);
    const double sign = start[1] > 0 ? 1 : -1;
    EXPECT_EQ(start, (Numbers{1, 0.7 * sign, -2 * sign, 3, 0.25 * sign}));
    EXPECT_EQ(StartOf(options, seed), start);
    poles.insert(start[1]);
  }
  EXPECT_EQ(poles.size(), 2U);
}

TEST(MujocoReset, WrongFilesOfStatesAreNamed) {
  const auto expect = [](const std::string& text, const std::string& part) {
    MujocoOptions options = Crane();
    options.reset.states = WriteStates("wrong_states.csv", text);
    const std::string message = InputErrorOf(options);
    EXPECT_EQ(message.find(options.reset.states), 0U) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect("poll\n1\n",
         "unknown position, velocity or activation 'poll' (did you mean 'pole'?); known: cart, ");
  expect("pole\n", "found no rows, expected one state at least");
  expect("pole,cart\n1,2\n1,x\n", "wrong_states.csv:3: column 2 ('cart')");
  expect("pole,pole\n1,2\n", "found the column 'pole' twice, expected it once");
}

TEST(MujocoReset, SettlingIsSteppingWithTheControlsOfTheStart) {
  MujocoOptions options = Crane();
  options.reset.keyframe = "pushed";
  MujocoOptions settling = options;
  settling.reset.settle_steps = 50;
  MujocoSystem by_hand(options);
  by_hand.Reset(Key{1, 0});
  for (int i = 0; i < 50; ++i) ASSERT_EQ(by_hand.Step(Numbers{0.5}), StepStatus::kOk);
  const Numbers expected = ObservationOf(by_hand);
  EXPECT_GT(expected[0], 0.01);
  EXPECT_EQ(StartOf(settling), expected);
  MujocoSystem system(settling);
  system.Reset(Key{1, 0});
  EXPECT_EQ(StateOf(system)[5], 2);  // the time: (qpos [2], qvel [2], act, time, ...)
}

TEST(MujocoReset, AStartThatDivergesWhileItSettlesEndsTheFirstStep) {
  MujocoOptions options = Crane();
  options.reset.settle_steps = 50;
  options.reset.draw = {"pole_velocity = 1e9"};
  MujocoSystem system(options);
  system.Reset(Key{1, 0});
  EXPECT_EQ(system.Step(Numbers{0}), StepStatus::kDiverged);
  EXPECT_NE(system.Divergence(), "");
  options.reset.draw = {};
  MujocoSystem calm(options);
  calm.Reset(Key{1, 0});
  EXPECT_EQ(calm.Step(Numbers{0}), StepStatus::kOk);
}

TEST(MujocoReset, ADrawThatCouldMeanAnArrayOrAJointIsRefused) {
  MujocoOptions options = TemporaryModel("joint_act.xml", R"(
    <mujoco><worldbody>
      <body><joint name="hip" type="slide"/><geom size="0.1"/>
        <body><joint name="qvel" type="slide"/><geom size="0.1"/></body></body>
    </worldbody></mujoco>)");
  options.reset.position = 0;
  options.reset.velocity = 0;
  options.reset.draw = {"qvel = 0.5"};
  EXPECT_EQ(InputErrorOf(options),
            options.model +
                ": system.reset.draw: found 'qvel', an array and the name of one number, "
                "expected qvel[0:2] or qpos[1]");
  options.reset.draw = {"qvel[0:2] = 0.5", "qpos[1] = 0.25"};
  EXPECT_EQ(StartOf(options), (Numbers{0, 0.25, 0.5, 0.5}));
}

}  // namespace
}  // namespace foreplan
