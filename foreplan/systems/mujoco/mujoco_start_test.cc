// Where episodes of a MuJoCo model start, what bounds its controls, and what a state must hold.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "foreplan/systems/mujoco/testing/mujoco_test_models.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;

// A leg with position servos, a filtered motor and a mocap body to which a plate is welded.
constexpr const char* kLeg = R"(
  <mujoco>
    <option timestep="0.005"/>
    <default><geom contype="0" conaffinity="0"/></default>
    <worldbody>
      <body pos="0 0 1"><joint name="hip" axis="0 1 0"/><geom size="0.02" pos="0 0 -0.3"/>
        <body pos="0 0 -0.3"><joint name="knee" axis="0 1 0"/><geom size="0.02" pos="0 0 -0.3"/>
        </body>
      </body>
      <body name="plate" pos="2 0 0"><joint type="slide" name="plate"/><geom size="0.1"/></body>
      <body name="hand" mocap="true" pos="0 2 0"><geom size="0.1"/></body>
    </worldbody>
    <actuator>
      <position name="hip_servo" joint="hip" kp="10" ctrllimited="true" ctrlrange="-3 3"/>
      <general name="slow" joint="knee" dyntype="filter" dynprm="0.1" ctrllimited="true"
               ctrlrange="-1 1"/>
    </actuator>
    <keyframe>
      <key name="home" qpos="0.9 -1.8 0.5" ctrl="0.9 0.25" act="0.25" time="2" mpos="0 0 7"/>
      <key qpos="0.1 0.2 0.3" qvel="1 2 3"/>
    </keyframe>
  </mujoco>)";

MujocoOptions Leg() {
  MujocoOptions options = TemporaryModel("leg.xml", kLeg);
  options.observation = {"qpos", "qvel", "act", "xpos(hand)"};
  options.reset.position = 0;
  options.reset.velocity = 0;
  return options;
}

Numbers StartOf(const MujocoOptions& options) {
  MujocoSystem system(options);
  system.Reset(Key{1, 0});
  return ObservationOf(system);
}

TEST(MujocoStart, AKeyframeGivesPositionsVelocitiesActivationsTimeAndMocapPlaces) {
  MujocoOptions options = Leg();
  options.reset.keyframe = "home";
  EXPECT_EQ(StartOf(options), (Numbers{0.9, -1.8, 0.5, 0, 0, 0, 0.25, 0, 0, 7}));
  MujocoSystem system(options);
  system.Reset(Key{1, 0});
  EXPECT_EQ(StateOf(system)[7], 2);  // (qpos, qvel, act, time, ...)
  options.reset.keyframe = "1";      // has no name
  EXPECT_EQ(StartOf(options), (Numbers{0.1, 0.2, 0.3, 1, 2, 3, 0, 0, 2, 0}));
  options.reset.keyframe = "";
  EXPECT_EQ(StartOf(options), (Numbers{0, 0, 0, 0, 0, 0, 0, 0, 2, 0}));
}

TEST(MujocoStart, NoiseAndDrawsComeOnTopOfAKeyframe) {
  MujocoOptions plain = Leg();
  plain.reset.position = 0.1;
  plain.reset.velocity = 0.2;
  MujocoOptions options = plain;
  options.reset.keyframe = "1";
  options.reset.draw = {"knee = 0.7"};
  const Numbers around_rest = StartOf(plain);
  const Numbers around_key = StartOf(options);
  EXPECT_NE(around_rest[0], 0);
  EXPECT_DOUBLE_EQ(around_key[0], 0.1 + around_rest[0]);
  EXPECT_EQ(around_key[1], 0.7);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_DOUBLE_EQ(around_key[3 + i], static_cast<double>(i) + 1 + around_rest[3 + i]);
  }
}

TEST(MujocoStart, ASystemThatWasOnlyGivenAStateHasTheKeyframesMocapBodies) {
  MujocoOptions options = Leg();
  options.reset.keyframe = "home";
  MujocoSystem one(options);
  one.Reset(Key{1, 0});
  MujocoSystem other(options);  // never reset
  other.SetState(StateOf(one));
  const Numbers action{0.3, 0.5};
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(one.Step(action), StepStatus::kOk);
    ASSERT_EQ(other.Step(action), StepStatus::kOk);
  }
  EXPECT_EQ(StateOf(other), StateOf(one));
  EXPECT_EQ(ObservationOf(other)[9], 7);
}

TEST(MujocoStart, ForcesSeenAtTheStartAreThoseOfTheKeyframesControls) {
  MujocoOptions options = Leg();
  options.observation = {"qfrc_actuator[0]"};
  options.reset.keyframe = "home";
  // The servo stands where it is told to: kp (0.9 - 0.9).
  EXPECT_NEAR(StartOf(options)[0], 0, 1e-12);
  options.reset.draw = {"hip = 0.8"};
  EXPECT_NEAR(StartOf(options)[0], 10 * (0.9 - 0.8), 1e-12);
}

TEST(MujocoStart, ActivationsAreDrawnByNameOrAsAnArray) {
  MujocoOptions options = Leg();
  options.reset.draw = {"slow_activation = 0.6"};
  EXPECT_EQ(StartOf(options)[6], 0.6);
  options.reset.draw = {"act[0] = uniform(0.2, 0.3)"};
  EXPECT_GE(StartOf(options)[6], 0.2);
  EXPECT_LE(StartOf(options)[6], 0.3);
  options.reset.keyframe = "home";
  EXPECT_LE(StartOf(options)[6], 0.3);
}

TEST(MujocoStart, WrongKeyframesAreNamed) {
  MujocoOptions options = Leg();
  options.reset.keyframe = "hom";
  EXPECT_EQ(InputErrorOf(options), options.model +
                                       ": system.reset.keyframe: unknown keyframe 'hom' (did you "
                                       "mean 'home'?); known: home, 1");
  options.reset.keyframe = "2";
  EXPECT_NE(InputErrorOf(options).find("unknown keyframe '2'"), std::string::npos);
  options = ShippedModel("pets_cartpole");
  options.reset.keyframe = "home";
  EXPECT_NE(InputErrorOf(options).find(
                "system.reset.keyframe: found 'home', expected none: the model has no keyframes"),
            std::string::npos);
}

// A joint that is called like another one's velocity.
TEST(MujocoStart, DrawsTellAJointFromAVelocityOfTheSameName) {
  MujocoOptions options = TemporaryModel("velocity.xml", R"(
    <mujoco><worldbody>
      <body><joint name="a" type="slide"/><geom size="0.1"/></body>
      <body><joint name="a_velocity" type="slide"/><geom size="0.1"/></body>
    </worldbody></mujoco>)");
  options.reset.position = 0;
  options.reset.velocity = 0;
  options.reset.draw = {"a_velocity = 3", "a_velocity_2 = 4"};
  MujocoSystem system(options);
  EXPECT_EQ(Names(system.spec().observation),
            (std::vector<std::string>{"a", "a_velocity", "a_velocity_2", "a_velocity_velocity"}));
  system.Reset(Key{1, 0});
  EXPECT_EQ(ObservationOf(system), (Numbers{0, 3, 4, 0}));
}

// --- control ranges

constexpr const char* kUnlimited = R"(
  <mujoco>
    <worldbody><body>
      <joint name="x" type="slide" axis="1 0 0"/><geom size="0.1" mass="1"/>
      <body><joint name="y" type="slide" axis="0 1 0"/><geom size="0.1" mass="1"/></body>
    </body></worldbody>
    <actuator>
      <motor name="left/push" joint="x" ctrllimited="false"/>
      <motor name="right_push" joint="y" ctrllimited="true" ctrlrange="-1 1"/>
    </actuator>
  </mujoco>)";

TEST(MujocoControlRange, OfTheTaskBoundsActionsAndReachesTheSimulator) {
  MujocoOptions options = TemporaryModel("unlimited.xml", kUnlimited);
  options.reset.position = 0;
  options.reset.velocity = 0;
  options.control_range = {"*push = (-9, 9)", "'left/push' = (-2, 4)"};
  MujocoSystem system(options);
  EXPECT_EQ(system.spec().action_low, (Numbers{-2, -9}));
  EXPECT_EQ(system.spec().action_high, (Numbers{4, 9}));
  system.Reset(Key{1, 0});
  // Beyond the model's own range, and clamped to the task's: a = u / m.
  ASSERT_EQ(system.Step(Numbers{100, 5}), StepStatus::kOk);
  const Numbers observation = ObservationOf(system);
  const double dt = system.spec().dt;
  EXPECT_NEAR(observation[2], 4 / 2.0 * dt, 1e-12);  // carries both bodies
  EXPECT_NEAR(observation[3], 5 / 1.0 * dt, 1e-12);
}

TEST(MujocoControlRange, MissingAndWrongOnesAreNamed) {
  MujocoOptions options = TemporaryModel("unlimited.xml", kUnlimited);
  const auto expect = [&](const std::vector<std::string>& ranges, const std::string& part) {
    options.control_range = ranges;
    const std::string message = InputErrorOf(options);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  expect({},
         "actuator 'left/push': found no ctrlrange, expected bounds: there, or in the task as "
         "system.control_range = [\"'left/push' = (LOW, HIGH)\"]");
  expect({"right_pus = (-1, 1)"},
         "system.control_range: unknown actuator 'right_pus' (did you mean 'right_push'?)");
  expect({"'left/push' = (1, -1)"}, "expected LOW < HIGH");
  expect({"'left/push' = (1, 1)"}, "expected LOW < HIGH");
  expect({"'left/push' = (-inf, 1)"}, "expected a number");
  expect({"'left/push = (0, 1)"}, "expected '''");
  expect({"right_push = (0)"}, "expected ','");
}

// --- what a state cannot hold

TEST(MujocoState, ContinuesBitForBitInAnotherSystemWithActivationsAndMeasurements) {
  MujocoOptions options = Leg();
  options.observation = {"qpos", "act", "rate(xpos(plate)[0])", "qfrc_actuator"};
  MujocoSystem system(options);
  system.Reset(Key{3, 0});
  const Numbers action{0.5, 0.7};
  for (int i = 0; i < 7; ++i) ASSERT_EQ(system.Step(action), StepStatus::kOk);
  MujocoSystem other(options);
  other.Reset(Key{4, 0});
  ASSERT_EQ(other.Step(action), StepStatus::kOk);
  other.SetState(StateOf(system));
  for (int i = 0; i < 7; ++i) {
    ASSERT_EQ(system.Step(action), StepStatus::kOk);
    ASSERT_EQ(other.Step(action), StepStatus::kOk);
    ASSERT_EQ(StateOf(other), StateOf(system));
    ASSERT_EQ(ObservationOf(other), ObservationOf(system));
  }
}

#if mjVERSION_HEADER >= 4000000

// A ball falls on the floor and rests.
MujocoOptions Sleeper() {
  MujocoOptions options = TemporaryModel("sleep.xml", R"(
    <mujoco>
      <option timestep="0.01" sleep_tolerance="0.1"><flag sleep="enable"/></option>
      <worldbody>
        <geom type="plane" size="1 1 0.1"/>
        <body pos="0 0 0.06"><freejoint name="box"/><geom type="box" size="0.05 0.05 0.05"/></body>
        <body pos="0 1 1"><joint name="arm" axis="1 0 0"/><geom size="0.02" pos="0 0.2 0"/></body>
      </worldbody>
      <actuator><motor name="m" joint="arm" ctrllimited="true" ctrlrange="-1 1"/></actuator>
    </mujoco>)");
  options.reset.position = 0;
  options.reset.velocity = 0;
  return options;
}

TEST(MujocoState, SleepingBodiesAreRefusedAndTheRemedyNamed) {
  const MujocoOptions options = Sleeper();
  EXPECT_EQ(InputErrorOf(options),
            options.model +
                ": found <flag sleep=\"enable\"/>, expected none, as no state can hold who "
                "sleeps; system.keep_awake = true in the task simulates all bodies awake");
}

TEST(MujocoState, KeptAwakeItContinuesBitForBit) {
  MujocoOptions options = Sleeper();
  options.keep_awake = true;
  MujocoSystem system(options);
  system.Reset(Key{1, 0});
  for (int i = 0; i < 100; ++i) ASSERT_EQ(system.Step(Numbers{0.2}), StepStatus::kOk);
  MujocoSystem other(options);
  other.Reset(Key{2, 0});
  other.SetState(StateOf(system));
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(system.Step(Numbers{0.2}), StepStatus::kOk);
    ASSERT_EQ(other.Step(Numbers{0.2}), StepStatus::kOk);
    ASSERT_EQ(StateOf(other), StateOf(system)) << i;
  }
}

TEST(MujocoState, OtherMemoryIsRefused) {
  const auto message = [](const std::string& name, const std::string& option,
                          const std::string& actuator) {
    return InputErrorOf(TemporaryModel(name, "<mujoco>" + option + R"(
      <worldbody><body><joint name="j"/><geom size="0.1" pos="0.2 0 0"/></body></worldbody>
      <actuator>)" + actuator + "</actuator></mujoco>"));
  };
  const std::string motor = R"(<motor name="m" joint="j" ctrllimited="true" ctrlrange="-1 1")";
  EXPECT_EQ(message("plain.xml", "", motor + "/>"), "");
  EXPECT_NE(message("delay.xml", "", motor + R"( delay="0.01" nsample="10"/>)")
                .find("delays or plasticity are not supported"),
            std::string::npos);
}

#endif

}  // namespace
}  // namespace foreplan
