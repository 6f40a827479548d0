#include "foreplan/data/resampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "foreplan/data/testing/log_file.h"

namespace foreplan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Resampling, EveryNthRowStaysWhereThePeriodIsAMultiple) {
  const Recording recording = ReadLogText(
      "time,x,u,reward\n0,1,10,1\n.1,2,10,2\n.2,3,30,3\n.3,4,40,4\n.4,5,50,5\n.5,6,60,6\n"
      "0,7,70,7\n.1,8,80,8\n.2,9,90,9\n",
      {.period = 0.2});
  EXPECT_THAT(LogRowsOf(recording.data),
              ElementsAre("1 | 10 | 3 | 1", "3 | 30 | 5 | 1", "7 | 70 | 9 | 2"));
  EXPECT_EQ(recording.dt, 0.2);
  EXPECT_EQ(recording.data.reward(0), 3);
  EXPECT_EQ(recording.data.reward(1), 7);
  EXPECT_EQ(recording.PlaceOf(2), "line 8");
  EXPECT_EQ(recording.episodes, 2);
  EXPECT_THAT(recording.notes.back(), HasSubstr("every 2. row was taken; the action changed within "
                                                "2 of them"));
  // At its own period a log stays what it is.
  const std::string text = "time,x,u\n0,1,2\n.1,3,4\n.2,5,6\n";
  EXPECT_THAT(LogRowsOf(ReadLogText(text, {.period = 0.1}).data),
              ElementsAre("1 | 2 | 3 | 1", "3 | 4 | 5 | 1"));
}

TEST(Resampling, RowsBetweenAreInterpolatedAndActionsHeld) {
  // x = 10 t at uneven times.
  const Recording recording = ReadLogText(
      "time,x,u,reward\n0,0,1,3\n.3,3,2,4\n.5,5,3,5\n.9,9,4,8\n1,10,5,1\n", {.period = 0.25});
  const Dataset& data = recording.data;
  ASSERT_EQ(data.size(), 4);
  const double actions[] = {1, 1, 3, 3};
  const double rewards[] = {2.5, 0.5 + 4, 5 * 0.625, 5 * 0.375 + 8};
  for (int64_t row = 0; row < 4; ++row) {
    EXPECT_NEAR(data.observation(row)[0], 2.5 * static_cast<double>(row), 1e-12);
    EXPECT_NEAR(data.next_observation(row)[0], 2.5 * static_cast<double>(row + 1), 1e-12);
    EXPECT_EQ(data.action(row)[0], actions[row]);
    EXPECT_NEAR(data.reward(row), rewards[row], 1e-12);
    EXPECT_TRUE(row == 0 || data.continues(row));
  }
  EXPECT_THAT(recording.notes.back(), HasSubstr("interpolated, actions held"));
}

TEST(Resampling, OnlyTheLastStepTakesTheEndOfTheEpisode) {
  const std::string rows =
      "time,x,u,next_x,terminated\n0,0,0,1,0\n1,1,0,2,0\n2,2,0,3,0\n3,3,0,4,1\n";
  const Dataset data = ReadLogText(rows, {.period = 1.6}).data;  // ends at 1.6 and 3.2 of 4 s
  ASSERT_EQ(data.size(), 2);
  EXPECT_EQ(data.end(0), StepEnd::kContinues);
  EXPECT_EQ(data.end(1), StepEnd::kTruncated);
  const Dataset whole = ReadLogText(rows, {.period = 4.0 / 3}).data;
  ASSERT_EQ(whole.size(), 3);
  EXPECT_EQ(whole.end(2), StepEnd::kTerminated);
  EXPECT_EQ(whole.next_observation(2)[0], 4);
}

TEST(Resampling, AnglesGoTheShorterWay) {
  std::string text = "time,a,u\n";
  for (int t = 0; t < 12; ++t) {
    text +=
        fmt::format("{},{:.17g},0\n", 0.1 * t, std::remainder(2 + 0.4 * t, 2 * std::numbers::pi));
  }
  const Recording recording = ReadLogText(text, {.period = 0.13});
  ASSERT_EQ(recording.data.size(), 8);
  for (int64_t row = 0; row < 8; ++row) {
    const double angle = 2 + 0.52 * static_cast<double>(row);
    EXPECT_NEAR(recording.data.observation(row)[0], std::remainder(angle, 2 * std::numbers::pi),
                1e-9);
  }
}

TEST(Resampling, GapsAreNotFilled) {
  const std::string text = "time,x,u\n0,0,0\n.1,1,0\n.2,2,0\n.3,3,0\n2,9,0\n2.1,8,0\n2.2,7,0\n";
  EXPECT_THAT(LogRowsOf(ReadLogText(text, {.period = 0.2}).data),
              ElementsAre("0 | 0 | 2 | 1", "9 | 0 | 7 | 2"));
  EXPECT_EQ(ReadLogText(text, {.period = 0.2, .gap = 5}).episodes, 1);
  EXPECT_THAT(
      LogTextRefusal("episode,time,x,u\n1,0,0,0\n1,.1,1,0\n1,.2,2,0\n1,9,3,0\n", {.period = 0.2}),
      HasSubstr("expected at most 0.3 s within an episode; --gap"));
}

TEST(Resampling, RefusesWhatCannotBeResampled) {
  const std::string text = "time,x,u\n0,0,0\n.1,1,0\n.2,2,0\n";
  EXPECT_THAT(LogTextRefusal("x,u\n0,0\n1,0\n", {.period = 0.1}),
              HasSubstr("--period: found no times, expected a column 'time' [s]"));
  EXPECT_THAT(LogTextRefusal(text, {.period = 0.01}),
              HasSubstr("found 0.01 s between rows that are 0.1 s apart"));
  EXPECT_THAT(LogTextRefusal(text, {.period = 0.5}), HasSubstr("no episode as long as the period"));
  EXPECT_THAT(
      LogTextRefusal(text, {.period = 0.2}, {.observation = {"x"}, .action = {"u"}, .dt = 0.1}),
      HasSubstr("--period: found 0.2 s, expected 0.1 s, the task's period"));
  EXPECT_THAT(LogTextRefusal("time,x,u\n0,0,0\n.1,1,0\n.1,2,0\n.2,2,0\n", {.period = 0.1}),
              HasSubstr("leave out one of the two rows"));
}

}  // namespace
}  // namespace foreplan
