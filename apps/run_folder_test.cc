// What becomes of a run whose folder another one takes, moves or removes while it works, or whose
// disk lets nothing be changed: each has its message, and nothing is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr auto kPatience = std::chrono::seconds(60);  // for a machine under load

class FolderOfARun : public ProgramTest {
 protected:
  /// One of so many episodes that there is time.
  [[nodiscard]] static std::vector<std::string> LongRun(const std::string& folder) {
    return TinyRun({"--episodes", "20", "--out", folder});
  }

  /// It has saved a few episodes and works on.
  [[nodiscard]] pid_t Begun() const {
    const pid_t child = Start(LongRun("run"));
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    const auto lines = [&] {
      const std::string text = FileText(work() / "run/episodes.csv");
      return std::ranges::count(text, '\n');
    };
    while (lines() < 4 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    EXPECT_FALSE(HasEnded(child));
    return child;
  }

  /// It ends by itself, with one line that says why.
  [[nodiscard]] ProgramResult Ended(pid_t child) const {
    EXPECT_TRUE(EndsWithin(child, kPatience));
    ProgramResult result = Wait(child);
    EXPECT_EQ(result.exit_code, 3) << result.err;
    return result;
  }

  /// What is there goes on to what a run comes to that nothing happened to.
  void ComesToTheSame(const std::string& folder) const {
    const ProgramResult resumed = RunProgram({"run", "--resume", folder});
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    ASSERT_EQ(RunProgram(LongRun("whole")).exit_code, 0);
    for (const char* file : {"episodes.csv", "model/model.safetensors", "config.toml"}) {
      EXPECT_EQ(FileText(work() / folder / file), FileText(work() / "whole" / file)) << file;
    }
  }

  /// The program on a disk with such faults (experiments/testing/file_faults.h).
  [[nodiscard]] ProgramResult RunWithFaults(const std::vector<std::string>& arguments,
                                            const std::string& faults) const {
    return RunProgram(arguments, [&] {
      setenv("LD_PRELOAD", FOREPLAN_FILE_FAULTS, 1);
      setenv("FOREPLAN_FILE_FAULTS", faults.c_str(), 1);
      setenv("FOREPLAN_FILE_FAULTS_FOLDER", work().c_str(), 1);
    });
  }
};

TEST_F(FolderOfARun, IsInUseWhileItWorks) {
  const pid_t child = Begun();
  const ProgramResult second =
      Wait(StartOther(FOREPLAN_PROGRAM, {"run", "--resume", "run"}, "2"), "2");
  EXPECT_EQ(second.exit_code, 2);
  EXPECT_EQ(second.err, "foreplan: run: another process " + std::to_string(child) +
                            " is working in this folder\n");
  kill(child, SIGINT);
  EXPECT_EQ(Wait(child).exit_code, 130);
  // Of two that begin at once one goes on with it.
  const pid_t first = StartOther(FOREPLAN_PROGRAM, {"run", "--resume", "run"}, "1");
  const pid_t other = StartOther(FOREPLAN_PROGRAM, {"run", "--resume", "run"}, "2");
  std::vector<int> codes = {Wait(first, "1").exit_code, Wait(other, "2").exit_code};
  EXPECT_THAT(codes, testing::Contains(0));
  EXPECT_THAT(codes, testing::Each(testing::AnyOf(0, 2)));
  ComesToTheSame("run");
}

TEST_F(FolderOfARun, MovedAwayEndsItAndItGoesOnThere) {
  const pid_t child = Begun();
  fs::rename(work() / "run", work() / "moved");
  const ProgramResult ended = Ended(child);
  EXPECT_THAT(ended.err, HasSubstr("foreplan: run/"));
  EXPECT_THAT(ended.err, HasSubstr("cannot be written: No such file or directory"));
  EXPECT_FALSE(fs::exists(work() / "run")) << "half a run where the whole one was";
  ComesToTheSame("moved");
}

TEST_F(FolderOfARun, RemovedEndsItWithoutMakingHalfOfIt) {
  const pid_t child = Begun();
  fs::rename(work() / "run", work() / "removed");  // at once; removing takes a while
  fs::remove_all(work() / "removed");
  EXPECT_THAT(Ended(child).err, HasSubstr("cannot be written: No such file or directory"));
  EXPECT_EQ(Files(), std::vector<std::string>());
}

#if !defined(__SANITIZE_ADDRESS__)  // which has to come first in a program

TEST_F(FolderOfARun, OnAReadOnlyDiskIsReadAndNotGoneOnWith) {
  const pid_t child = Begun();
  kill(child, SIGINT);
  ASSERT_EQ(Wait(child).exit_code, 130);
  const std::string state = FileText(work() / "run/checkpoint/state.safetensors");
  for (const std::vector<std::string>& readers : {std::vector<std::string>{"check", "run"},
                                                  {"eval", "run", "--episodes", "1"},
                                                  {"predict", "run", "run"}}) {
    const ProgramResult read = RunWithFaults(readers, "read_only:0:1000000");
    EXPECT_EQ(read.exit_code, 0) << readers[0] << ": " << read.err;
  }
  const ProgramResult resumed = RunWithFaults({"run", "--resume", "run"}, "read_only:0:1000000");
  EXPECT_EQ(resumed.exit_code, 3) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("foreplan: run/"));
  EXPECT_THAT(resumed.err, HasSubstr("Read-only file system"));
  EXPECT_EQ(FileText(work() / "run/checkpoint/state.safetensors"), state);
  const ProgramResult begun = RunWithFaults(LongRun("other"), "read_only:0:1000000");
  EXPECT_EQ(begun.exit_code, 2);
  EXPECT_EQ(begun.err,
            "foreplan: other.incomplete: the folder cannot be made: Read-only file system\n");
  ComesToTheSame("run");
}

TEST_F(FolderOfARun, OnADiskThatIsFullGoesOnWhenThereIsRoom) {
  const ProgramResult full = RunWithFaults(LongRun("run"), "full:150:1000000");
  EXPECT_EQ(full.exit_code, 3) << full.err;
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
  EXPECT_EQ(RunWithFaults({"run", "--resume", "run"}, "full:0:1000000").exit_code, 3);
  ComesToTheSame("run");
}

#endif

}  // namespace
}  // namespace foreplan::apps
