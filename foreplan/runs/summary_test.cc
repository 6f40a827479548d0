#include "foreplan/runs/summary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace foreplan {
namespace {

TEST(StudentQuantile, MatchesTables) {
  // Tables give three decimals: half a unit of the last one.
  constexpr double kTableRounding = 5e-4;
  EXPECT_NEAR(StudentQuantile(1, 0.95), 12.706, kTableRounding);
  EXPECT_NEAR(StudentQuantile(2, 0.95), 4.303, kTableRounding);
  EXPECT_NEAR(StudentQuantile(4, 0.95), 2.776, kTableRounding);
  EXPECT_NEAR(StudentQuantile(9, 0.95), 2.262, kTableRounding);
  EXPECT_NEAR(StudentQuantile(30, 0.95), 2.042, kTableRounding);
  EXPECT_NEAR(StudentQuantile(100000, 0.95), 1.960, kTableRounding);
  EXPECT_NEAR(StudentQuantile(5, 0.99), 4.032, kTableRounding);
}

TEST(Summarize, GivesMeanIntervalAndExtremes) {
  const std::vector<double> values = {1, 2, 3, 4, 5};
  const Summary summary = Summarize(values);
  EXPECT_EQ(summary.count, 5);
  EXPECT_EQ(summary.mean, 3);
  EXPECT_EQ(summary.min, 1);
  EXPECT_EQ(summary.max, 5);
  // s = sqrt(2.5), t_4 = 2.776 (three decimals in the table, times s / sqrt(5) = 0.707).
  EXPECT_NEAR(summary.ci95, 2.776 * std::sqrt(2.5 / 5), 4e-4);
}

TEST(Summarize, OneValueHasNoIntervalAndNoneHasNothing) {
  const std::vector<double> one = {2.5};
  EXPECT_EQ(Summarize(one).mean, 2.5);
  EXPECT_TRUE(std::isnan(Summarize(one).ci95));
  EXPECT_EQ(Summarize({}).count, 0);
  EXPECT_TRUE(std::isnan(Summarize({}).mean));
}

TEST(Median, IsTheMiddleOrTheMeanOfTheTwoInTheMiddle) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Median({3}), 3);
  EXPECT_EQ(Median({4, 1, 2}), 2);
  EXPECT_EQ(Median({10, 1, 4, 2}), 3);
  EXPECT_EQ(Median({1, 2, 3, kInfinity, kInfinity}), 3);
  EXPECT_EQ(Median({1, kInfinity}), kInfinity);  // half of them are beyond every bound
  EXPECT_TRUE(std::isnan(Median({})));
  const double nan = std::nan("");
  for (const auto& values : {std::vector{nan, 1.0, 2.0}, {1.0, nan, 2.0}, {1.0, 2.0, nan}}) {
    EXPECT_TRUE(std::isnan(Median(values)));
  }
}

}  // namespace
}  // namespace foreplan
