#include "foreplan/data/column_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace foreplan {
namespace {

/// Of one column.
ColumnStatistics Measure(const std::vector<double>& values, std::vector<double> magnitude = {}) {
  return MeasureColumns(
      std::ssize(values), 1,
      [&](int64_t row, double* value) { *value = values[static_cast<size_t>(row)]; }, magnitude);
}

TEST(MeasureColumns, TakesMeanAndDeviationOfEachColumn) {
  const ColumnStatistics statistics = MeasureColumns(2, 2, [](int64_t i, double* values) {
    values[0] = i == 0 ? 1 : 3;
    values[1] = i == 0 ? 10 : 30;
  });
  EXPECT_EQ(statistics.mean, (std::vector<double>{2, 20}));
  EXPECT_EQ(statistics.deviation, (std::vector<double>{1, 10}));
}

TEST(MeasureColumns, UnitsDoNotDecideWhatIsConstant) {
  for (const double unit : {1e-150, 1e-12, 1e-6, 1.0, 1e9, 1e150}) {
    const ColumnStatistics statistics = Measure({1.01 * unit, 1.02 * unit, 1.03 * unit});
    EXPECT_NEAR(statistics.mean[0], 1.02 * unit, 1e-14 * unit);
    EXPECT_NEAR(statistics.deviation[0], std::sqrt(2.0 / 3) * 0.01 * unit, 1e-14 * unit);
    EXPECT_EQ(Measure({1.01 * unit, 1.01 * unit}).deviation[0], 0);
  }
}

TEST(MeasureColumns, AConstantColumnIsItsValueHoweverManyRows) {
  const ColumnStatistics statistics = Measure(std::vector<double>(1000, 0.1));
  EXPECT_EQ(statistics.mean[0], 0.1);  // a sum of a thousand would be off by 1e-15
  EXPECT_EQ(statistics.deviation[0], 0);
}

TEST(MeasureColumns, DifferencesOfLargeNumbersHaveTheRoundingOfThose) {
  // A clock of 20 ms that started long ago.
  std::vector<double> changes;
  double largest = 0;
  for (int step = 1000000; step < 1000100; ++step) {
    changes.push_back((step + 1) * 0.02 - step * 0.02);
    largest = (step + 1) * 0.02;
  }
  EXPECT_GT(Measure(changes).deviation[0], 0);  // of 1e-12
  const ColumnStatistics known = Measure(changes, {largest});
  EXPECT_EQ(known.deviation[0], 0);
  EXPECT_NEAR(known.mean[0], 0.02, 1e-11);
  // Of a clock in milliseconds that a millisecond is missing now and then is no rounding.
  EXPECT_GT(Measure({50, 50, 51, 50}, {1.5e12}).deviation[0], 0);
}

TEST(MeasureColumns, WhatIsNotANumberShowsInTheMean) {
  EXPECT_FALSE(std::isfinite(Measure({1, std::nan(""), 1}).mean[0]));
  EXPECT_FALSE(std::isfinite(Measure({1, HUGE_VAL, 1}).mean[0]));
}

}  // namespace
}  // namespace foreplan
