#include "foreplan/data/turn_jumps.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>
#include <tuple>
#include <vector>

namespace foreplan {
namespace {

constexpr double kPi = std::numbers::pi;

/// One component by its step, 100 transitions of one episode.
Dataset Logged(const std::function<double(int)>& component) {
  Dataset data(2, 1);
  for (int t = 0; t < 100; ++t) {
    data.Add(std::vector{0.0, component(t)}, std::vector{0.5}, std::vector{0.0, component(t + 1)},
             1);
  }
  return data;
}

TEST(TurnJumps, AnglesWithinATurnAreFoundWhateverTheTurnIsCalled) {
  const auto symmetric = [](int t) { return std::remainder(0.3 * t, 2 * kPi); };
  const auto positive = [](int t) { return std::fmod(0.3 * t, 2 * kPi); };
  const auto degrees = [](int t) { return std::fmod(20.0 * t, 360.0); };
  for (const auto& [component, turn, first] :
       std::vector<std::tuple<std::function<double(int)>, double, int64_t>>{
           {symmetric, 2 * kPi, 10}, {positive, 2 * kPi, 20}, {degrees, 360, 17}}) {
    const std::vector<TurnJumps> jumps = FindTurnJumps(Logged(component));
    ASSERT_EQ(jumps.size(), 1U);
    EXPECT_EQ(jumps[0].component, 1U);
    EXPECT_EQ(jumps[0].turn, turn);
    EXPECT_EQ(jumps[0].first, first);
    EXPECT_GE(jumps[0].count, 4);
  }
}

TEST(TurnJumps, OtherMotionsAreNone) {
  for (const auto& component : std::vector<std::function<double(int)>>{
           [](int t) { return 0.3 * t; },                                   // never wrapped
           [](int t) { return 3 * std::sin(0.3 * t); },                     // within a turn, smooth
           [](int t) { return 3 * std::sin(2.0 * t); },                     // fast
           [](int t) { return std::remainder(2.0 * t, 2 * kPi); },          // too fast to tell
           [](int t) { return 10 * std::remainder(0.3 * t, 2 * kPi); }}) {  // another turn
    EXPECT_TRUE(FindTurnJumps(Logged(component)).empty());
  }
}

}  // namespace
}  // namespace foreplan
