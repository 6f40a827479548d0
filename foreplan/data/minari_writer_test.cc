// Data sets for other programs are read back to the same bits, and say what they are.
#include "foreplan/data/minari_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/core/read_file.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/data/testing/same_recordings.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Twelve episodes, of 1, 2, 3, 1, 2, ... steps; every third is terminated.
Recording Episodes(bool follow = true, bool knows_rewards = true) {
  Recording recording({"angle", "rate"}, {"push"});
  recording.place_unit = "step";
  Random random(Key{3, 5});
  for (int episode = 1; episode <= 12; ++episode) {
    std::array<double, 2> observation = {random.Normal(), random.Normal()};
    const int steps = (episode - 1) % 3 + 1;
    for (int step = 0; step < steps; ++step) {
      const std::array<double, 2> next = {random.Normal() * 1e-7, random.Normal() * 1e9};
      const std::array<double, 1> action = {random.Uniform(-1, 1)};
      const StepEnd end = step + 1 < steps   ? StepEnd::kContinues
                          : episode % 3 == 0 ? StepEnd::kTerminated
                                             : StepEnd::kTruncated;
      recording.Add({.observation = observation,
                     .action = action,
                     .next_observation = next,
                     .episode = episode,
                     .reward = knows_rewards ? random.Normal() : kUnknown,
                     .end = end},
                    step);
      observation = next;
      if (!follow) observation[0] += 1e-9;
    }
  }
  return recording;
}

class MinariWriterTest : public testing::Test {
 protected:
  void SetUp() override {
#ifndef FOREPLAN_HAVE_HDF5
    GTEST_SKIP() << "needs HDF5";
#endif
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      files.push_back(entry.path().filename().string());
    }
    return files;
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / "minari_writer";
};

TEST_F(MinariWriterTest, FlatArraysAreReadBackToTheSameBits) {
  for (const bool follow : {true, false}) {
    for (const bool knows_rewards : {true, false}) {
      const Recording written = Episodes(follow, knows_rewards);
      WriteFlatHdf5(folder_ / "flat.hdf5", written);
      ExpectSame(ReadRecording(folder_ / "flat.hdf5", {}), written);
    }
  }
  EXPECT_EQ(Files(), (std::vector<std::string>{"flat.hdf5"})) << "and nothing beside it";
}

TEST_F(MinariWriterTest, EqualArraysGiveEqualBytes) {
  WriteFlatHdf5(folder_ / "one.hdf5", Episodes());
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 counts times in seconds
  WriteFlatHdf5(folder_ / "two.hdf5", Episodes());
  EXPECT_EQ(ReadFile(folder_ / "one.hdf5"), ReadFile(folder_ / "two.hdf5"));
}

TEST_F(MinariWriterTest, ADataSetIsReadBackToTheSameBits) {
  const Recording written = Episodes();
  WriteMinari(folder_ / "push-v3", written, {});
  ExpectSame(ReadRecording(folder_ / "push-v3", {}), written);
  EXPECT_EQ(Files(), (std::vector<std::string>{"push-v3"}));
}

TEST_F(MinariWriterTest, SaysItsIdSizesSpacesAndAlgorithm) {
  WriteMinari(folder_ / "push-v3", Episodes(),
              {.algorithm = "mpc", .action_low = {-2}, .action_high = {0.25}});
  const nlohmann::json metadata =
      nlohmann::json::parse(ReadFile(folder_ / "push-v3" / "data" / "metadata.json"));
  EXPECT_EQ(metadata["dataset_id"], "push-v3");
  EXPECT_EQ(metadata["total_episodes"], 12);
  EXPECT_EQ(metadata["total_steps"], 24);
  EXPECT_EQ(metadata["algorithm_name"], "mpc");
  EXPECT_EQ(metadata["observation_space"],
            R"({"type": "Box", "dtype": "float64", "shape": [2], "low": [-Infinity, -Infinity], )"
            R"("high": [Infinity, Infinity]})");
  const auto action = nlohmann::json::parse(metadata["action_space"].get<std::string>());
  EXPECT_EQ(action["low"][0], -2);
  EXPECT_GT(action["high"][0], 0.25) << "actions beyond the bounds widen them";
}

TEST_F(MinariWriterTest, RefusesWhatMinariHasNoFormForAndLeavesNothing) {
  const auto refusal = [&](const char* name, const Recording& recording) {
    return MessageOf<InputError>([&] { WriteMinari(folder_ / name, recording, {}); });
  };
  EXPECT_THAT(refusal("push-v0", Episodes(false)), HasSubstr("found step 1 of episode 2 of 12"));
  EXPECT_THAT(refusal("push-v0", Episodes(true, false)), HasSubstr("reward is not known"));
  for (const char* name : {"push", "push-v", "-v0", "pu.sh-v0", "push-v0x"}) {
    EXPECT_THAT(refusal(name, Episodes()), HasSubstr("as the id of a data set")) << name;
  }
  EXPECT_TRUE(Files().empty());
}

}  // namespace
}  // namespace foreplan
