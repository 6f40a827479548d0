#include "foreplan/data/observation_range.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <vector>

namespace foreplan {
namespace {

// x from -1 to 3, before and after steps; y stays at 5.
Dataset Seen() {
  Dataset data(2, 1);
  const std::vector<double> action = {0};
  data.Add(std::vector<double>{0, 5}, action, std::vector<double>{3, 5}, 1);
  data.Add(std::vector<double>{-1, 5}, action, std::vector<double>{2, 5}, 2);
  return data;
}

TEST(ObservationRange, HoldsWhatWasSeenAndSoManyWidthsBesideIt) {
  const ObservationRange range(Seen(), 0.5);
  for (const double x : {-3.0, 0.0, 5.0}) EXPECT_TRUE(range.Holds(std::array{x, 5.0})) << x;
  for (const double x : {-3.01, 5.01, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_FALSE(range.Holds(std::array{x, 5.0})) << x;
  }
  EXPECT_TRUE(ObservationRange(Seen(), 0).Holds(std::array{3.0, 5.0}));
  EXPECT_FALSE(ObservationRange(Seen(), 0).Holds(std::array{3.001, 5.0}));
}

TEST(ObservationRange, WhatNeverChangedMayBeAnywhere) {
  for (const double y : {-1e9, 1e9}) {
    EXPECT_TRUE(ObservationRange(Seen(), 0).Holds(std::array{0.0, y}));
  }
}

TEST(ObservationRange, OfNothingIsEverywhere) {
  EXPECT_TRUE(ObservationRange().Holds(std::array{1e300, -1e300}));
  EXPECT_TRUE(ObservationRange(Dataset(2, 1), 1).Holds(std::array{1e300, -1e300}));
}

}  // namespace
}  // namespace foreplan
