// A task is saved with its model, or with the model's place where that names other files.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/systems/mujoco/mujoco_system.h"
#include "foreplan/systems/mujoco/testing/small_png.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTetrahedron =
    "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n";

class MujocoFiles : public testing::Test {
 protected:
  MujocoFiles() {
    folder_ = fs::path(testing::TempDir()) /
              ("mujoco_files_" +
               std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "robot" / "assets");
    std::ofstream(folder_ / "robot" / "side.png", std::ios::binary)
        .write(kSmallPng, sizeof kSmallPng - 1);
    fs::copy(folder_ / "robot" / "side.png", folder_ / "robot" / "assets" / "other.png");
    std::ofstream(folder_ / "robot" / "solid.obj") << kTetrahedron;
    std::ofstream(folder_ / "robot" / "assets" / "other.obj") << kTetrahedron;
    std::ofstream(folder_ / "robot" / "part.xml")
        << "<mujocoinclude><site name=\"extra\"/></mujocoinclude>";
  }
  ~MujocoFiles() override { fs::remove_all(folder_); }

  /// One body on a rail, with `before` at the model's begin and `inside` in its body.
  void WriteModel(const std::string& name, const std::string& before, const std::string& inside) {
    std::ofstream(folder_ / "robot" / name) << "<mujoco>" << before << R"(
      <worldbody><body><joint name="x" type="slide" axis="1 0 0"/>
        <geom name="box" type="box" size="0.1 0.1 0.1" mass="1"/>)"
                                            << inside << R"(</body></worldbody>
      <actuator><motor name="push" joint="x" ctrllimited="true" ctrlrange="-1 1"/></actuator>
    </mujoco>)";
  }

  [[nodiscard]] Task TaskOf(const std::string& model, const std::string& more = "") const {
    Config config =
        Config::FromString("name = \"t\"\nreward = \"-x^2\"\nepisode_length = 5\n" + more +
                               "\n[system]\ntype = \"mujoco\"\nmodel = \"" + model + "\"\n",
                           "task.toml");
    return Task::FromConfig(config, folder_ / "robot");
  }

  /// Saves the task, and loads it from where it was saved; the saved text.
  std::string SavedAndLoaded(const Task& task) {
    const fs::path run = folder_ / "run";
    fs::remove_all(run);
    fs::create_directories(run);
    ConfigWriter writer;
    task.Save(writer, run);
    std::ofstream(run / "config.toml") << writer.text();
    const Task loaded = Task::Load((run / "config.toml").string()).first;
    EXPECT_EQ(loaded.condition_count(), task.condition_count());
    return writer.text();
  }
  [[nodiscard]] std::vector<std::string> FilesOfRun() const {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(folder_ / "run")) {
      files.push_back(entry.path().filename().string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  fs::path folder_;
};

TEST_F(MujocoFiles, AModelOfOneFileIsCopied) {
  // Neither the comment nor the empty element needs another file.
  WriteModel("alone.xml", "<!-- <include file=\"part.xml\"/> --><asset/>", "");
  const std::string text = SavedAndLoaded(TaskOf("alone.xml"));
  EXPECT_NE(text.find("model = \"alone.xml\""), std::string::npos) << text;
  EXPECT_EQ(FilesOfRun(), (std::vector<std::string>{"alone.xml", "config.toml"}));
}

TEST_F(MujocoFiles, AModelThatNamesOthersStaysWhereItIs) {
  const std::vector<std::pair<std::string, std::string>> kinds = {
    {R"(<asset><texture name="t" type="cube" fileright="side.png" fileleft="side.png"
          fileup="side.png" filedown="side.png" filefront="side.png" fileback="side.png"/></asset>)",
     ""},
    {R"(<asset><texture name="t" type="2d" file = "side.png"/></asset>)", ""},
    {R"(<compiler texturedir="assets"/><asset><texture name="t" type="2d"
          file='other.png'/></asset>)",
     ""},
    {R"(<asset><mesh name="m" file="solid.obj"/></asset>)", R"(<geom type="mesh" mesh="m"/>)"},
    {R"(<compiler meshdir="assets"/><asset><mesh name="m" file="other.obj"/></asset>)",
     R"(<geom type="mesh" mesh="m"/>)"},
    {R"(<asset><hfield name="h" file="side.png" size="1 1 1 1"/></asset>)", ""},
    {"", "<include file=\"part.xml\"/>"},
#if mjVERSION_HEADER >= 4000000
    {R"(<asset><model name="p" file="other_model.xml"/></asset>)",
     R"(<attach model="p" body="b" prefix="p"/>)"},
#endif
  };
  std::ofstream(folder_ / "robot" / "other_model.xml")
      << R"(<mujoco><worldbody><body name="b"><geom size="0.1"/></body></worldbody></mujoco>)";
  for (const auto& [before, inside] : kinds) {
    SCOPED_TRACE(before + inside);
    WriteModel("robot.xml", before, inside);
    const std::string text = SavedAndLoaded(TaskOf("robot.xml"));
    const std::string path = fs::absolute(folder_ / "robot" / "robot.xml").string();
    EXPECT_NE(text.find("model = \"" + path + "\""), std::string::npos) << text;
    EXPECT_EQ(FilesOfRun(), (std::vector<std::string>{"config.toml"}));
  }
}

// Where another file of that name happens to lie, the copy would be another model.
TEST_F(MujocoFiles, AFileOfTheSameNameElsewhereIsNotTakenForIt) {
  fs::create_directories(folder_ / "run" / "assets");
  WriteModel("robot.xml",
             R"(<compiler meshdir="../assets"/><asset><mesh name="m" file="solid.obj"/></asset>)",
             R"(<geom type="mesh" mesh="m"/>)");
  fs::create_directories(folder_ / "assets");
  std::ofstream(folder_ / "assets" / "solid.obj") << kTetrahedron;
  std::ofstream(folder_ / "run" / "assets" / "solid.obj")
      << "v 0 0 0\nv 3 0 0\nv 0 3 0\nv 0 0 3\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n";
  ConfigWriter writer;
  TaskOf("robot.xml").Save(writer, folder_ / "run");
  EXPECT_NE(writer.text().find("robot/robot.xml"), std::string::npos) << writer.text();
  EXPECT_FALSE(fs::exists(folder_ / "run" / "robot.xml"));
}

TEST_F(MujocoFiles, ModelsOfConditionsLieBesideTheTaskAndAreFoundFromARun) {
  WriteModel("one.xml", "", "");
  WriteModel("two.xml", "", "<geom name=\"ball\" size=\"0.3\" mass=\"9\"/>");
  const Task task = TaskOf("one.xml",
                           "[conditions]\nset = [\"system.frame_skip = 1\", "
                           "\"system.model = 'two.xml'\\nsystem.reset.position = 0.0\"]");
  SavedAndLoaded(task);
  const Task loaded = Task::Load((folder_ / "run" / "config.toml").string()).first;
  const auto mass = [](const System& system) {
    return mj_getTotalmass(&dynamic_cast<const MujocoSystem&>(system).model());
  };
  EXPECT_DOUBLE_EQ(mass(*loaded.MakeSystem(0)), 1);
  EXPECT_DOUBLE_EQ(mass(*loaded.MakeSystem(1)), 10);
}

TEST_F(MujocoFiles, AFileOfStatesIsCopiedAndThoseOfConditionsAreFound) {
  WriteModel("one.xml", "", "");
  std::ofstream(folder_ / "robot" / "near.csv") << "x\n0.25\n";
  std::ofstream(folder_ / "robot" / "far.csv") << "x\n4\n";
  SavedAndLoaded(
      TaskOf("one.xml",
             "[system.reset]\nstates = \"near.csv\"\nposition = 0.0\nvelocity = 0.0\n[conditions]\n"
             "set = [\"system.frame_skip = 1\", \"system.reset.states = 'far.csv'\"]"));
  EXPECT_EQ(FilesOfRun(), (std::vector<std::string>{"config.toml", "one.xml", "start_states.csv"}));
  const Task loaded = Task::Load((folder_ / "run" / "config.toml").string()).first;
  const auto start = [&](int condition) {
    const auto system = loaded.MakeSystem(condition);
    system->Reset(Key{1, 0});
    std::vector<double> observation(2);
    system->Observe(observation);
    return observation[0];
  };
  EXPECT_EQ(start(0), 0.25);
  EXPECT_EQ(start(1), 4);
}

TEST_F(MujocoFiles, AKeyOfAnEarlierVersionSaysWhatStandsInItsPlace) {
  WriteModel("one.xml", "", "");
  Config config = Config::FromString(
      "name = \"t\"\nreward = \"-x^2\"\nepisode_length = 5\n[system]\ntype = \"mujoco\"\n"
      "model = \"one.xml\"\nobserve_new_positions = false\n",
      "task.toml");
  try {
    (void)Task::FromConfig(config, folder_ / "robot");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_EQ(std::string(error.what()),
              "task.toml:7:1: system.observe_new_positions: found a key of an earlier version, "
              "expected observe_at = \"new_state\" in the place of true, observe_at = "
              "\"last_evaluation\" in that of false");
  }
}

TEST_F(MujocoFiles, UnknownKeysOfAConditionThatNamesAModelAreRefused) {
  WriteModel("one.xml", "", "");
  try {
    (void)TaskOf("one.xml",
                 "[conditions]\nset = [\"system.model = 'one.xml'\\nsystm.frame_skip = 5\"]");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("systm"), std::string::npos) << error.what();
  }
}

TEST_F(MujocoFiles, ConditionsHaveTheSameObservationsAndActions) {
  WriteModel("one.xml", "", "");
  try {
    (void)TaskOf("one.xml",
                 "[conditions]\nset = [\"system.frame_skip = 1\", "
                 "\"system.observation = ['qpos']\"]");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_EQ(std::string(error.what()),
              "task.toml: conditions: found a system of 1 observed components, 1 actions, 0.002 s "
              "per step, expected those of the first condition: 2, 1, 0.002 s");
  }
}

}  // namespace
}  // namespace foreplan
