#include "foreplan/core/lanes.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "foreplan/core/random.h"

namespace foreplan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Rounding of about fifteen operations per result: a few units of 1.1e-16 each.
constexpr double kRelative = 1.5e-15;

Lanes All(double value) { return value; }
double First(const Lanes& lanes) { return lanes.v[0]; }

bool SameOrNan(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

std::vector<double> Spread(double low, double high) {
  std::vector<double> values = {low, high, 0.5 * (low + high)};
  Random random(Key{1, 0});
  for (int i = 0; i < 20000; ++i) values.push_back(random.Uniform(low, high));
  return values;
}

TEST(Lanes, SineAndCosineAreThoseOfTheLibrary) {
  // In absolute terms: near a zero the error of pi/2 in three parts is all that is left.
  for (const double scale : {1e-6, 1.0, 10.0, 1e4, 1e7}) {
    for (const double x : Spread(-scale, scale)) {
      EXPECT_NEAR(First(sin(All(x))), std::sin(x), 3e-16) << x;
      EXPECT_NEAR(First(cos(All(x))), std::cos(x), 3e-16) << x;
    }
  }
  EXPECT_TRUE(SameOrNan(First(sin(All(-0.0))), -0.0));
}

TEST(Lanes, ExponentialAndLogarithmAreThoseOfTheLibrary) {
  for (const double x : Spread(-705.0, 705.0)) {
    EXPECT_NEAR(First(exp(All(x))), std::exp(x), kRelative * std::exp(x)) << x;
  }
  for (const double high : {1e-300, 1e-3, 1.0, 2.0, 1e300}) {
    for (const double x : Spread(0.0, high)) {
      const double exact = std::log(x);
      if (x == 0) continue;
      EXPECT_NEAR(First(log(All(x))), exact, kRelative * std::abs(exact) + 1e-19) << x;
    }
  }
}

TEST(Lanes, ArcTangentIsThatOfTheLibraryInEveryQuadrant) {
  const std::vector<double> xs = Spread(-1.0, 1.0);
  for (size_t i = 1; i < xs.size(); ++i) {
    for (const double y : {xs[i - 1], 1e-9 * xs[i - 1], 1e9 * xs[i - 1]}) {
      const double exact = std::atan2(y, xs[i]);
      EXPECT_NEAR(First(atan2(All(y), All(xs[i]))), exact, kRelative * std::abs(exact)) << y;
    }
  }
}

TEST(Lanes, SpecialValuesAreThoseOfTheLibrary) {
  const std::array special = {0.0, -0.0, 1.0, -1.0, kInfinity, -kInfinity, kNan, 5e-324};
  for (const double x : special) {
    for (const double y : special) {
      EXPECT_TRUE(SameOrNan(First(min(All(x), All(y))), std::min(x, y))) << x << " " << y;
      EXPECT_TRUE(SameOrNan(First(max(All(x), All(y))), std::max(x, y))) << x << " " << y;
      const double angle = std::atan2(y, x);
      const double found = First(atan2(All(y), All(x)));
      EXPECT_TRUE(SameOrNan(found, angle) || std::abs(found - angle) < 1e-15) << y << " " << x;
    }
    EXPECT_TRUE(SameOrNan(First(sqrt(All(x))), std::sqrt(x))) << x;
    EXPECT_TRUE(SameOrNan(First(log(All(x))), std::log(x)) || x == 1.0) << x;
    EXPECT_EQ(std::isnan(First(sin(All(x)))), std::isnan(std::sin(x))) << x;
    EXPECT_EQ(std::isnan(First(exp(All(x)))), std::isnan(std::exp(x))) << x;
    EXPECT_EQ(All(x).IsFinite()[0] != 0, std::isfinite(x)) << x;
  }
  EXPECT_EQ(First(exp(All(-kInfinity))), 0.0);
  EXPECT_EQ(First(exp(All(800.0))), kInfinity);
}

TEST(Lanes, OneLaneNeverDependsOnTheOthers) {
  for (const double x : {0.3, 2.5, 1e-310, 1e9}) {
    for (const double neighbour : {1.0, 1e30, kNan, kInfinity, 0.0}) {
      Lanes mixed = neighbour;
      mixed.v[0] = x;
      EXPECT_EQ(First(sin(mixed)), First(sin(All(x))));
      EXPECT_EQ(First(cos(mixed)), First(cos(All(x))));
      EXPECT_EQ(First(exp(mixed)), First(exp(All(x))));
      EXPECT_EQ(First(log(mixed)), First(log(All(x))));
      EXPECT_EQ(First(atan2(mixed, All(1.0))), First(atan2(All(x), All(1.0))));
    }
  }
}

}  // namespace
}  // namespace foreplan
