// Signals: what they end, and what goes on.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

using RunCommand = ProgramTest;

constexpr auto kPatience = std::chrono::seconds(60);  // for a machine under load

class InterruptedRun : public ProgramTest, public testing::WithParamInterface<int> {
 protected:
  [[nodiscard]] std::vector<std::string> FilesBelow(const std::string& folder) const {
    std::vector<std::string> files;
    for (const std::string& file : Files()) {
      if (file.starts_with(folder)) files.push_back(file.substr(folder.size()));
    }
    return files;
  }

  /// Waits until the run's table holds so many episodes.
  [[nodiscard]] bool WaitForEpisodes(const std::string& run, int episodes) const {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      const std::string csv = FileText(work() / run / "episodes.csv");
      if (std::count(csv.begin(), csv.end(), '\n') > episodes) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }
};

TEST_P(InterruptedRun, GoesOnAsIfItHadNeverStopped) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "25", "--out", "whole"})).exit_code, 0);

  const pid_t child = Start(TinyRun({"--episodes", "25", "--json", "--out", "run"}));
  const bool began = WaitForEpisodes("run", 2);
  kill(child, GetParam());
  const ProgramResult interrupted = Wait(child);
  ASSERT_TRUE(began);
  ASSERT_EQ(interrupted.exit_code, 130) << interrupted.err;
  const std::string last_line =
      interrupted.err.substr(interrupted.err.rfind('\n', interrupted.err.size() - 2) + 1);
  EXPECT_THAT(last_line, testing::MatchesRegex("foreplan: interrupted after episode [0-9]+; "
                                               "resume with: foreplan run --resume run\n"));
  EXPECT_EQ(nlohmann::json::parse(interrupted.out)["run_directory"], "run");
  EXPECT_TRUE(fs::is_regular_file(work() / "run/report.html"));
  const std::vector<std::string> run_files = FilesBelow("run/");
  EXPECT_THAT(run_files, testing::Each(testing::Not(testing::EndsWith(".tmp"))));

  const ProgramResult resumed = RunProgram({"run", "--resume", "run", "--json"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(nlohmann::json::parse(resumed.out)["episode_returns"].size(), 25U);
  const std::vector<std::string> whole_files = FilesBelow("whole/");
  EXPECT_EQ(FilesBelow("run/"), whole_files) << "a file is left over, or missing";
  EXPECT_EQ(FileText(work() / "run/episodes.csv"), FileText(work() / "whole/episodes.csv"));
  EXPECT_EQ(FileText(work() / "run/model/model.safetensors"),
            FileText(work() / "whole/model/model.safetensors"));
  for (const std::string& file : whole_files) {
    if (!file.starts_with("data/")) continue;
    EXPECT_EQ(FileText(work() / "run" / file), FileText(work() / "whole" / file)) << file;
  }
}

INSTANTIATE_TEST_SUITE_P(Signals, InterruptedRun, testing::Values(SIGINT, SIGTERM, SIGHUP));

// A handler runs on the stack of the thread that takes the signal, and matrix kernels point that
// register into the heap. So none is installed: every thread blocks the signals, one waits for
// them.
TEST_F(RunCommand, NoThreadThatWorksCanBeInterruptedByASignal) {
  const pid_t child = Start(TinyRun({"--episodes", "100000", "--threads", "3", "--out", "run"}));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!fs::exists(work() / "run") && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  const auto mask = [](const std::string& status, const std::string& name) {
    const size_t at = status.find("\n" + name + ":");
    return at == std::string::npos ? 0
                                   : std::stoull(status.substr(at + name.size() + 2), nullptr, 16);
  };
  int threads = 0;
  int open_to_signals = 0;
  for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(child) + "/task")) {
    const std::string status = FileText(task.path() / "status");
    ++threads;
    bool all_blocked = true;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      const uint64_t bit = uint64_t{1} << (signal - 1);
      all_blocked = all_blocked && (mask(status, "SigBlk") & bit) != 0;
      EXPECT_EQ(mask(status, "SigCgt") & bit, 0U) << "signal " << signal << " has a handler";
    }
    open_to_signals += all_blocked ? 0 : 1;
  }
  EXPECT_GE(threads, 4) << "three that work, one that waits";
  EXPECT_LE(open_to_signals, 1) << "the one that waits, while it waits";
  kill(child, SIGINT);
  EXPECT_EQ(Wait(child).exit_code, 130);
}

TEST_F(RunCommand, ASecondSignalEndsItWhereTheFirstIsNotSeen) {
  // It waits for whoever reads its messages, as behind a terminal that was stopped, and looks at
  // nothing.
  std::array<int, 2> unread{};
  ASSERT_EQ(pipe(unread.data()), 0);
  const int room = fcntl(unread[1], F_SETPIPE_SZ, 4096);
  ASSERT_GT(room, 0);
  const std::string filled(static_cast<size_t>(room), 'x');
  ASSERT_EQ(write(unread[1], filled.data(), filled.size()), room);
  const pid_t child =
      Start(TinyRun({"--episodes", "3", "--out", "run"}), [&] { dup2(unread[1], STDERR_FILENO); });
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!fs::exists(work() / "run") && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // its first episode is over
  kill(child, SIGTERM);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_FALSE(HasEnded(child)) << "nothing held it";
  kill(child, SIGTERM);
  EXPECT_TRUE(EndsWithin(child, std::chrono::seconds(10))) << "the second signal waited, too";
  EXPECT_EQ(Wait(child).exit_code, 130);
  close(unread[0]);
  close(unread[1]);
}

TEST_F(RunCommand, ASecondSignalEndsItAtOnceAndItCanBeResumed) {
  const pid_t child = Start(TinyRun({"--episodes", "3", "--out", "run", "--set",
                                     "fit.min_steps=10000000", "--set", "fit.max_steps=10000000"}));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!fs::exists(work() / "run") && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  for (int signals = 0; signals < 100 && !HasEnded(child); ++signals) {  // two may be taken as one
    kill(child, SIGTERM);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_TRUE(EndsWithin(child, std::chrono::milliseconds(1))) << "it waited for its fit";
  EXPECT_EQ(Wait(child).exit_code, 130);
  EXPECT_TRUE(fs::is_regular_file(work() / "run/checkpoint/state.safetensors"));
}

TEST_F(RunCommand, GoesOnWithoutItsTerminalWhenToldToIgnoreThat) {
  const pid_t child = Start(TinyRun({"--episodes", "8", "--out", "run"}),
                            [] { std::signal(SIGHUP, SIG_IGN); });  // as nohup does
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!fs::exists(work() / "run") && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  kill(child, SIGHUP);
  const ProgramResult result = Wait(child);
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

}  // namespace
}  // namespace foreplan::apps
