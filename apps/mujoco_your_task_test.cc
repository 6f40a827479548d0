// A stranger's task: the files of docs/your_task.md as they stand there, in a folder of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/program_testing.h"
#include "foreplan/core/testing/source_dir.h"
#include "foreplan/systems/mujoco/testing/small_png.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// The first block of that language on the page.
std::string BlockOf(const std::string& page, const std::string& language) {
  const std::string mark = "```" + language + "\n";
  const size_t begin = page.find(mark);
  if (begin == std::string::npos) return "";
  const size_t end = page.find("```", begin + mark.size());
  return page.substr(begin + mark.size(), end - begin - mark.size());
}

// Networks, fits and plans of a second.
std::vector<std::string> Small(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"run"};
  for (const char* assignment :
       {"episode_length=25", "model.members=2", "model.width=16", "model.hidden_layers=1",
        "fit.min_steps=20", "fit.max_steps=20", "planner.icem.horizon=6",
        "planner.icem.population=16", "planner.icem.elites=4", "planner.icem.iterations=2"}) {
    arguments.insert(arguments.end(), {"--set", assignment});
  }
  return Concatenated(arguments, more);
}

class YourTask : public ProgramTest {
 protected:
  YourTask() {
    const std::string page = FileText(fs::path(FOREPLAN_SOURCE_DIR) / "docs/your_task.md");
    model_ = BlockOf(page, "xml");
    task_ = BlockOf(page, "toml");
    WriteText("two_links.xml", model_);
    WriteText("my_task.toml", task_);
  }

  // The message of a run of the task with `from` replaced by `to`.
  std::string ErrorWith(const std::string& from, const std::string& to) {
    std::string text = task_;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    WriteText("my_task.toml", text);
    const std::vector<std::string> before = Files();
    const ProgramResult result = RunProgram({"run", "my_task.toml"});
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(Files(), before);
    return result.err;
  }

  std::string model_;
  std::string task_;
};

TEST_F(YourTask, RunsAtTheFirstTryAndAgainFromItsFolder) {
  const ProgramResult first =
      RunProgram(Small({"my_task.toml", "--episodes", "2", "--out", "first", "--json"}));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const auto document = nlohmann::json::parse(first.out);
  EXPECT_EQ(document["task"], "two_link_swing_up");
  EXPECT_EQ(document["episode_returns"].size(), 2U);

  // The folder is all that is needed.
  fs::remove(work() / "two_links.xml");
  fs::remove(work() / "my_task.toml");
  const ProgramResult second =
      RunProgram({"run", "first/config.toml", "--out", "second", "--json"});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(FileText(work() / "second/episodes.csv"), FileText(work() / "first/episodes.csv"));
  EXPECT_EQ(FileText(work() / "second/config.toml"), FileText(work() / "first/config.toml"));
  const ProgramResult evaluation =
      RunProgram({"eval", "first", "--controller", "zero", "--episodes", "2"});
  EXPECT_EQ(evaluation.exit_code, 0) << evaluation.err;
}

// A model with another file, of a kind that is not called `file`.
TEST_F(YourTask, AMovedRunOfAModelWithTexturesIsEvaluatedResumedAndRepeated) {
  std::string model = model_;
  std::string texture = "<asset><texture name=\"t\" type=\"cube\"";
  for (const char* side : {"right", "left", "up", "down", "front", "back"}) {
    texture += std::string(" file") + side + "=\"side.png\"";
  }
  model.insert(model.find("<worldbody>"), texture + "/></asset>\n");
  WriteText("two_links.xml", model);
  WriteText("side.png", {kSmallPng, sizeof kSmallPng - 1});
  const ProgramResult first =
      RunProgram(Small({"my_task.toml", "--episodes", "2", "--out", "first"}));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  fs::create_directory(work() / "elsewhere");
  fs::rename(work() / "first", work() / "elsewhere/first");
  for (const char* original : {"my_task.toml", "two_links.xml", "side.png"}) {
    fs::remove(work() / original);
  }
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"eval", "elsewhere/first", "--controller", "zero", "--episodes",
                                 "1"},
        std::vector<std::string>{"run", "--resume", "elsewhere/first"},
        std::vector<std::string>{"run", "elsewhere/first/config.toml", "--out", "second"}}) {
    const ProgramResult result = RunProgram(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
}

// What eval says of a reward that is not finite, plan says, too.
TEST_F(YourTask, PlansNameTheOperationThatIsNotFinite) {
  std::string text = task_;
  const std::string reward = "exp(-2 * (1 - height))";
  text.replace(text.find(reward), reward.size(), "sqrt(0.5 - abs(shoulder))");
  // Too weak to stop it.
  text.replace(text.find("velocity = 0.1"), 14,
               "draw = [\"shoulder = 0.4\", \"shoulder_velocity = 2\"]");
  text.insert(text.find("observation ="), "control_range = [\"* = (-1e-3, 1e-3)\"]\n");
  WriteText("my_task.toml", text);
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"plan", "my_task.toml", "--planner", "random_shooting"},
        std::vector<std::string>{"plan", "my_task.toml", "--planner", "ilqr"},
        std::vector<std::string>{"eval", "my_task.toml", "--controller", "zero"}}) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const ProgramResult result = RunProgram(arguments);
    EXPECT_EQ(result.exit_code, 3) << result.err;
    EXPECT_THAT(result.err, HasSubstr(": reward is nan: the square root of -"));
    EXPECT_THAT(result.err, HasSubstr(", at shoulder = "));
  }
}

TEST_F(YourTask, AModelIsUsedUnchanged) {
  WriteText("vendor.xml", R"(
    <mujoco>
      <worldbody>
        <body><joint name="x" type="slide" axis="1 0 0"/><geom size="0.1" mass="1"/></body>
      </worldbody>
      <actuator><motor name="push" joint="x"/></actuator>
      <sensor><jointpos name="x" joint="x"/></sensor>
      <keyframe><key name="home" qpos="0.5"/></keyframe>
    </mujoco>)");
  const std::string task =
      "name = \"vendor\"\nreward = \"-x_sensor^2\"\nepisode_length = 10\n"
      "[system]\ntype = \"mujoco\"\nmodel = \"vendor.xml\"\n"
      "observation = [\"qpos\", \"qvel\", \"sensor(x)\"]\n";
  WriteText("vendor.toml", task);
  const ProgramResult unbounded = RunProgram({"eval", "vendor.toml", "--controller", "zero"});
  EXPECT_EQ(unbounded.exit_code, 2);
  EXPECT_THAT(unbounded.err, HasSubstr("system.control_range = [\"push = (LOW, HIGH)\"]"));
  WriteText("vendor.toml", task +
                               "control_range = [\"push = (-1, 1)\"]\n[system.reset]\n"
                               "keyframe = \"home\"\nposition = 0.0\nvelocity = 0.0\n");
  const ProgramResult result =
      RunProgram({"eval", "vendor.toml", "--controller", "zero", "--episodes", "1", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  // Ten steps at rest where the keyframe is.
  EXPECT_NEAR(nlohmann::json::parse(result.out)["rows"][0]["mean"].get<double>(), -2.5, 1e-12);
  const ProgramResult run = RunProgram(Small({"vendor.toml", "--episodes", "1", "--out", "run"}));
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(FileText(work() / "run/config.toml"), HasSubstr("keyframe = \"home\""));
}

TEST_F(YourTask, WrongExpressionsShowTheirPlace) {
  const std::string unknown = ErrorWith("(1 - height)", "(1 - heigth)");
  EXPECT_THAT(unknown, testing::StartsWith("foreplan: my_task.toml:3:1: reward: column 15: unknown "
                                           "name 'heigth' (did you mean 'height'?); known: "));
  EXPECT_THAT(unknown, HasSubstr("\n  exp(-2 * (1 - heigth)) - 0.02 * sum(square(u\n"
                                 "                ^\n"));
  EXPECT_THAT(ErrorWith("sum(square(u))", "square(u)"), HasSubstr("found 2 numbers"));
  EXPECT_THAT(ErrorWith("any(abs(speeds) > 40)", "abs(speeds) > 40"),
              HasSubstr("termination: column 1: found 2 conditions, expected one"));
  EXPECT_THAT(ErrorWith("exp(-2 * (1 - height))", "1 / norm(u)"),
              HasSubstr("reward: column 3: found a division by zero at the start of an episode, at "
                        "u.shoulder_motor = 0, u.elbow_motor = 0"));
  EXPECT_THAT(ErrorWith("length = 0.5", "length = \"long\""),
              HasSubstr("constants.length: found string \"long\", expected a number"));
  EXPECT_THAT(ErrorWith("[\"qpos\", \"qvel\"]", "[\"qpos\", \"qvel\", \"qpos[0]\"]"),
              HasSubstr("found observation component 'shoulder' twice"));
}

TEST_F(YourTask, ARewardThatBecomesNanEndsTheEpisodeAndIsNoted) {
  std::string text = task_;
  const std::string reward = "exp(-2 * (1 - height))";
  text.replace(text.find(reward), reward.size(), "sqrt(0.5 - abs(shoulder))");
  WriteText("my_task.toml", text);
  const ProgramResult result = RunProgram(Small(
      {"my_task.toml", "--episodes", "3", "--out", "run", "--set", "system.reset.position=0.0"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(FileText(work() / "run/episodes.csv"), HasSubstr("reward is nan"));
}

TEST_F(YourTask, MissingMeshesAreNamed) {
  std::string model = model_;
  model.replace(model.find("<worldbody>"), 11,
                "<asset><mesh name=\"shell\" file=\"shell.stl\"/></asset><worldbody>");
  WriteText("two_links.xml", model);
  const ProgramResult result = RunProgram({"run", "my_task.toml"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("two_links.xml: MuJoCo: "));
  EXPECT_THAT(result.err, HasSubstr("shell.stl"));
}

// What the model predicts and does not see: a reward learned from a sensor.
TEST_F(YourTask, ASensorMayBeTheReward) {
  std::string model = model_;
  const std::string link = "<geom fromto=\"0 0 0  0 0 -0.5\"/>\n      </body>";
  ASSERT_NE(model.find(link), std::string::npos);
  model.insert(model.find(link), "<site name=\"tip\" pos=\"0 0 -0.5\"/>\n");
  model.insert(model.find("</mujoco>"),
               "<sensor><framepos name=\"tip\" objtype=\"site\" objname=\"tip\"/></sensor>\n");
  WriteText("two_links.xml", model);
  WriteText("my_task.toml",
            "name = \"reach\"\nreward = \"tip_z\"\nepisode_length = 100\n"
            "[system]\ntype = \"mujoco\"\nmodel = \"two_links.xml\"\nframe_skip = 4\n"
            "observation = [\"qpos\", \"qvel\", \"sensor(tip)\"]\n"
            "[encoding]\nsin_cos = [\"shoulder\", \"elbow\"]\n"
            "omit = [\"tip_*\"]\nabsolute = [\"tip_*\"]\n");
  const ProgramResult result = RunProgram(Small({"my_task.toml", "--episodes", "2"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

// A free body has quaternions: more positions than velocities. RK4, a motor and a filtered one.
TEST_F(YourTask, QuaternionsRungeKuttaAndActivationsWork) {
  WriteText("free.xml", R"(
    <mujoco>
      <option integrator="RK4" gravity="0 0 0"/>
      <worldbody>
        <body name="ship">
          <freejoint name="ship"/>
          <geom type="box" size="0.1 0.2 0.3"/>
          <site name="jet"/>
        </body>
      </worldbody>
      <actuator>
        <motor name="turn" site="jet" gear="0 0 0 0 0 1" ctrllimited="true" ctrlrange="-1 1"/>
        <general name="slow" site="jet" gear="0 0 0 1 0 0" dyntype="filter" dynprm="0.1"
                 ctrllimited="true" ctrlrange="-1 1"/>
      </actuator>
    </mujoco>)");
  WriteText(
      "ship.toml",
      "name = \"ship\"\nepisode_length = 20\n"
      "reward = \"-norm(ship_qw - 1, ship_qx, ship_qy, ship_qz)^2 - 0.1 * slow_activation^2\"\n"
      "[system]\ntype = \"mujoco\"\nmodel = \"free.xml\"\nframe_skip = 5\n"
      "observation = [\"qpos\", \"qvel\", \"act\"]\n"
      "[system.reset]\nposition = 0.1\nvelocity = 0.0\n");
  const ProgramResult run = RunProgram(Small({"ship.toml", "--episodes", "2", "--out", "run"}));
  EXPECT_EQ(run.exit_code, 0) << run.err;
  for (const char* planner : {"icem", "ilqr"}) {
    const ProgramResult result = RunProgram(
        {"eval", "ship.toml", "--controller", "true_model", "--episodes", "1", "--planner", planner,
         "--set", "planner.icem.horizon=5", "--set", "planner.ilqr.horizon=5"});
    EXPECT_EQ(result.exit_code, 0) << planner << result.err;
  }
}

}  // namespace
}  // namespace foreplan::apps
