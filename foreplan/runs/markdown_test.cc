#include "foreplan/runs/markdown.h"

#include <gtest/gtest.h>

namespace foreplan {
namespace {

TEST(MarkdownCode, IsNeverMarkup) {
  EXPECT_EQ(MarkdownCode("planner.icem.horizon=40"), "`planner.icem.horizon=40`");
  EXPECT_EQ(MarkdownCode("<b>@name #1 *a*"), "`<b>@name #1 *a*`");
  EXPECT_EQ(MarkdownCode("a`b``c"), "```a`b``c```");
  EXPECT_EQ(MarkdownCode("`a`"), "`` `a` ``");
  EXPECT_EQ(MarkdownCode(" a"), "`  a `");
  EXPECT_EQ(MarkdownCode("a\nb"), "`a b`");
  EXPECT_EQ(MarkdownCode(""), "");
  EXPECT_EQ(MarkdownCode("  "), "");
}

TEST(MarkdownCode, EndsNoCell) {
  EXPECT_EQ(MarkdownCode("a|b"), "`a\\|b`");
  EXPECT_EQ(MarkdownCode("a\\|b"), "`a\\ \\|b`");
  EXPECT_EQ(MarkdownCode("||"), "`\\|\\|`");
}

TEST(MarkdownBlock, IsLongerThanItsFences) {
  EXPECT_EQ(MarkdownBlock("toml", "a = 1"), "```toml\na = 1\n```\n");
  EXPECT_EQ(MarkdownBlock("", "````\n"), "`````\n````\n`````\n");
}

TEST(MarkdownDetails, HaveASummaryWithoutMarkup) {
  EXPECT_EQ(MarkdownDetails("a <b>", "body\n"),
            "<details>\n<summary>a &lt;b&gt;</summary>\n\nbody\n\n</details>\n");
}

TEST(MarkdownTable, HasNumbersToTheRight) {
  EXPECT_EQ(MarkdownTable({"name", "mean"}, {{"`a`", "1"}, {"`b`", ""}}),
            "| name | mean |\n|---|--:|\n| `a` | 1 |\n| `b` |  |\n");
}

}  // namespace
}  // namespace foreplan
