#include "foreplan/runs/sparkline.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "foreplan/runs/plain_text.h"

namespace foreplan {
namespace {

using Values = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Sparkline, RisesAndFallsWithTheValues) {
  EXPECT_EQ(Sparkline(Values{1, 2, 3, 4, 5, 6, 7, 8}, 8), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(Sparkline(Values{-1, -2, -3, -4, -5, -6, -7, -8}, 20), "█▇▆▅▄▃▂▁");
  EXPECT_EQ(Sparkline(Values{0, 70, 10}, 20), "▁█▂");
  EXPECT_EQ(Sparkline(Values{1, 2, 3, 4, 5, 6, 7, 8}, 8, Glyphs::kAscii), "_.,-~=+^");
}

TEST(Sparkline, OfEqualValuesStandsInTheMiddle) {
  EXPECT_EQ(Sparkline(Values{5, 5, 5}, 8), "▄▄▄");
  EXPECT_EQ(Sparkline(Values{-3}, 8, Glyphs::kAscii), "-");
}

TEST(Sparkline, HasGapsWhereThereIsNoNumber) {
  EXPECT_EQ(Sparkline(Values{NAN, 1, NAN, 2, kInfinity, -kInfinity}, 8), " ▁ █  ");
  EXPECT_EQ(Sparkline(Values{NAN, NAN}, 8), "  ");
  // Two values to a column: what is no number is left out of its mean.
  EXPECT_EQ(Sparkline(Values{NAN, 1, 8, 8}, 2), "▁█");
}

TEST(Sparkline, HasNoMoreColumnsThanThereIsRoom) {
  EXPECT_EQ(Sparkline({}, 8), "");
  EXPECT_EQ(Sparkline(Values{1, 2}, 0), "");
  EXPECT_EQ(Sparkline(Values{1, 2}, -4), "");
  EXPECT_EQ(Sparkline(Values{1, 2}, 1), "▄");  // their mean alone
  Values many;
  for (int i = 0; i < 1000; ++i) many.push_back(i);
  for (int width = 1; width < 60; ++width) {
    EXPECT_EQ(ColumnsOf(Sparkline(many, width)), static_cast<size_t>(width));
  }
  EXPECT_EQ(Sparkline(many, 8), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(Sparkline(Values{0, 0, 8, 8, 0, 0}, 3), "▁█▁");
  EXPECT_EQ(Sparkline(Values{1, 1, 1, 8, 8}, 2), "▁█");  // 1 1 | 1 8 8
}

TEST(Sparkline, KnowsTheLargestNumbers) {
  constexpr double kMost = std::numeric_limits<double>::max();
  EXPECT_EQ(Sparkline(Values{-kMost, 0, kMost}, 8), "▁▅█");
  EXPECT_EQ(Sparkline(Values{kMost, kMost, -kMost, -kMost}, 2), "█▁");
}

}  // namespace
}  // namespace foreplan
