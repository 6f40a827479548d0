// Arrays in memory become transitions: layouts whose files would be large or many.
#include "foreplan/data/array_recording.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>
#include <string>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Rows(const std::vector<NamedArray>& arrays) {
  const Recording recording = ReadArrayRecording("a.npz", arrays, {});
  std::vector<std::string> rows;
  for (int64_t row = 0; row < recording.data.size(); ++row) {
    rows.push_back(fmt::format(
        "{} | {} | {} | {}", recording.data.observation(row)[0], recording.data.action(row)[0],
        recording.data.next_observation(row)[0], recording.data.episode(row)));
  }
  return rows;
}

std::string Refusal(const std::vector<NamedArray>& arrays) {
  try {
    ReadArrayRecording("a.npz", arrays, {});
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

const NamedArray kSeven = {"obs", {7}, {1, 2, 3, 10, 20, 5, 6}};
const NamedArray kActions = {"actions", {7, 1}, {.1, .2, .3, .4, .5, .6, .7}};

std::vector<NamedArray> Minari(int episodes) {
  std::vector<NamedArray> arrays;
  for (int e = 0; e < episodes; ++e) {
    arrays.push_back({fmt::format("episode_{}/actions", e), {1, 1}, {0.5}});
    arrays.push_back({fmt::format("episode_{}/observations", e), {2, 1}, {1.0 * e, e + 0.5}});
  }
  return arrays;
}

TEST(ArrayRecording, FlagsOfAnyNameEndEpisodes) {
  const auto rows =
      ElementsAre("1 | 0.1 | 2 | 1", "2 | 0.2 | 3 | 1", "10 | 0.4 | 20 | 2", "5 | 0.6 | 6 | 3");
  for (const char* name : {"terminations", "truncations", "dones", "done", "terminal", "timeouts",
                           "timeout", "truncated", "is_last"}) {
    EXPECT_THAT(Rows({kSeven, kActions, {name, {7}, {0, 0, 1, 0, 1, 0, 1}}}), rows) << name;
  }
  EXPECT_THAT(Rows({kSeven,
                    kActions,
                    {"terminated", {7}, {0, 0, 1, 0, 0, 0, 0}},
                    {"truncated", {7, 1}, {0, 0, 0, 0, 1, 0, 0}}}),
              rows);
  // One observation more than actions: the last step has its next one.
  EXPECT_THAT(
      Rows({kSeven, {"actions", {6}, {.1, .2, .3, .4, .5, .6}}, {"done", {6}, {0, 0, 1, 0, 1, 1}}}),
      rows);
}

TEST(ArrayRecording, EpisodesOfAStackEndWhereTheyAreFlagged) {
  const std::vector<NamedArray> stack = {{"observations", {2, 4, 1}, {1, 2, 3, 4, 10, 20, 0, 0}},
                                         {"actions", {2, 3, 1}, {.1, .2, .3, .4, .5, .6}}};
  EXPECT_EQ(Rows(stack).size(), 6U);
  std::vector<NamedArray> flagged = stack;
  flagged.push_back({"terminations", {2, 3}, {0, 0, 1, 1, 0, 0}});
  EXPECT_THAT(Rows(flagged), ElementsAre("1 | 0.1 | 2 | 1", "2 | 0.2 | 3 | 1", "3 | 0.3 | 4 | 1",
                                         "10 | 0.4 | 20 | 2"));
  flagged.back() = {"terminations", {6}, {0, 0, 1, 1, 0, 0}};
  EXPECT_THAT(Refusal(flagged), HasSubstr("terminations: found shape [6 x 1], expected [2 x 3]"));
}

TEST(ArrayRecording, RewardsAndKindsOfEndsAreRead) {
  // Of an episode in a group (Minari), of a stack, of rows with their next observations.
  const std::vector<NamedArray> minari = {{"episode_0/observations", {3, 1}, {1, 2, 3}},
                                          {"episode_0/actions", {2, 1}, {.1, .2}},
                                          {"episode_0/rewards", {2}, {5, -6}},
                                          {"episode_0/terminations", {2}, {0, 1}},
                                          {"episode_0/truncations", {2}, {0, 0}}};
  const std::vector<NamedArray> stack = {{"observations", {2, 3, 1}, {1, 2, 3, 4, 5, 6}},
                                         {"actions", {2, 2, 1}, {.1, .2, .3, .4}},
                                         {"rewards", {2, 2}, {5, -6, 7, 8}},
                                         {"terminations", {2, 2}, {0, 1, 0, 0}}};
  const Dataset stacked = ReadArrayRecording("a.npz", stack, {}).data;
  EXPECT_EQ(stacked.reward(2), 7);
  EXPECT_EQ(stacked.reward(3), 8);
  const std::vector<NamedArray> rows = {{"obs", {2, 1}, {1, 2}},       {"next_obs", {2, 1}, {2, 3}},
                                        {"actions", {2, 1}, {.1, .2}}, {"reward", {2}, {5, -6}},
                                        {"terminals", {2}, {0, 1}},    {"timeouts", {2}, {0, 0}}};
  for (const auto& arrays : {minari, stack, rows}) {
    SCOPED_TRACE(arrays[0].name);
    const Dataset data = ReadArrayRecording("a.npz", arrays, {}).data;
    ASSERT_GE(data.size(), 2);
    EXPECT_EQ(data.reward(0), 5);
    EXPECT_EQ(data.reward(1), -6);
    EXPECT_EQ(data.end(0), StepEnd::kContinues);
    EXPECT_EQ(data.end(1), StepEnd::kTerminated);
  }
  // An episode that another one follows was truncated, where nothing says how it ended.
  const Dataset two = ReadArrayRecording("a.h5", Minari(2), {}).data;
  EXPECT_EQ(two.end(0), StepEnd::kTruncated);
  EXPECT_TRUE(std::isnan(two.reward(0)));
  std::vector<NamedArray> shorter = minari;
  shorter[2] = {"episode_0/rewards", {1}, {5}};
  EXPECT_THAT(Refusal(shorter),
              HasSubstr("episode_0/rewards: found shape [1 x 1], expected 2 rows"));
}

TEST(ArrayRecording, TimesDivideRowsAndSayTheirPeriod) {
  const NamedArray gap = {"time", {7}, {0, 1, 2, 5, 6, 7, 8}};
  EXPECT_THAT(Rows({kSeven, kActions, gap}),
              ElementsAre("1 | 0.1 | 2 | 1", "2 | 0.2 | 3 | 1", "10 | 0.4 | 20 | 2",
                          "20 | 0.5 | 5 | 2", "5 | 0.6 | 6 | 2"));
  EXPECT_EQ(ReadArrayRecording("a.npz", {kSeven, kActions, gap}, {}).dt, 1);
  EXPECT_EQ(ReadArrayRecording("a.npz", {kSeven, kActions, gap}, {}, {.time_unit = "ms"}).dt, 1e-3);
  EXPECT_THAT(Refusal({kSeven, kActions, {"time", {7}, {0, 1, 2, 2.5, 3.5, 4.5, 5.5}}}),
              HasSubstr("a.npz: time: row 3: found a step of 0.5 s from the row before"));
  // Numbers of episodes say where they begin.
  EXPECT_THAT(Refusal({kSeven, kActions, gap, {"episode", {7}, {0, 0, 0, 0, 0, 0, 0}}}),
              HasSubstr("time: row 3: found a step of 3 s"));
}

TEST(ArrayRecording, PlacesInEpisodesNameTheEpisode) {
  const std::vector<NamedArray> stack = {{"observations", {2, 3, 1}, {1, 2, 3, 10, 20, 30}},
                                         {"actions", {2, 2, 1}, {.1, .2, .3, .4}}};
  const Recording recording = ReadArrayRecording("a.npz", stack, {});
  EXPECT_EQ(recording.PlaceOf(1), "step 1 of episode 1 of 2");
  EXPECT_EQ(recording.PlaceOf(3), "step 1 of episode 2 of 2");
  EXPECT_EQ(ReadArrayRecording("a.h5", Minari(3), {}).PlaceOf(2), "step 0 of episode 3 of 3");
  // In one array the row is enough.
  EXPECT_EQ(ReadArrayRecording("a.npz", {kSeven, kActions}, {}).PlaceOf(4), "row 4");
}

TEST(ArrayRecording, RefusesFlagsAndEpisodesThatAreNone) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(Refusal({kSeven, kActions, {"done", {7}, {0, 0, nan, 0, 0, 0, 0}}}),
              HasSubstr("a.npz: done: row 2: found nan, expected 0 or 1"));
  EXPECT_THAT(Refusal({kSeven, kActions, {"done", {7}, {0, 0, 2, 0, 0, 0, 0}}}),
              HasSubstr("done: row 2: found 2"));
  EXPECT_THAT(Refusal({kSeven, kActions, {"done", {6}, {0, 0, 0, 0, 0, 0}}}),
              HasSubstr("done: found shape [6 x 1], expected 7 rows"));
  EXPECT_THAT(Refusal({kSeven, kActions, {"episode", {7}, {0, 0, nan, 0, 0, 0, 0}}}),
              HasSubstr("episode: row 2, column 0: found nan"));
}

TEST(ArrayRecording, TakesEachEpisodeOnceInWhateverOrderItsArraysStand) {
  std::vector<NamedArray> arrays = Minari(3);
  std::swap(arrays[1], arrays[4]);
  EXPECT_THAT(Rows(arrays),
              ElementsAre("0 | 0.5 | 0.5 | 1", "2 | 0.5 | 2.5 | 2", "1 | 0.5 | 1.5 | 3"));
}

TEST(ArrayRecording, TimeGrowsWithTheNumberOfEpisodesNotWithItsSquare) {
  const auto time = [](int episodes) {
    std::vector<NamedArray> arrays = Minari(episodes);
    const std::clock_t start = std::clock();  // of this process alone, however busy the machine
    EXPECT_EQ(ReadArrayRecording("a.h5", std::move(arrays), {}).data.size(), episodes);
    return static_cast<double>(std::clock() - start);
  };
  double few = 1e12;  // the best of some tries
  double many = 1e12;
  for (int i = 0; i < 5; ++i) {
    few = std::min(few, time(5000));
    many = std::min(many, time(20000));
  }
  EXPECT_LT(many, 8 * few);  // 4 where it is linear, 16 where a search goes through all arrays
}

}  // namespace
}  // namespace foreplan
