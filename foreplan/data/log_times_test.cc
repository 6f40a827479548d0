#include "foreplan/data/log_times.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "foreplan/data/testing/log_file.h"

namespace foreplan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(LogTimes, EpisodesBeginWhereTimeFallsOrLeavesAGap) {
  const auto rows = ElementsAre("1 | 0 | 2 | 1", "2 | 0 | 3 | 1", "5 | 0 | 6 | 2", "6 | 0 | 7 | 2");
  const Recording falls = ReadLogText("time,x,u\n0,1,0\n.1,2,0\n.2,3,0\n0,5,0\n.1,6,0\n.2,7,0\n");
  EXPECT_THAT(LogRowsOf(falls.data), rows);
  EXPECT_THAT(falls.notes, ElementsAre("a new episode begins where 'time' falls (1 time, first "
                                       "behind line 4)"));
  const Recording gap = ReadLogText("time,x,u\n0,1,0\n.1,2,0\n.2,3,0\n.4,5,0\n.5,6,0\n.6,7,0\n");
  EXPECT_THAT(LogRowsOf(gap.data), rows);
  EXPECT_THAT(gap.notes, ElementsAre("a new episode begins where 'time' leaves a gap of more than "
                                     "0.15 s (1 time, first behind line 4)"));
  EXPECT_NEAR(gap.dt, 0.1, 1e-12);
  // Clocks without a unit and counters say as much, but no period.
  for (const char* name : {"t", "Timestamp", "step", "frame"}) {
    const Recording counted =
        ReadLogText(std::string(name) + ",x,u\n7,1,0\n8,2,0\n9,3,0\n0,5,0\n1,6,0\n2,7,0\n");
    EXPECT_THAT(LogRowsOf(counted.data), rows) << name;
    EXPECT_EQ(counted.dt, 0) << name;
  }
}

TEST(LogTimes, AColumnOfEpisodesSaysWhereTheyBegin) {
  const std::string falls = "time,x,u,episode\n0,1,0,a\n.1,2,0,a\n0,3,0,a\n.1,4,0,a\n";
  EXPECT_THAT(LogTextRefusal(falls), HasSubstr(":4: column 1 ('time'): found a step of -0.1 s"));
  const std::string gap = "time,x,u,episode\n0,1,0,a\n.1,2,0,a\n.2,3,0,a\n.9,4,0,a\n1,5,0,a\n";
  EXPECT_THAT(LogTextRefusal(gap), HasSubstr(":5: column 1 ('time'): found a step of 0.7 s"));
  const Recording counted = ReadLogText("step,x,u,episode\n7,1,0,a\n2,2,0,a\n9,3,0,a\n");
  EXPECT_EQ(counted.episodes, 1);
  EXPECT_EQ(counted.data.size(), 2);
}

TEST(LogTimes, UnevenStepsAreRefusedWithTheRemedyOrNoted) {
  const std::string uneven = ",x,u\n0,1,0\n1,2,0\n1.3,3,0\n2.3,4,0\n3.3,5,0\n3.6,6,0\n";
  EXPECT_THAT(LogTextRefusal("time" + uneven),
              testing::AllOf(HasSubstr(":4: column 1 ('time'): found a step of 0.3 s"),
                             HasSubstr("expected 1 s within 10 %; fit --period 1 resamples")));
  const Recording noted = ReadLogText("t" + uneven);
  EXPECT_EQ(noted.data.size(), 5);
  EXPECT_THAT(noted.notes.back(), HasSubstr("steps of 't' are uneven (2 times, first behind line "
                                            "3)"));
  EXPECT_THAT(LogTextRefusal("time,x,u\n0,1,0\n.1,2,0\n.1,3,0\n.2,4,0\n"), HasSubstr(":4:"));
  EXPECT_THAT(LogTextRefusal("time,x,u\n3,1,0\n2,2,0\n1,3,0\n"),
              HasSubstr("expected rows in the order of time"));
  // Another period than the task's.
  EXPECT_THAT(LogTextRefusal("time,x,u\n0,1,0\n.1,2,0\n.2,3,0\n", {},
                             {.observation = {"x"}, .action = {"u"}, .dt = 0.2}),
              HasSubstr("expected 0.2 s within 10 %; fit --period 0.2 resamples"));
}

TEST(LogTimes, UnitsOfTimeAreThoseOfTheHeaderOrTheUser) {
  const auto dt = [](const std::string& text, const LogOptions& options = {}) {
    return ReadLogText(text, options).dt;
  };
  EXPECT_EQ(dt("time [ms],x,u\n0,1,0\n20,2,0\n40,3,0\n"), 0.02);
  EXPECT_EQ(dt("t (us),x,u\n0,1,0\n20,2,0\n40,3,0\n"), 0.00002);
  EXPECT_EQ(dt("timestamp,x,u\nns,m,N\n0,1,0\n20000000,2,0\n40000000,3,0\n"), 0.02);
  EXPECT_EQ(dt("t,x,u\n0,1,0\n20,2,0\n40,3,0\n", {.time_unit = "ms"}), 0.02);
  EXPECT_EQ(dt("t,x,u\n0,1,0\n20,2,0\n40,3,0\n"), 0);
  // Nanoseconds since 1970 are beyond what a double tells apart.
  EXPECT_EQ(dt("%time,x,u\n1700000000000000001,1,0\n1700000000000000003,2,0\n"), 2e-9);
  // Dates, in one zone.
  EXPECT_EQ(dt("date,x,u\n2024-02-28 23:59:59.9,1,0\n2024-02-29T00:00:00.15,2,0\n"), 0.25);
  EXPECT_EQ(dt("t,x,u\n2024-01-01T10:00:00Z,1,0\n2024-01-01T11:30:00+01:00,2,0\n"), 1800);
  EXPECT_THAT(LogTextRefusal("x,u\n1,0\n2,0\n", {.time_unit = "ms"}),
              HasSubstr("no column of times for --time-unit"));
  EXPECT_THAT(LogTextRefusal("t,x,u\n0,1,0\n1,2,0\n", {.time_unit = "m"}),
              HasSubstr("--time-unit: found 'm', expected a unit of time"));
  EXPECT_THAT(LogTextRefusal("time,x,u\n0,1,0\nlater,2,0\n"), HasSubstr(":3: column 1 ('time')"));
  // Without a unit it may hold anything, and is no clock then.
  EXPECT_EQ(ReadLogText("t,x,u\n3,1,0\nlater,2,0\n1,3,0\n").data.size(), 2);
}

TEST(LogTimes, AnObservationThatLooksLikeAClockIsAskedAbout) {
  std::string text = "x,ticks,u\n";
  for (int i = 0; i < 10; ++i) text += fmt::format("{},{},0\n", i * i % 7, 40 + 5 * i);
  const Recording recording = ReadLogText(text);
  EXPECT_THAT(recording.observation, ElementsAre("x", "ticks"));
  ASSERT_EQ(recording.notes.size(), 1U);
  EXPECT_THAT(recording.notes[0], HasSubstr("ticks changes by 5 in every step and is learned so"));
  EXPECT_THAT(recording.notes[0], HasSubstr("--rename time=ticks"));
  EXPECT_THAT(ReadLogText(text, {.renames = {{"index", "ticks"}}}).observation, ElementsAre("x"));
  // Who names it means it.
  EXPECT_THAT(ReadLogText(text, {}, {.observation = {"x", "ticks"}, .action = {"u"}}).notes,
              IsEmpty());
}

}  // namespace
}  // namespace foreplan
