#include "foreplan/models/change_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace foreplan {
namespace {

TEST(MeasureChanges, TellsWhatStaysAndWhatKeepsItsPace) {
  // A component that varies, one that stays, and the position of a belt.
  Dataset data(3, 1);
  const double u = 0;
  for (int row = 0; row < 50; ++row) {
    const double before[3] = {std::sin(row), 0.7, 0.02 * row};
    const double after[3] = {std::sin(row + 1), 0.7, 0.02 * (row + 1)};
    data.Add(before, std::span(&u, 1), after, 1);
  }
  const ColumnStatistics changes = MeasureChanges(data, {});
  EXPECT_GT(changes.deviation[0], 0.5);
  EXPECT_EQ(changes.deviation[1], 0);
  EXPECT_EQ(changes.mean[1], 0);
  EXPECT_EQ(changes.deviation[2], 0);
  EXPECT_NEAR(changes.mean[2], 0.02, 1e-15);
  EXPECT_GT(std::abs(changes.mean[2]), changes.rounding[2]);

  const std::vector<int64_t> rows = {1, 3};
  EXPECT_NEAR(MeasureChanges(data, {}, rows).mean[0],
              (std::sin(2) - std::sin(1) + std::sin(4) - std::sin(3)) / 2, 1e-15);
}

TEST(MeasureChanges, AnglesThatWrapChangeByHalfATurnAtMost) {
  EnvironmentSpec spec;
  spec.observation = {{"wheel", "rad"}};
  Encoding encoding;
  encoding.sin_cos = {"wheel"};
  Dataset data(1, 1);
  const double u = 0;
  for (int row = 0; row < 50; ++row) {  // at an even pace, logged within (-pi, pi]
    const double before = std::remainder(0.3 * row, 2 * std::numbers::pi);
    const double after = std::remainder(0.3 * (row + 1), 2 * std::numbers::pi);
    data.Add(std::span(&before, 1), std::span(&u, 1), std::span(&after, 1), 1);
  }
  const ColumnStatistics changes = MeasureChanges(data, ObservationDifference(spec, encoding));
  EXPECT_NEAR(changes.mean[0], 0.3, 1e-14);
  EXPECT_LT(changes.deviation[0], 1e-14);
}

}  // namespace
}  // namespace foreplan
