// What is written for other programs is read back to the same numbers.
#include "foreplan/data/log_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "foreplan/core/random.h"
#include "foreplan/data/testing/same_recordings.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Three episodes of 4, 1 and 3 steps with numbers of all 53 bits and of all sizes; the first is
/// terminated, the last just ends with the data.
Recording Episodes(bool follow = true, bool knows_rewards = true) {
  Recording recording({"angle, wrapped", "qpos[1]"}, {"push"});
  recording.observation_units = {"rad", "m"};
  recording.action_units = {"N"};
  recording.dt = 0.05;
  Random random(Key{3, 5});
  const auto number = [&random] {
    return std::ldexp(random.Normal(), static_cast<int>(random.Below(60)) - 30);
  };
  std::array<double, 2> observation = {};
  int episode = 0;
  for (const int steps : {4, 1, 3}) {
    ++episode;
    observation = {number(), number()};
    for (int step = 0; step < steps; ++step) {
      const std::array<double, 2> next = {number(), number()};
      const std::array<double, 1> action = {number()};
      const bool last = step + 1 == steps;
      const StepEnd end = !last          ? StepEnd::kContinues
                          : episode == 1 ? StepEnd::kTerminated
                                         : StepEnd::kTruncated;
      recording.Add({.observation = observation,
                     .action = action,
                     .next_observation = next,
                     .episode = episode,
                     .reward = knows_rewards || step != 0 ? number() : kUnknown,
                     .end = end},
                    step);
      observation = next;
      if (!follow) observation[0] += 1e-9;  // as measured anew
    }
  }
  return recording;
}

Recording ReadBack(const std::string& text, const char* suffix) {
  const fs::path file =
      fs::path(testing::TempDir()) / ("written_" + std::to_string(getpid()) + suffix);
  std::ofstream(file, std::ios::binary) << text;
  Recording recording =
      ReadRecording(file, {.observation = {"angle, wrapped", "qpos[1]"}, .action = {"push"}});
  fs::remove(file);
  return recording;
}

/// With its names.
void ExpectReadBack(const Recording& found, const Recording& written) {
  EXPECT_EQ(found.observation, written.observation);
  EXPECT_EQ(found.action, written.action);
  ExpectSame(found, written);
}

TEST(LogWriter, ATableIsReadBackToTheSameNumbers) {
  for (const bool follow : {true, false}) {
    for (const bool knows_rewards : {true, false}) {
      const Recording written = Episodes(follow, knows_rewards);
      const Recording found = ReadBack(LogCsv(written), ".csv");
      ExpectReadBack(found, written);
      EXPECT_EQ(found.observation_units, written.observation_units);
      EXPECT_EQ(found.action_units, written.action_units);
      EXPECT_NEAR(found.dt, written.dt, 1e-12);  // a difference of times
    }
  }
}

TEST(LogWriter, ATableHasARowPerStepAndALastOneWithoutAnAction) {
  const std::string csv = LogCsv(Episodes());
  EXPECT_THAT(csv, StartsWith("episode,time [s],\"angle, wrapped [rad]\",qpos[1] [m],push [N],"
                              "reward,terminated,truncated\n1,0,"));
  EXPECT_EQ(std::ranges::count(csv, '\n'), 1 + 8 + 3);
  EXPECT_THAT(csv, HasSubstr(",,,1,0\n2,0,"));  // the first episode ends, terminated
  EXPECT_TRUE(csv.ends_with(",,,0,1\n"));
}

TEST(LogWriter, ArraysAreReadBackToTheSameNumbers) {
#ifndef FOREPLAN_HAVE_LIBZIP
  GTEST_SKIP() << "reading NPZ needs libzip";
#endif
  for (const bool follow : {true, false}) {
    const Recording written = Episodes(follow);
    ExpectReadBack(ReadBack(LogNpz(written), ".npz"), written);
  }
}

TEST(LogWriter, ArraysLeaveOutRewardsThatAreNotAllKnown) {
  EXPECT_THAT(LogNpz(Episodes()), HasSubstr("rewards.npy"));
  EXPECT_THAT(LogNpz(Episodes(true, false)), testing::Not(HasSubstr("rewards.npy")));
}

TEST(LogWriter, UnitsThatNoReaderKnowsStayOut) {
  Recording recording = Episodes();
  recording.observation_units = {"rad", "apples"};
  EXPECT_THAT(LogCsv(recording), HasSubstr(",qpos[1],push [N],"));
  EXPECT_THAT(LogNpz(recording), HasSubstr("apples"));
}

}  // namespace
}  // namespace foreplan
