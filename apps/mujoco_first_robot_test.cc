// docs/first_robot.md: its commands, as they stand there, in a folder of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/program_testing.h"
#include "foreplan/core/testing/source_dir.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class FirstRobot : public ProgramTest {
 protected:
  FirstRobot() {
    const std::string page = FileText(fs::path(FOREPLAN_SOURCE_DIR) / "docs/first_robot.md");
    model_ = BlocksOf(page, "xml").at(0);
    commands_ = BlocksOf(page, "sh");
    WriteText("my_robot.xml", model_);
  }

  /// A block in a shell that ends at the first command that fails, `foreplan` being the one built.
  [[nodiscard]] ProgramResult RunBlock(const std::string& block) const {
    const std::string folder = fs::path(FOREPLAN_PROGRAM).parent_path().string();
    return Wait(StartOther("/bin/sh", {"-euc", "PATH='" + folder + "':$PATH\n" + block}, ""));
  }

  static std::string Example(const std::string& name) {
    return FileText(fs::path(FOREPLAN_SOURCE_DIR) / "examples" / name);
  }

  std::string model_;
  std::vector<std::string> commands_;
};

TEST_F(FirstRobot, ThePageMakesTheTaskThatIsShipped) {
  ASSERT_EQ(commands_.size(), 4U);
  EXPECT_EQ(model_, Example("my_robot.xml"));
  for (const size_t block : {size_t{0}, size_t{1}}) {
    const ProgramResult result = RunBlock(commands_[block]);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  EXPECT_EQ(FileText(work() / "my_task.toml"), Example("my_task.toml"));
  const ProgramResult shown = RunProgram({"show", "my_task.toml"});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("\nhinge_velocity    rad/s"));
}

using FirstRobotGate = FirstRobot;

// At rest the link earns -125; upright after two seconds of swinging it earns 125 - 2 * 50.
TEST_F(FirstRobotGate, ThePagesCommandsSwingItUp) {
  for (const std::string& block : commands_) {
    const ProgramResult result = RunBlock(block);
    ASSERT_EQ(result.exit_code, 0) << block << result.err;
  }
  const ProgramResult result = RunProgram({"eval", "swing_up", "--episodes", "2", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto row = nlohmann::json::parse(result.out)["rows"][0];
  EXPECT_GT(row["mean"].get<double>(), 25);
  EXPECT_GT(row["min"].get<double>(), 0);
}

}  // namespace
}  // namespace foreplan::apps
