#include "foreplan/data/unit_conversion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numbers>

#include "foreplan/data/testing/log_file.h"

namespace foreplan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const RecordingColumns kWanted = {.observation = {"x", "a"},
                                  .action = {"u"},
                                  .observation_units = {"m", "rad"},
                                  .action_units = {"N"}};

TEST(UnitConversion, FactorsAreThoseOfTheUser) {
  const LogOptions options{.scales = {{"x", 2}, {"u", -0.5}}, .degrees = {"a"}};
  const Recording recording =
      ReadLogText("x,a [deg],u,next_x,next_a\n1,180,3,2,90\n5,0,2,1,0\n", options);
  EXPECT_EQ(recording.data.observation(0)[0], 2);
  EXPECT_EQ(recording.data.observation(0)[1], std::numbers::pi);
  EXPECT_EQ(recording.data.action(0)[0], -1.5);
  EXPECT_EQ(recording.data.next_observation(0)[0], 4);
  EXPECT_EQ(recording.data.next_observation(0)[1], std::numbers::pi / 2);
  EXPECT_THAT(recording.observation_units, ElementsAre("", "rad"));
  EXPECT_THAT(LogTextRefusal("x,u\n1,2\n3,4\n", {.scales = {{"y", 2}}}),
              HasSubstr("--scale: unknown component 'y'"));
  EXPECT_THAT(LogTextRefusal("x [m],u\n1,2\n3,4\n", {.degrees = {"x"}}),
              HasSubstr("found a column in m, expected an angle"));
  EXPECT_THAT(LogTextRefusal("x [rad],u\n1,2\n3,4\n", {.degrees = {"x"}}),
              HasSubstr("found a column in rad, expected degrees"));
}

TEST(UnitConversion, HeadersInOtherUnitsAreConvertedToThoseOfTheTask) {
  const Recording recording = ReadLogText("x [mm],a [rad],u [kN]\n1,2,3\n1500,4,5\n", {}, kWanted);
  EXPECT_THAT(LogRowsOf(recording.data), ElementsAre("0.001 2 | 3000 | 1.5 4 | 1"));
  EXPECT_THAT(recording.notes,
              ElementsAre("x was converted from mm to m", "u was converted from kN to N"));
  EXPECT_THAT(
      LogTextRefusal("x [rad],a,u\n1,2,3\n4,5,6\n", {}, kWanted),
      HasSubstr("'x': found the unit rad, expected m as the task has it; --scale x=FACTOR"));
  // What the user says replaces what the header says; without units nothing is known.
  EXPECT_THAT(
      LogRowsOf(ReadLogText("x [V],a,u\n1,2,3\n4,5,6\n", {.scales = {{"x", 10}}}, kWanted).data),
      ElementsAre("10 2 | 3 | 40 5 | 1"));
}

}  // namespace
}  // namespace foreplan
