// An interrupt ends every command soon, with nothing half made, and says what is kept. (Of run, see
// run_signals_test.cc.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(60);  // for a machine under load
constexpr const char* kTask = "cartpole_closed_form";

struct LongWork {
  std::string name;
  std::vector<std::string> arguments;
  std::string begun;  // a file or folder that is there when it is under way; "": after a while
  std::string kept;   // what it says
};

class InterruptedCommand : public ProgramTest, public testing::WithParamInterface<LongWork> {
 protected:
  InterruptedCommand() {
    std::string log = "x,v,u\n";
    for (int i = 0; i < 300; ++i) {
      log += std::to_string(std::sin(0.05 * i)) + "," + std::to_string(std::cos(0.05 * i)) + "," +
             std::to_string(std::sin(7.0 * i)) + "\n";
    }
    WriteText("log.csv", log);
  }

  void WaitUntilItWorks(pid_t child) const {
    WaitUntilItHearsSignals(child);
    const auto deadline = steady_clock::now() + kPatience;
    while (!GetParam().begun.empty() && !fs::exists(work() / GetParam().begun) &&
           steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
};

TEST_P(InterruptedCommand, EndsSoonWithNothingHalfMade) {
  const std::vector<std::string> before = Files();
  for (const int signal : {SIGINT, SIGTERM}) {
    const pid_t child = Start(GetParam().arguments);
    WaitUntilItWorks(child);
    ASSERT_FALSE(HasEnded(child)) << Wait(child).err;
    const auto start = steady_clock::now();
    kill(child, signal);
    EXPECT_TRUE(EndsWithin(child, kPatience));
    const std::chrono::duration<double> seconds = steady_clock::now() - start;
    RecordProperty("seconds_" + std::to_string(signal), std::to_string(seconds.count()));
    const ProgramResult result = Wait(child);
    EXPECT_EQ(result.exit_code, 130) << result.err;
    EXPECT_THAT(result.err, testing::EndsWith("foreplan: interrupted; " + GetParam().kept + "\n"));
    EXPECT_EQ(result.out, "");
    for (const std::string& file : Files()) {
      EXPECT_THAT(file, testing::Not(testing::AnyOf(testing::EndsWith(".tmp"),
                                                    testing::HasSubstr(".incomplete"))));
    }
    if (GetParam().kept == "nothing is written") {
      EXPECT_EQ(Files(), before);
    }
    fs::remove_all(work() / "out");
  }
}

std::vector<std::string> Settings(const std::vector<std::string>& assignments) {
  std::vector<std::string> arguments;
  for (const std::string& assignment : assignments) {
    arguments.insert(arguments.end(), {"--set", assignment});
  }
  return arguments;
}

/// A decision of hours.
const std::vector<std::string> kLongDecision = Settings(
    {"planner.icem.iterations=1000", "planner.icem.population=20000", "planner.icem.decay=1"});

INSTANTIATE_TEST_SUITE_P(
    Commands, InterruptedCommand,
    testing::Values(
        LongWork{"fit",
                 Concatenated({"fit", "log.csv", "--observation", "x,v", "--action", "u", "--out",
                               "out"},
                              Settings({"fit.min_steps=10000000", "fit.max_steps=10000000"})),
                 "out.incomplete", "nothing is written"},
        LongWork{"judge",
                 Concatenated({"fit", "log.csv", "--observation", "x,v", "--action", "u", "--out",
                               "out"},
                              Settings({"fit.min_steps=1", "fit.max_steps=1", "model.width=512",
                                        "calibration.particles=10000", "calibration.holdout=0.9",
                                        "calibration.horizon=200"})),
                 "out.incomplete", "nothing is written"},
        LongWork{"eval",
                 {"eval", kTask, "--controller", "true_model", "--episodes", "100000"},
                 "",
                 "nothing is written"},
        LongWork{"decide",
                 Concatenated({"eval", kTask, "--controller", "true_model"}, kLongDecision), "",
                 "nothing is written"},
        LongWork{"record",
                 {"eval", kTask, "--controller", "zero", "--episodes", "100000", "--record",
                  "--out", "out"},
                 "out/zero/episode_000002.safetensors.gz",
                 "whole episodes stay recorded in out"},
        LongWork{"tune", {"tune", kTask, "--budget", "4000"}, "", "nothing is written"},
        LongWork{"plan",
                 Concatenated({"plan", kTask, "--planner", "icem", "--out", "out"}, kLongDecision),
                 "", "nothing is written"},
        LongWork{"bench",
                 {"bench", "mppi", "--seconds", "1000", "--repeats", "1000000"},
                 "",
                 "nothing is written"},
        LongWork{"compare",
                 Concatenated({"compare", kTask, "--planner", "icem,mppi", "--episodes", "100000",
                               "--out", "out"},
                              Settings({"episode_length=30", "model.width=16"})),
                 "out/icem/seed-0/episodes.csv", "the same command goes on with what is in out"}),
    [](const auto& test) { return test.param.name; });

class InterruptedDecision : public ProgramTest, public testing::WithParamInterface<const char*> {};

// Within a plan of the whole episode, which the run makes before its first step.
TEST_P(InterruptedDecision, EndsTheRunToo) {
  const pid_t child =
      Start(Concatenated(TinyRun({"--algorithm", GetParam(), "--out", "run"}), kLongDecision));
  const auto deadline = steady_clock::now() + kPatience;
  const auto lines = [&] {
    const std::string text = FileText(work() / "run/metrics.csv");
    return std::count(text.begin(), text.end(), '\n');
  };
  while (lines() < 3 && steady_clock::now() < deadline) {  // the fit is over
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  ASSERT_FALSE(HasEnded(child)) << Wait(child).err;
  kill(child, SIGINT);
  EXPECT_TRUE(EndsWithin(child, kPatience));
  const ProgramResult result = Wait(child);
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(result.err, testing::HasSubstr("interrupted after episode 1; resume with"));
}

INSTANTIATE_TEST_SUITE_P(Loops, InterruptedDecision, testing::Values("mpc", "aggregate"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace foreplan::apps
