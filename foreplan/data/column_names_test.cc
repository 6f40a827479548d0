// Headers with units, comments, rows of units, decimal commas and new names.
#include "foreplan/data/column_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "foreplan/data/testing/log_file.h"

namespace foreplan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ColumnNames, UnitsAreSplitOffWhereTheyAreOnes) {
  const std::vector<std::string> headers = {"x [m]",    "v (m/s)",    "w[rad/s]",  "speed_mps",
                                            "qpos[0]",  "sin(theta)", "force (N)", "force (left)",
                                            "gain [-]", "[m]",        "n [counts]"};
  std::vector<std::string> labels;
  for (const auto& [name, unit] : SplitUnits(headers)) labels.push_back(name + "|" + unit);
  EXPECT_THAT(labels,
              ElementsAre("x|m", "v|m/s", "w|rad/s", "speed_mps|", "qpos[0]|", "sin(theta)|",
                          "force (N)|", "force (left)|", "gain|", "[m]|", "n [counts]|"));
}

TEST(ColumnNames, ColumnsAreFoundWithAndWithoutTheirUnit) {
  const std::string text = "x [m],u (N)\n1,2\n3,4\n";
  const Recording bare = ReadLogText(text, {}, {.observation = {"x"}, .action = {"u"}});
  EXPECT_THAT(LogRowsOf(bare.data), ElementsAre("1 | 2 | 3 | 1"));
  EXPECT_THAT(bare.observation_units, ElementsAre("m"));
  EXPECT_THAT(bare.action_units, ElementsAre("N"));
  const Recording whole = ReadLogText(text, {}, {.observation = {"x [m]"}, .action = {"u"}});
  EXPECT_THAT(whole.observation, ElementsAre("x [m]"));
  EXPECT_THAT(whole.observation_units, ElementsAre(""));
  EXPECT_THAT(ReadLogText(text).observation, ElementsAre("x"));  // and u is known for an action
}

TEST(ColumnNames, CommentsAndARowOfUnitsAreNoRows) {
  const auto rows = ElementsAre("1 | 2 | 3 | 1", "3 | 4 | 5 | 1");
  for (const char* text :
       {"# made by hand\n# of 2024, in m\nx,u\n1,2\n# a pause\n3,4\n5,6\n# end\n",
        "x,u\n# below the header\nm,N\n1,2\n3,4\n5,6\n", "x,u\n[m],[-]\n1,2\n3,4\n5,6\n",
        "# x u\n1 2\n 3   4 \n5\t6\n",               // as NumPy writes it
        "# run 7\n# x,u\n1,2\n3,4\n5,6\n",           // of several
        "% x [m] u [N]\n1 2\n3 4\n5 6\n",            // and with units
        "sep=;\r\nx;u\r\n1;2\r\n3;4\r\n5;6\r\n"}) {  // as spreadsheets hint
    SCOPED_TRACE(text);
    EXPECT_THAT(LogRowsOf(ReadLogText(text).data), rows);
  }
  EXPECT_THAT(ReadLogText("x,u\nm,N\n1,2\n3,4\n").observation_units, ElementsAre("m"));
  // Lines count as an editor shows them.
  EXPECT_EQ(ReadLogText("# a\nx,u\nm,N\n1,2\n#\n3,4\n").PlaceOf(0), "line 4");
  EXPECT_THAT(LogTextRefusal("# a\nx,u\nm,N\n1,2\n#\n3,?\n"), HasSubstr(":6: column 2 ('u')"));
  EXPECT_THAT(LogTextRefusal("# a\nx,x,u\n1,2,3\n", {}, {.observation = {"x"}, .action = {"u"}}),
              HasSubstr(":2: column 2: found the name 'x' again"));
  // No units, but what is missing.
  EXPECT_THAT(LogTextRefusal("x,u\n-,-\n1,2\n3,4\n"), HasSubstr(":2: column 1 ('x'): found '-'"));
}

TEST(ColumnNames, DecimalCommasAreReadWhereTheyDoNotSeparate) {
  const Recording recording = ReadLogText("x;u\n1,5;-2\n+2,25;1,5e1\n3;0\n");
  EXPECT_THAT(LogRowsOf(recording.data), ElementsAre("1.5 | -2 | 2.25 | 1", "2.25 | 15 | 3 | 1"));
  EXPECT_THAT(LogRowsOf(ReadLogText("x\tu\n0,5\t1\n2\t3\n").data), ElementsAre("0.5 | 1 | 2 | 1"));
  EXPECT_THAT(LogTextRefusal("x;u\n1,5;2\n2.5;1\n"),
              HasSubstr(":3: column 1 ('x'): found '2.5', expected decimal commas as in line 2, or "
                        "points as in line 3"));
  EXPECT_THAT(LogTextRefusal("x;u\n1.234,5;2\n2;1\n"), HasSubstr("found '1.234,5'"));
  EXPECT_THAT(LogTextRefusal("x,u\n\"1,5\",2\n2,1\n"), HasSubstr("cells separated by ';'"));
}

TEST(ColumnNames, NewNamesAreThoseThatAreAskedFor) {
  const LogOptions options{.renames = {{"action", "thrust [N]"}, {"time", "sec"}}};
  const Recording recording = ReadLogText("sec,x,thrust [N]\n0,1,2\n.5,3,4\n", options);
  EXPECT_THAT(recording.observation, ElementsAre("x"));
  EXPECT_THAT(recording.action, ElementsAre("action"));
  EXPECT_THAT(recording.action_units, ElementsAre("N"));
  EXPECT_EQ(recording.dt, 0.5);
  EXPECT_THAT(LogTextRefusal("x,u\n1,2\n", {.renames = {{"y", "z"}}}),
              HasSubstr(":1: --rename y=z: unknown column 'z'"));
  EXPECT_THAT(LogTextRefusal("x,u\n1,2\n", {.renames = {{"u", "x"}}}),
              HasSubstr("found a column 'u' already"));
  EXPECT_EQ(ParseNewName("a=b=c").old, "c");
  for (const char* text : {"", "a", "=a", "a="})
    EXPECT_THROW(std::ignore = ParseNewName(text), InputError);
  EXPECT_EQ(ParseColumnScale("x=1e-3").factor, 1e-3);
  for (const char* text : {"x", "x=", "x=0", "x=nan", "x=1m"}) {
    EXPECT_THROW(std::ignore = ParseColumnScale(text), InputError) << text;
  }
}

TEST(ColumnNames, TheLastRowOfAnEpisodeNeedsNoAction) {
  const auto rows = ElementsAre("1 | 2 | 3 | 1", "5 | 6 | 7 | 2");
  for (const char* text :
       {"x,u,episode\n1,2,a\n3,,a\n5,6,b\n7,nan,b\n", "x,u,done\n1,2,0\n3,NaN,1\n5,6,0\n7,,1\n",
        "time,x,u\n0,1,2\n1,3,\n0,5,6\n1,7,\n"}) {
    SCOPED_TRACE(text);
    EXPECT_THAT(LogRowsOf(ReadLogText(text).data), rows);
  }
  EXPECT_THAT(LogTextRefusal("x,u\n1,2\n3,\n5,6\n"),
              HasSubstr(":3: column 2 ('u'): found an empty cell, expected a number"));
  EXPECT_THAT(LogTextRefusal("x,u,next_x\n1,2,3\n3,,4\n"), HasSubstr(":3: column 2"));
  EXPECT_THAT(LogTextRefusal("x,u\n1,2\n,\n"), HasSubstr(":3: column 1 ('x')"));
}

}  // namespace
}  // namespace foreplan
