#include "foreplan/runs/table.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace foreplan {
namespace {

ResultTable Example() {
  return {.title = "a < b",
          .note = "how",
          .rows = {{{"name", "one, \"two\""}, {"value", 0.1}},
                   {{"name", "three"}, {"value", nullptr}, {"count", 3}}}};
}

TEST(ResultTable, CsvQuotesTextsAndLeavesNullsEmpty) {
  EXPECT_EQ(CsvText(Example()), "name,value,count\n\"one, \"\"two\"\"\",0.1,\nthree,,3\n");
}

TEST(ResultTable, HtmlEscapesTextsAndShowsNullsAsDashes) {
  const std::string html = HtmlTable(Example());
  EXPECT_NE(html.find("a &lt; b"), std::string::npos);
  EXPECT_NE(html.find("one, &quot;two&quot;"), std::string::npos);
  EXPECT_NE(html.find("<td>–</td><td>3</td>"), std::string::npos);
}

TEST(ResultTable, PlainTextIsAligned) {
  EXPECT_EQ(PlainTable({{{"name", "a"}, {"value", 12.5}}, {{"name", "long"}, {"value", 1.0}}}),
            "name  value  \na      12.5  \nlong      1  \n");
}

}  // namespace
}  // namespace foreplan
