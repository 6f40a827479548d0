// A task is saved with all files that it needs: the folder may be moved, the originals may go.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
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

TEST_F(MujocoFiles, AModelThatNamesOthersIsCopiedWithThem) {
  struct Kind {
    std::string before;
    std::string inside;
    std::string file;  // that it names
  };
  const std::vector<Kind> kinds = {
    {R"(<asset><texture name="t" type="cube" fileright="side.png" fileleft="side.png"
          fileup="side.png" filedown="side.png" filefront="side.png" fileback="side.png"/></asset>)",
     "", "side.png"},
    {R"(<asset><texture name="t" type="2d" file = "side.png"/></asset>)", "", "side.png"},
    {R"(<compiler texturedir="assets"/><asset><texture name="t" type="2d"
          file='other.png'/></asset>)",
     "", "assets/other.png"},
    {R"(<asset><mesh name="m" file="solid.obj"/></asset>)", R"(<geom type="mesh" mesh="m"/>)",
     "solid.obj"},
    {R"(<compiler meshdir="assets"/><asset><mesh name="m" file="other.obj"/></asset>)",
     R"(<geom type="mesh" mesh="m"/>)", "assets/other.obj"},
    {R"(<compiler strippath="true"/><asset><mesh name="m" file="nowhere/solid.obj"/></asset>)",
     R"(<geom type="mesh" mesh="m"/>)", "solid.obj"},
    {R"(<asset><hfield name="h" file="side.png" size="1 1 1 1"/></asset>)", "", "side.png"},
    {"", "<include file=\"part.xml\"/>", "part.xml"},
    {"", "<include file=\"assets/nested.xml\"/>", "assets/nested.xml"},
    {R"(<asset><mesh name="m" file="a&amp;b.obj"/></asset>)", R"(<geom type="mesh" mesh="m"/>)",
     "a&b.obj"},
#if mjVERSION_HEADER >= 4000000  // which know more
    {R"(<compiler assetdir="assets"/><asset><mesh name="m" file="other.obj"/></asset>)",
     R"(<geom type="mesh" mesh="m"/>)", "assets/other.obj"},
    {R"(<asset><model name="p" file="other_model.xml"/></asset>)",
     R"(<attach model="p" body="b" prefix="p"/>)", "other_model.xml"},
#endif
  };
  const fs::path robot = folder_ / "robot";
  std::ofstream(robot / "other_model.xml") << R"(<mujoco><asset><mesh name="m" file="solid.obj"/>
      </asset><worldbody><body name="b"><geom type="mesh" mesh="m"/></body></worldbody></mujoco>)";
  std::ofstream(robot / "a&b.obj") << kTetrahedron;
  std::ofstream(robot / "assets" / "nested.xml")
      << "<mujocoinclude><include file=\"part.xml\"/></mujocoinclude>";
  for (const auto& [before, inside, file] : kinds) {
    SCOPED_TRACE(before + inside);
    WriteModel("robot.xml", before, inside);
    const std::string text = SavedAndLoaded(TaskOf("robot.xml"));
    EXPECT_NE(text.find("model = \"robot_files/robot.xml\""), std::string::npos) << text;
    EXPECT_EQ(FilesOfRun(), (std::vector<std::string>{"config.toml", "robot_files"}));
    EXPECT_TRUE(fs::is_regular_file(folder_ / "run" / "robot_files" / file));
    // Moved, with the originals gone.
    fs::remove_all(folder_ / "moved");
    fs::rename(folder_ / "run", folder_ / "moved");
    fs::rename(robot, folder_ / "gone");
    EXPECT_NO_THROW(Task::Load((folder_ / "moved" / "config.toml").string()));
    fs::rename(folder_ / "gone", robot);
  }
}

// As they lie to each other, also above the model; where another file of that name happens to lie,
// it is not taken for it.
TEST_F(MujocoFiles, FilesAboveTheModelAreCopiedAsTheyLie) {
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
  EXPECT_NE(writer.text().find("\"robot_files/robot/robot.xml\""), std::string::npos)
      << writer.text();
  std::ifstream copied(folder_ / "run" / "robot_files" / "assets" / "solid.obj");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(copied), {}), kTetrahedron);
}

// Its copy names it so, too.
TEST_F(MujocoFiles, WhatAModelNamesByItsFullPathStaysWhereItIs) {
  WriteModel("robot.xml",
             "<compiler meshdir=\"" + fs::absolute(folder_ / "robot").string() +
                 "\"/><asset><mesh name=\"m\" file=\"solid.obj\"/></asset>",
             R"(<geom type="mesh" mesh="m"/>)");
  const std::string text = SavedAndLoaded(TaskOf("robot.xml"));
  EXPECT_NE(text.find("model = \"robot.xml\""), std::string::npos) << text;
  EXPECT_EQ(FilesOfRun(), (std::vector<std::string>{"config.toml", "robot.xml"}));
}

// Written where another model has its name, as by tune; and once more where it stands already.
TEST_F(MujocoFiles, NothingOfAnotherNameIsOverwritten) {
  WriteModel("robot.xml", "", "");
  WriteModel("other.xml", "", "<site name=\"extra\"/>");
  const fs::path run = folder_ / "run";
  fs::create_directories(run);
  fs::copy(folder_ / "robot" / "other.xml", run / "robot.xml");
  const auto save = [&](const Task& task) {
    ConfigWriter writer;
    task.Save(writer, run);
    std::ofstream(run / "config.toml") << writer.text();
    return writer.text();
  };
  const std::string text = save(TaskOf("robot.xml"));
  EXPECT_NE(text.find("model = \"robot_2.xml\""), std::string::npos) << text;
  EXPECT_EQ(save(TaskOf("robot.xml")), text);
  EXPECT_EQ(save(Task::Load((run / "config.toml").string()).first), text);
  EXPECT_EQ(FilesOfRun(), (std::vector<std::string>{"config.toml", "robot.xml", "robot_2.xml"}));
  WriteModel("robot.xml", "", "<include file=\"part.xml\"/>");
  const std::string with_files = save(TaskOf("robot.xml"));
  EXPECT_EQ(save(Task::Load((run / "config.toml").string()).first), with_files);
}

TEST_F(MujocoFiles, ModelsOfConditionsAreCopied) {
  WriteModel("one.xml", "", "");
  WriteModel("two.xml", "", "<geom name=\"ball\" size=\"0.3\" mass=\"9\"/>");
  const Task task = TaskOf("one.xml",
                           "[conditions]\nset = [\"system.frame_skip = 1\", "
                           "\"system.model = 'two.xml'\\nsystem.reset.position = 0.0\"]");
  SavedAndLoaded(task);
  EXPECT_EQ(FilesOfRun(), (std::vector<std::string>{"config.toml", "one.xml", "two.xml"}));
  fs::remove_all(folder_ / "robot");
  const Task loaded = Task::Load((folder_ / "run" / "config.toml").string()).first;
  const auto mass = [](const System& system) {
    return mj_getTotalmass(&dynamic_cast<const MujocoSystem&>(system).model());
  };
  EXPECT_DOUBLE_EQ(mass(*loaded.MakeSystem(0)), 1);
  EXPECT_DOUBLE_EQ(mass(*loaded.MakeSystem(1)), 10);
}

TEST_F(MujocoFiles, FilesOfStatesAreCopiedThoseOfConditionsToo) {
  WriteModel("one.xml", "", "");
  std::ofstream(folder_ / "robot" / "near.csv") << "x\n0.25\n";
  std::ofstream(folder_ / "robot" / "far.csv") << "x\n4\n";
  SavedAndLoaded(
      TaskOf("one.xml",
             "[system.reset]\nstates = \"near.csv\"\nposition = 0.0\nvelocity = 0.0\n[conditions]\n"
             "set = [\"system.frame_skip = 1\", \"system.reset.states = 'far.csv'\"]"));
  EXPECT_EQ(FilesOfRun(), (std::vector<std::string>{"config.toml", "one.xml", "start_states.csv",
                                                    "start_states_2.csv"}));
  fs::remove_all(folder_ / "robot");
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
