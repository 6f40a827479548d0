// Against values worked out by hand, independent formulas, and simulated runs.
#include "foreplan/experiments/comparison/resampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace foreplan {
namespace {

using Values = std::vector<double>;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

bool IsUnknown(const Interval& interval) {
  return std::isnan(interval.low) && std::isnan(interval.high);
}

double WidthOf(const Interval& interval) { return interval.high - interval.low; }

/// Normal values around `mean`.
Values NormalValues(Random& random, size_t count, double mean = 0) {
  Values values(count);
  for (double& value : values) value = mean + random.Normal();
  return values;
}

TEST(InterquartileMean, IsOfTheMiddleHalfWithFractionalWeights) {
  EXPECT_EQ(InterquartileMean(Values{8, 1, 7, 2, 6, 3, 5, 4}), 4.5);
  EXPECT_EQ(InterquartileMean(Values{1, 2, 3, -1000}), 1.5);
  // [1.25, 3.75]: (0.75 2 + 4 + 0.75 8) / 2.5; [1.5, 4.5]: (0.5 2 + 3 + 4 + 0.5 7) / 3.
  EXPECT_DOUBLE_EQ(InterquartileMean(Values{1, 2, 4, 8, 16}), 4.6);
  EXPECT_DOUBLE_EQ(InterquartileMean(Values{3, 1, 2, 10, 4, 7}), 11.5 / 3);
  EXPECT_EQ(InterquartileMean(Values{3}), 3);
  EXPECT_EQ(InterquartileMean(Values{3, 5}), 4);
}

// The integral of the quantile function from 1/4 to 3/4, times 2, by the midpoint rule.
TEST(InterquartileMean, IsTheIntegralOfTheMiddleQuantiles) {
  Random random(Key{7, 0});
  for (size_t n = 1; n < 30; ++n) {
    const Values values = NormalValues(random, n);
    Values sorted = values;
    std::ranges::sort(sorted);
    constexpr int kPoints = 20'000;
    double sum = 0;
    for (int i = 0; i < kPoints; ++i) {
      const double q = 0.25 + 0.5 * (i + 0.5) / kPoints;
      sum += sorted[static_cast<size_t>(q * static_cast<double>(n))];
    }
    EXPECT_NEAR(InterquartileMean(values), sum / kPoints, 1e-3) << n;
  }
}

TEST(InterquartileMean, IsUnknownWithoutNumbers) {
  EXPECT_TRUE(std::isnan(InterquartileMean({})));
  EXPECT_TRUE(std::isnan(InterquartileMean(Values{1, 2, kNan})));
}

TEST(ImprovementProbability, IsTheShareOfPairsThatAreWon) {
  EXPECT_EQ(ImprovementProbability(Values{4, 5, 6}, Values{1, 2}), 1);
  EXPECT_EQ(ImprovementProbability(Values{1, 2}, Values{4, 5, 6}), 0);
  EXPECT_EQ(ImprovementProbability(Values{2, 2}, Values{2, 2}), 0.5);
  // 1 wins nothing; 3 wins against 2 and half against 3.
  EXPECT_EQ(ImprovementProbability(Values{1, 3}, Values{3, 2, 9}), 1.5 / 6);
  EXPECT_TRUE(std::isnan(ImprovementProbability(Values{1, 3}, {})));
  EXPECT_TRUE(std::isnan(ImprovementProbability(Values{1, kNan}, Values{2})));
}

TEST(ImprovementProbability, AgreesWithCountingAllPairs) {
  Random random(Key{8, 0});
  for (int trial = 0; trial < 20; ++trial) {
    Values first(7);
    Values second(5);
    for (double& value : first) value = static_cast<double>(random.Below(6));
    for (double& value : second) value = static_cast<double>(random.Below(6));
    double wins = 0;
    for (const double x : first) {
      for (const double y : second) wins += x > y ? 1 : (x == y ? 0.5 : 0);
    }
    EXPECT_DOUBLE_EQ(ImprovementProbability(first, second), wins / 35);
    EXPECT_DOUBLE_EQ(ImprovementProbability(second, first), 1 - wins / 35);
  }
}

TEST(Bootstrap, KnowsNoIntervalOfLessThanThreeValues) {
  const Values two = {1, 2};
  const Values three = {1, 2, 4};
  const Values gap = {1, 2, kNan};
  EXPECT_TRUE(IsUnknown(BootstrapInterquartileMean(two)));
  EXPECT_TRUE(IsUnknown(BootstrapInterquartileMean(gap)));
  for (const Pairing pairing : {Pairing::kPaired, Pairing::kIndependent}) {
    EXPECT_TRUE(IsUnknown(BootstrapDifference(two, two, pairing)));
    EXPECT_TRUE(IsUnknown(BootstrapDifference(three, gap, pairing)));
    EXPECT_TRUE(IsUnknown(BootstrapImprovement(two, two, pairing)));
  }
  EXPECT_TRUE(IsUnknown(BootstrapDifference(three, two, Pairing::kIndependent)));
  EXPECT_FALSE(IsUnknown(BootstrapDifference(three, three, Pairing::kPaired)));
}

// Of three values all are the smallest in 1 of 27 draws, which is more than 2.5 %.
TEST(Bootstrap, OfThreeValuesGoesFromTheSmallestToTheLargest) {
  const Interval interval = BootstrapInterquartileMean(Values{1, 5, 2});
  EXPECT_EQ(interval.low, 1);
  EXPECT_EQ(interval.high, 5);
  const Interval difference =
      BootstrapDifference(Values{4, 5, 9}, Values{1, 1, 1}, Pairing::kPaired);
  EXPECT_EQ(difference.low, 3);
  EXPECT_EQ(difference.high, 8);
}

TEST(Bootstrap, GivesTheSameForTheSameValues) {
  Random random(Key{9, 0});
  const Values first = NormalValues(random, 8);
  const Values second = NormalValues(random, 8, 1);
  const Interval once = BootstrapDifference(first, second, Pairing::kPaired);
  const Interval again = BootstrapDifference(first, second, Pairing::kPaired);
  EXPECT_EQ(once.low, again.low);
  EXPECT_EQ(once.high, again.high);
  const Interval other =
      BootstrapDifference(first, second, Pairing::kPaired, {.key = {.seed = 1, .stream = 0}});
  EXPECT_NE(once.low, other.low);
  EXPECT_NEAR(once.low, other.low, 0.1 * WidthOf(once));
}

/// How often the interval of the difference of two groups, 0.5 apart, holds 0.5.
double CoverageOf(size_t count, Pairing pairing) {
  constexpr int kTrials = 1000;
  int held = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    Random random(Key{10, 0}.Fold(static_cast<uint64_t>(trial)));
    const Values first = NormalValues(random, count, 0.5);
    const Values second = NormalValues(random, count);
    const Interval interval = BootstrapDifference(first, second, pairing, {.count = 500});
    held += interval.low <= 0.5 && 0.5 <= interval.high ? 1 : 0;
  }
  return static_cast<double>(held) / kTrials;
}

// The bootstrap's deviation of a mean is s sqrt((n - 1) / n) / sqrt(n), so that of normal values
// the interval holds the mean about as often as |t| < 1.96 sqrt((n - 1) / n): 0.929 for 20 pairs,
// 0.904 for 10. Bounds are four standard errors of 1000 trials, sqrt(0.93 0.07 / 1000) = 0.008; 500
// draws give percentiles that cost another hundredth at most.
TEST(Bootstrap, HoldsADifferenceOfNormalValuesAsOftenAsItSays) {
  EXPECT_NEAR(CoverageOf(20, Pairing::kPaired), 0.929, 0.042);
  EXPECT_NEAR(CoverageOf(10, Pairing::kPaired), 0.904, 0.047);
  // Of 5 the formula gives 0.846; 3000 trials of another program (NumPy) gave 0.831.
  EXPECT_NEAR(CoverageOf(5, Pairing::kPaired), 0.838, 0.055);
  // Two groups of 20 have 38 degrees of freedom: |t_38| < 1.96 sqrt(19 / 20) in 0.936.
  EXPECT_NEAR(CoverageOf(20, Pairing::kIndependent), 0.936, 0.042);
}

// Var(x - y) is 2 0.1^2 where the seeds' part of variance 1 cancels, and 2 (1 + 0.1^2) where it
// does not: ten times the width.
TEST(Bootstrap, OfPairsIsNarrowerWhereSeedsHaveSomethingInCommon) {
  Random random(Key{11, 0});
  Values first;
  Values second;
  for (int seed = 0; seed < 12; ++seed) {
    const double common = random.Normal();
    first.push_back(common + 0.1 * random.Normal() + 0.2);
    second.push_back(common + 0.1 * random.Normal());
  }
  const Interval paired = BootstrapDifference(first, second, Pairing::kPaired);
  const Interval independent = BootstrapDifference(first, second, Pairing::kIndependent);
  EXPECT_LT(WidthOf(paired), WidthOf(independent) / 5);
  EXPECT_GT(paired.low, 0);
  EXPECT_LT(independent.low, 0);
}

TEST(Bootstrap, OfTheProbabilityOfImprovementStaysBetweenNothingAndAll) {
  const Values low = {1, 2, 3, 4};
  const Values high = {11, 12, 13, 14};
  const Interval sure = BootstrapImprovement(high, low, Pairing::kIndependent);
  EXPECT_EQ(sure.low, 1);
  EXPECT_EQ(sure.high, 1);
  const Interval equal = BootstrapImprovement(low, low, Pairing::kIndependent);
  EXPECT_GE(equal.low, 0);
  EXPECT_LT(equal.low, 0.3);
  EXPECT_GT(equal.high, 0.7);
  EXPECT_LE(equal.high, 1);
  // Drawn together, equal groups stay equal.
  const Interval same = BootstrapImprovement(low, low, Pairing::kPaired);
  EXPECT_EQ(same.low, 0.5);
  EXPECT_EQ(same.high, 0.5);
}

// The mean of these is -113.6.
TEST(Bootstrap, OfTheInterquartileMeanForgivesALostRun) {
  const Values values = {10, 11, 12, 13, 14, 15, 16, -1000};
  const Interval interval = BootstrapInterquartileMean(values);
  EXPECT_GT(InterquartileMean(values), 11);
  EXPECT_LT(interval.low, InterquartileMean(values));
  EXPECT_GT(interval.high, InterquartileMean(values));
  EXPECT_LE(interval.high, 16);
}

}  // namespace
}  // namespace foreplan
