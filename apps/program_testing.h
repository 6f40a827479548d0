// For tests: runs the built program in a folder of its own.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

namespace foreplan::apps {

struct ProgramResult {
  int exit_code = -1;  // -1: ended by a signal
  std::string out;
  std::string err;
};

inline std::string FileText(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline std::vector<std::string> Concatenated(std::vector<std::string> first,
                                             const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

/// The fenced blocks of that language on a page of the documentation.
inline std::vector<std::string> BlocksOf(const std::string& page, const std::string& language) {
  const std::string mark = "```" + language + "\n";
  std::vector<std::string> blocks;
  for (size_t at = page.find(mark); at != std::string::npos; at = page.find(mark, at)) {
    at += mark.size();
    const size_t end = page.find("```", at);
    blocks.push_back(page.substr(at, end - at));
    at = end;
  }
  return blocks;
}

/// A fresh folder per test, in which the program runs.
class ProgramTest : public testing::Test {
 protected:
  ProgramTest() {
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string("foreplan_") + test.name() + "_" + std::to_string(getpid());
    std::replace(name.begin(), name.end(), '/', '_');  // of a test with a parameter
    folder_ = std::filesystem::path(testing::TempDir()) / name;
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ / "work");
  }
  ~ProgramTest() override { std::filesystem::remove_all(folder_); }

  /// Where the program runs.
  [[nodiscard]] std::filesystem::path work() const { return folder_ / "work"; }

  /// Starts the program; its process id. Call Wait next. `before` is called in its process, when
  /// its streams are set.
  pid_t Start(
      const std::vector<std::string>& arguments,
      const std::function<void()>& before = [] {}) const {
    return StartOther(FOREPLAN_PROGRAM, arguments, "", before);
  }

  /// Another program; its streams go to files of its own, folder_/out<name>.
  pid_t StartOther(
      const std::string& program, const std::vector<std::string>& arguments,
      const std::string& name, const std::function<void()>& before = [] {}) const {
    const pid_t child = fork();
    if (child != 0) return child;
    std::vector<std::string> words = Concatenated({program}, arguments);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const bool ready = chdir(work().c_str()) == 0 &&
                       std::freopen((folder_ / ("out" + name)).c_str(), "w", stdout) != nullptr &&
                       std::freopen((folder_ / ("err" + name)).c_str(), "w", stderr) != nullptr;
    before();
    if (ready) execv(argv[0], argv.data());
    _exit(127);
  }

  /// It is left to be waited for.
  static bool HasEnded(pid_t child) {
    siginfo_t ended{};
    const bool known =
        waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0;
    return known && ended.si_pid == child;
  }

  /// Returns when signals no longer end the child at once: the program has blocked them and given
  /// them to a thread of its own, however long its start took.
  static void WaitUntilItHearsSignals(pid_t child) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!HasEnded(child) && std::chrono::steady_clock::now() < deadline) {
      std::ifstream status("/proc/" + std::to_string(child) + "/status");
      for (std::string line; std::getline(status, line);) {
        if (!line.starts_with("SigBlk:")) continue;
        const uint64_t blocked = std::stoull(line.substr(7), nullptr, 16);
        if ((blocked >> (SIGTERM - 1) & 1) != 0) return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  /// Whether it ends so soon; else it is killed. Call Wait next.
  static bool EndsWithin(pid_t child, std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (HasEnded(child)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    kill(child, SIGKILL);
    return false;
  }

  [[nodiscard]] ProgramResult Wait(pid_t child, const std::string& name = "") const {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, OutOf(name),
            FileText(folder_ / ("err" + name))};
  }
  /// What it has printed so far.
  [[nodiscard]] std::string OutOf(const std::string& name) const {
    return FileText(folder_ / ("out" + name));
  }

  [[nodiscard]] ProgramResult RunProgram(
      const std::vector<std::string>& arguments,
      const std::function<void()>& before = [] {}) const {
    return Wait(Start(arguments, before));
  }

  /// What the program answers to --json; null where it fails, which fails the test.
  [[nodiscard]] nlohmann::json Answer(const std::vector<std::string>& arguments) const {
    const ProgramResult result = RunProgram(Concatenated(arguments, {"--json"}));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? nlohmann::json::parse(result.out) : nlohmann::json();
  }

  /// What the program says of wrong input; anything else fails the test.
  [[nodiscard]] std::string Refusal(const std::vector<std::string>& arguments) const {
    const ProgramResult result = RunProgram(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    return result.err;
  }

  void WriteText(const std::string& name, std::string_view text) const {
    std::ofstream(work() / name, std::ios::binary) << text;
  }

  /// Everything below work(), sorted.
  [[nodiscard]] std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(work())) {
      files.push_back(entry.path().lexically_relative(work()).string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

 private:
  std::filesystem::path folder_;
};

/// A run of seconds: the closed-form cart-pole with short episodes, small networks, few candidates.
inline std::vector<std::string> TinyRun(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"run", "cartpole_closed_form", "--seed", "3"};
  for (const char* assignment :
       {"episode_length=30", "mpc.refit_every=12", "model.members=2", "model.width=16",
        "model.hidden_layers=1", "fit.min_steps=20", "fit.max_steps=20", "planner.icem.horizon=8",
        "planner.icem.population=20", "planner.icem.elites=4", "planner.icem.iterations=2"}) {
    arguments.insert(arguments.end(), {"--set", assignment});
  }
  return Concatenated(arguments, more);
}

}  // namespace foreplan::apps
