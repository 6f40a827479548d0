// A first task file of whatever model: it is a task, and runs as it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

constexpr const char* kCartPole = R"(
  <mujoco>
    <option timestep="0.01"/>
    <worldbody>
      <body name="cart">
        <joint name="slider" type="slide" axis="1 0 0" limited="true" range="-1.8 1.8"/>
        <geom type="box" size="0.1 0.1 0.1"/>
        <body name="pole">
          <joint name="hinge" type="hinge" axis="0 1 0"/>
          <geom type="capsule" fromto="0 0 0  0 0 1" size="0.03"/>
          <site name="tip" pos="0 0 1"/>
        </body>
      </body>
    </worldbody>
    <actuator>
      <motor name="push" joint="slider" gear="10" ctrllimited="true" ctrlrange="-1 1"/>
    </actuator>
    <sensor><velocimeter name="speed" site="tip"/></sensor>
  </mujoco>)";

// Two keyframes; servos without a range of their own, of limited joints and not.
constexpr const char* kServoArm = R"(
  <mujoco>
    <option timestep="0.002"/>
    <worldbody>
      <body>
        <joint name="left/shoulder" type="hinge" axis="0 1 0" limited="true" range="-90 90"
               damping="1"/>
        <geom type="capsule" fromto="0 0 0  0.3 0 0" size="0.03"/>
        <body pos="0.3 0 0">
          <joint name="elbow" type="hinge" axis="0 1 0" damping="1"/>
          <geom type="capsule" fromto="0 0 0  0.3 0 0" size="0.03"/>
        </body>
      </body>
    </worldbody>
    <actuator>
      <position name="left/shoulder" joint="left/shoulder" kp="20"/>
      <position joint="elbow" kp="20"/>
    </actuator>
    <keyframe><key name="home" qpos="0.3 -0.6"/><key qpos="0 0"/></keyframe>
  </mujoco>)";

constexpr const char* kFreeBody = R"(
  <mujoco>
    <worldbody>
      <body name="ship">
        <freejoint/>
        <geom type="box" size="0.1 0.2 0.3"/>
        <site name="jet"/>
      </body>
    </worldbody>
    <actuator>
      <motor name="lift" site="jet" gear="0 0 1 0 0 0" forcelimited="true" forcerange="0 800"/>
      <general name="slow" site="jet" gear="0 0 0 1 0 0" dyntype="filter" dynprm="0.1"
               ctrllimited="true" ctrlrange="-1 1"/>
    </actuator>
  </mujoco>)";

class NewCommand : public ProgramTest {
 protected:
  /// new, show and a short run of the file as it is written.
  Json ShowNew(const std::string& model, const std::string& out) const {
    const ProgramResult made = RunProgram({"new", model, "--out", out});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    const ProgramResult run = RunProgram({"run",        out,
                                          "--episodes", "2",
                                          "--out",      "run",
                                          "--set",      "episode_length=15",
                                          "--set",      "model.members=2",
                                          "--set",      "model.width=16",
                                          "--set",      "model.hidden_layers=1",
                                          "--set",      "fit.min_steps=20",
                                          "--set",      "fit.max_steps=20",
                                          "--set",      "planner.icem.population=16",
                                          "--set",      "planner.icem.elites=4",
                                          "--set",      "planner.icem.iterations=1"});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    const ProgramResult shown = RunProgram({"show", out, "--json"});
    EXPECT_EQ(shown.exit_code, 0) << shown.err;
    return Json::parse(shown.out);
  }

  static std::vector<std::string> NamesOf(const Json& components) {
    std::vector<std::string> names;
    for (const Json& component : components) names.push_back(component["name"]);
    return names;
  }
};

TEST_F(NewCommand, ACartPoleIsATaskAtOnce) {
  WriteText("cart-pole.xml", kCartPole);
  const Json task = ShowNew("cart-pole.xml", "first.toml");
  EXPECT_EQ(task["task"], "first");
  EXPECT_THAT(NamesOf(task["observation"]),
              ElementsAre("slider", "hinge", "slider_velocity", "hinge_velocity"));
  EXPECT_EQ(task["action"][0]["low"], -1.0);
  EXPECT_NEAR(task["dt_seconds"], 0.04, 1e-15);
  EXPECT_NEAR(task["episode_seconds"], 5, 1e-12);
  EXPECT_EQ(task["horizon_steps"], 25);
  EXPECT_EQ(task["first_reward"], 0.0);
  const std::string text = FileText(work() / "first.toml");
  EXPECT_THAT(text, HasSubstr("#   joints     slider [m] -1.8 ... 1.8, hinge [rad]\n"));
  EXPECT_THAT(text, HasSubstr("#   actuators  push -1 ... 1\n"));
  EXPECT_THAT(text, HasSubstr("#   sensors    speed\n"));
  EXPECT_THAT(text, HasSubstr("#   sites      tip\n"));
  EXPECT_THAT(text, HasSubstr("#   bodies     cart, pole\n"));
  EXPECT_THAT(text, HasSubstr("\nsin_cos = [\"hinge\"]"));
  EXPECT_THAT(text, Not(HasSubstr("keyframe")));
}

// Its examples are of this model: each can take the place of what is there.
TEST_F(NewCommand, WhatStandsInCommentsCanBeUsed) {
  WriteText("cart-pole.xml", kCartPole);
  ASSERT_EQ(RunProgram({"new", "cart-pole.xml"}).exit_code, 0);
  const std::string text = FileText(work() / "cart-pole.toml");
  for (const char* key : {"# reward = ", "# termination = ", "# draw = ", "# control_range = "}) {
    for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
      std::string changed = text;
      std::string line = text.substr(at + 2, text.find('\n', at) - at - 2);
      const std::string name = line.substr(0, line.find(' '));
      changed.erase(at, 2);
      if (name == "reward") {
        const size_t line_before = text.find("\nreward = ") + 1;
        changed.erase(line_before, text.find('\n', line_before) + 1 - line_before);
      }
      if (line.find("site_xpos") != std::string::npos) {
        changed.replace(changed.find("\"qvel\"]"), 7, "\"qvel\", \"site_xpos(tip)\"]");
      }
      WriteText("changed.toml", changed);
      const ProgramResult result = RunProgram({"show", "changed.toml"});
      EXPECT_EQ(result.exit_code, 0) << line << "\n" << result.err;
    }
  }
}

TEST_F(NewCommand, ServosMoveWithinTheirJointsFromTheFirstKeyframeOn) {
  WriteText("arm.xml", kServoArm);
  const Json task = ShowNew("arm.xml", "arm.toml");
  EXPECT_NEAR(task["action"][0]["low"], -1.5708, 1e-5) << "six digits of the joint's range [rad]";
  EXPECT_NEAR(task["action"][0]["high"], 1.5708, 1e-5);
  EXPECT_EQ(task["action"][1]["name"], "actuator1");
  EXPECT_EQ(task["action"][1]["high"], 1.0) << "a guess";
  EXPECT_NEAR(task["observation"][0]["first"], 0.3, 0.1) << "ten deviations of 0.01";
  const std::string text = FileText(work() / "arm.toml");
  EXPECT_THAT(text, HasSubstr("\nkeyframe = \"home\""));
  EXPECT_THAT(text, HasSubstr("left/shoulder: the joint's range, actuator1: a guess"));
}

TEST_F(NewCommand, AFreeBodyIsObservedWithItsActivations) {
  WriteText("ship.xml", kFreeBody);
  const Json task = ShowNew("ship.xml", "ship.toml");
  EXPECT_EQ(task["observation"].size(), 14U) << "7 positions, 6 velocities, 1 activation";
  EXPECT_EQ(task["action"][0]["low"], 0.0);
  EXPECT_EQ(task["action"][0]["high"], 800.0) << "the largest force";
}

TEST_F(NewCommand, AModelOfSeveralFilesIsNamedFromWhereTheTaskStands) {
  fs::create_directories(work() / "robots/parts");
  fs::create_directories(work() / "tasks");
  const std::string model = kCartPole;
  const size_t begin = model.find("<actuator>");
  const size_t end = model.find("</actuator>") + 11;
  WriteText("robots/cart.xml",
            model.substr(0, begin) + "<include file=\"parts/motors.xml\"/>" + model.substr(end));
  WriteText("robots/parts/motors.xml", "<mujoco>" + model.substr(begin, end - begin) + "</mujoco>");
  ShowNew("robots/cart.xml", "tasks/cart.toml");
  EXPECT_THAT(FileText(work() / "tasks/cart.toml"), HasSubstr("model = \"../robots/cart.xml\"\n"));
}

TEST_F(NewCommand, SaysWhichFoldersItMakes) {
  WriteText("cart.xml", kCartPole);
  const ProgramResult made = RunProgram({"new", "cart.xml", "--out", "tasks/cart.toml"});
  EXPECT_EQ(made.exit_code, 0);
  EXPECT_THAT(made.err, HasSubstr("makes the folder 'tasks' as well"));
  EXPECT_EQ(RunProgram({"new", "cart.xml", "--out", "tasks/other.toml"}).err, "");
}

TEST_F(NewCommand, APrintedConfigurationMayStandAnywhere) {
  WriteText("cart.xml", kCartPole);
  ASSERT_EQ(RunProgram({"new", "cart.xml"}).exit_code, 0);
  const std::vector<std::string> before = Files();
  const ProgramResult printed = RunProgram({"run", "cart.toml", "--print-config"});
  ASSERT_EQ(printed.exit_code, 0) << printed.err;
  EXPECT_EQ(Files(), before) << "nothing is copied";
  fs::create_directories(work() / "elsewhere");
  WriteText("elsewhere/printed.toml", printed.out);
  const ProgramResult again = RunProgram({"run", "elsewhere/printed.toml", "--print-config"});
  EXPECT_EQ(again.out, printed.out) << again.err;
}

TEST_F(NewCommand, AModelWithoutActuatorsIsRefused) {
  std::string model = kCartPole;
  const size_t begin = model.find("<actuator>");
  model.erase(begin, model.find("</actuator>") + 11 - begin);
  WriteText("limp.xml", model);
  const ProgramResult result = RunProgram({"new", "limp.xml"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("foreplan: limp.xml: found no actuators, expected something to "
                                    "control: <actuator>"));
  EXPECT_THAT(Files(), ElementsAre("limp.xml"));
}

TEST_F(NewCommand, NothingIsOverwrittenUnasked) {
  WriteText("cart.xml", kCartPole);
  WriteText("cart.toml", "mine");
  const ProgramResult refused = RunProgram({"new", "cart.xml"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("cart.toml: exists already, expected a new file for --out; "
                                     "--force writes over it"));
  EXPECT_EQ(FileText(work() / "cart.toml"), "mine");
  EXPECT_EQ(RunProgram({"new", "cart.xml", "--force"}).exit_code, 0);
  EXPECT_THAT(FileText(work() / "cart.toml"), HasSubstr("name = \"cart\""));
}

TEST_F(NewCommand, SaysWhatIsWrong) {
  WriteText("cart.xml", kCartPole);
  EXPECT_THAT(RunProgram({"new", "none.xml"}).err,
              HasSubstr("none.xml: no such file, expected an MJCF model"));
  EXPECT_THAT(RunProgram({"new", "cart.xml", "--out", "task.txt"}).err,
              HasSubstr("--out: found 'task.txt', expected a name that ends in .toml"));
  EXPECT_THAT(Files(), ElementsAre("cart.xml"));
}

}  // namespace
}  // namespace foreplan::apps
