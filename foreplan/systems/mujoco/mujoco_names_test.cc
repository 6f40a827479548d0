// What is observed and acted on has a name of its own, however the model's objects are called.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/systems/mujoco/mujoco_components.h"
#include "foreplan/systems/mujoco/testing/mujoco_test_models.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

using Strings = std::vector<std::string>;

// A joint, a motor, a sensor and a body, a site, a geom of the same names, as robots' models have.
MujocoOptions SameNames(const Strings& observation) {
  MujocoOptions options = TemporaryModel("same_names.xml", R"(
    <mujoco>
      <worldbody>
        <body name="tip">
          <joint name="hip" axis="0 1 0"/>
          <geom name="tip" size="0.1" pos="0 0 -0.3"/>
          <site name="tip" pos="0 0 -0.4"/>
        </body>
      </worldbody>
      <actuator>
        <motor name="hip" joint="hip" ctrllimited="true" ctrlrange="-1 1"/>
      </actuator>
      <sensor>
        <actuatorfrc name="hip" actuator="hip"/>
        <velocimeter name="tip" site="tip"/>
        <jointvel name="hip_velocity" joint="hip"/>
      </sensor>
    </mujoco>)");
  options.observation = observation;
  options.reset.draw = {"hip = 0.5", "hip_velocity = 2"};
  return options;
}

TEST(MujocoNames, ALaterPartSaysWhichKindOfObjectItIsOf) {
  MujocoSystem system(SameNames({"qpos", "qvel", "sensor(hip)", "sensor(hip_velocity)", "xpos(tip)",
                                 "site_xpos(tip)", "geom_xpos(tip)[2]", "sensor(tip)[0]"}));
  EXPECT_EQ(
      Names(system.spec().observation),
      (Strings{"hip", "hip_velocity", "hip_sensor", "hip_velocity_sensor", "tip_x", "tip_y",
               "tip_z", "tip_site_x", "tip_site_y", "tip_site_z", "tip_geom_z", "tip_sensor_x"}));
  system.Reset(Key{1, 0});
  const std::vector<double> observed = ObservationOf(system);
  EXPECT_EQ(observed[0], 0.5);
  EXPECT_EQ(observed[2], 0);                               // no torque yet
  EXPECT_EQ(observed[3], 2);                               // the sensor of the velocity
  EXPECT_NEAR(observed[9], -0.4 * std::cos(0.5), 1e-15);   // the site
  EXPECT_NEAR(observed[10], -0.3 * std::cos(0.5), 1e-15);  // the geom
}

TEST(MujocoNames, TheFirstKeepsItsNameWhateverItIs) {
  EXPECT_EQ(Names(MujocoSystem(SameNames({"sensor(hip)", "qpos", "qvel"})).spec().observation),
            (Strings{"hip", "hip_joint", "hip_velocity"}));
}

TEST(MujocoNames, FunctionsAndDifferencesSayItToo) {
  EXPECT_EQ(
      Names(MujocoSystem(SameNames({"sin(qpos)", "sin(sensor(hip))", "rate(site_xpos(tip)[2])",
                                    "rate(geom_xpos(tip)[2])", "sensor(hip) - sensor(hip_velocity)",
                                    "qpos - sensor(hip_velocity)"}))
                .spec()
                .observation),
      (Strings{"hip_sin", "hip_sensor_sin", "tip_z_rate", "tip_geom_z_rate",
               "hip_minus_hip_velocity", "hip_joint_minus_hip_velocity_sensor"}));
}

TEST(MujocoNames, WhatOnlyItsBoundsTellApartIsCounted) {
  EXPECT_EQ(
      Names(MujocoSystem(SameNames({"clip(qpos, -1, 1)", "clip(qpos, -2, 2)", "clip(qpos, -3, 3)"}))
                .spec()
                .observation),
      (Strings{"hip_clipped", "hip_joint_clipped", "hip_joint_clipped_2"}));
}

TEST(MujocoNames, TheSameNumberTwiceIsRefused) {
  const auto expect = [](const Strings& observation, const std::string& part) {
    const std::string message = InputErrorOf(SameNames(observation));
    EXPECT_NE(message.find("system.observation: " + part), std::string::npos) << message;
  };
  expect({"qpos", "qvel", "qpos[0]"},
         "found observation component 'hip' twice, the second time as 'qpos[0]', expected each "
         "number once");
  expect({"qpos", "sensor(hip)", "sensor(hip)"},
         "found observation component 'hip_sensor' twice, the second time as 'sensor(hip)'");
  expect({"clip(qpos, -1, 1)", "clip(qpos, -1, 1)"}, "found observation component 'hip_clipped'");
}

// "hip" is a joint that only its sine is observed of, and a motor.
TEST(MujocoNames, OfAnActionAndOfAnUnobservedJointIsRefusedInExpressions) {
  const auto message_of = [](const Strings& observation, const std::string& reward,
                             const Strings& inputs = {}) -> std::string {
    try {
      TaskDefinition task;
      task.name = "t";
      task.episode_length = 5;
      task.system = std::make_shared<MujocoSystem>(SameNames(observation));
      task.reward = ExpressionText{"reward", reward};
      task.encoding.input_texts = inputs;
      (void)Task(std::move(task));
      return "";
    } catch (const InputError& error) {
      return error.what();
    }
  };
  const std::string message = message_of({"sin(qpos)", "qvel"}, "-hip^2");
  EXPECT_NE(
      message.find("found 'hip', the name of an action and of a part of the state that is not "
                   "observed, expected u.hip, or the other observed and next.hip or "
                   "previous.hip"),
      std::string::npos)
      << message;
  EXPECT_EQ(message_of({"sin(qpos)", "qvel"}, "-u.hip^2"), "");
  EXPECT_EQ(message_of({"sin(qpos)", "qpos"}, "-next.hip^2"), "");
  EXPECT_NE(message_of({"sin(qpos)", "qvel"}, "0", {"sin(hip)"})
                .find("encoding.inputs[0]: column 5: found 'hip', the name of an action and of a "
                      "part of the state that is not observed"),
            std::string::npos);
  EXPECT_EQ(message_of({"sin(qpos)", "qvel"}, "0", {"sin(u.hip)"}), "");
}

TEST(MujocoNames, MadeUpNamesAvoidThoseThatExist) {
  MujocoOptions options = TemporaryModel("made_up.xml", R"(
    <mujoco>
      <worldbody>
        <body><joint type="slide" axis="1 0 0"/><geom name="geom1" size="0.1"/>
          <body><joint name="joint0" type="slide" axis="0 1 0"/><geom size="0.1" pos="1 0 0"/>
            <body><joint name="unnamed_joint0" type="slide" axis="0 0 1"/><geom size="0.1"/></body>
          </body>
        </body>
      </worldbody>
      <actuator>
        <motor name="actuator1" joint="joint0" ctrllimited="true" ctrlrange="-1 1"/>
        <motor joint="joint0" ctrllimited="true" ctrlrange="-2 2"/>
      </actuator>
    </mujoco>)");
  options.observation = {"qpos", "geom_xpos(geom1)[0]", "geom_xpos(unnamed_geom1)[0]"};
  MujocoSystem system(options);
  EXPECT_EQ(Names(system.spec().observation),
            (Strings{"unnamed_unnamed_joint0", "joint0", "unnamed_joint0", "geom1_x",
                     "unnamed_geom1_x"}));
  EXPECT_EQ(Names(system.spec().action), (Strings{"actuator1", "unnamed_actuator1"}));
  system.SetState(std::vector<double>(system.spec().state.size()));
  options.control_range = {"unnamed_actuator1 = (-3, 3)"};
  EXPECT_EQ(MujocoSystem(options).spec().action_high, (std::vector<double>{1, 3}));
}

TEST(MujocoNames, NamesOfTheStateAllDifferAndJointsKeepTheirs) {
  const MujocoOptions options = TemporaryModel("state_names.xml", R"(
    <mujoco>
      <worldbody>
        <body><freejoint name="root"/><geom size="0.1"/></body>
        <body pos="0 0 3"><joint name="root_x" type="slide"/><geom size="0.1"/>
          <body><joint name="root_x_velocity"/><geom size="0.1"/></body></body>
      </worldbody>
    </mujoco>)");
  const StateComponents state = ComponentsOfState(*LoadMujocoModel(options.model));
  ASSERT_EQ(state.positions.size(), 9U);
  EXPECT_EQ(state.positions[0].name, "root_x_2");  // made up
  EXPECT_EQ(state.positions[7].name, "root_x");
  EXPECT_EQ(state.positions[8].name, "root_x_velocity");
  EXPECT_EQ(state.velocities[0].name, "root_x_velocity_2");
  EXPECT_EQ(state.velocities[6].name, "root_x_velocity_3");
  EXPECT_EQ(state.velocities[7].name, "root_x_velocity_velocity");
  EXPECT_EQ(state.dofs[0], "root_x");
  EXPECT_EQ(state.dofs[3], "root_x_angular");
}

TEST(MujocoNames, OtherCharactersStandBetweenQuotes) {
  MujocoOptions options = TemporaryModel("quoted.xml", R"(
    <mujoco>
      <worldbody><body name="left/arm 2">
        <joint name="left/hip-1" axis="0 1 0"/><geom size="0.1" pos="0.2 0 0"/></body></worldbody>
    </mujoco>)");
  options.observation = {"qpos", "xpos('left/arm 2')[0]"};
  options.body_offset = {"'left/arm 2' = (1, 0, 0)"};
  options.reset.draw = {"'left/hip-1' = 0.25"};
  MujocoSystem system(options);
  EXPECT_EQ(Names(system.spec().observation), (Strings{"left/hip-1", "left/arm 2_x"}));
  system.Reset(Key{1, 0});
  EXPECT_EQ(ObservationOf(system), (std::vector<double>{0.25, 1}));
}

}  // namespace
}  // namespace foreplan
