#include "foreplan/data/quaternions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

namespace foreplan {
namespace {

using Quaternion = std::array<double, 4>;

/// Turned about an axis that leans, by 0.1 rad a step.
Quaternion Turned(int step) {
  const double half = 0.05 * step;
  return {std::cos(half), 0.6 * std::sin(half), 0, 0.8 * std::sin(half)};
}

/// Height and quaternion, one episode; `sign` of the quaternion in each row.
Recording Logged(const std::vector<double>& sign, double norm = 1) {
  Recording recording({"z", "qw", "qx", "qy", "qz"}, {"u"});
  const auto observation = [&](size_t step) {
    std::vector<double> row = {static_cast<double>(step)};
    for (const double entry : Turned(static_cast<int>(step))) {
      row.push_back(norm * sign[step] * entry);
    }
    return row;
  };
  for (size_t step = 0; step + 1 < sign.size(); ++step) {
    const std::vector<double> from = observation(step), to = observation(step + 1), action{0.5};
    recording.Add({.observation = from, .action = action, .next_observation = to, .episode = 1},
                  static_cast<int64_t>(step));
  }
  return recording;
}

TEST(Quaternions, SignsAreCarriedOnAndSaid) {
  Recording flipped = Logged({1, 1, -1, -1, 1, 1});
  CarryQuaternionsOn(flipped);
  const Recording smooth = Logged({1, 1, 1, 1, 1, 1});
  for (int64_t row = 0; row < smooth.data.size(); ++row) {
    EXPECT_THAT(flipped.data.observation(row),
                testing::ElementsAreArray(smooth.data.observation(row)));
    EXPECT_THAT(flipped.data.next_observation(row),
                testing::ElementsAreArray(smooth.data.next_observation(row)));
  }
  ASSERT_EQ(flipped.notes.size(), 1U);
  EXPECT_THAT(flipped.notes[0],
              testing::HasSubstr("qw ... qz are a quaternion, whose sign changes 2 times (first "
                                 "behind row 1)"));
}

TEST(Quaternions, AChangeOfSignEndsWithItsEpisode) {
  Recording recording = Logged({1, 1, -1});  // one change
  const Recording second = Logged({1, 1, 1});
  for (int64_t row = 0; row < second.data.size(); ++row) {
    Transition transition = second.data.transition(row);
    transition.episode = 2;
    recording.Add(transition, 3 + row);
  }
  CarryQuaternionsOn(recording);
  for (int64_t row = 0; row < second.data.size(); ++row) {
    EXPECT_THAT(recording.data.observation(2 + row),
                testing::ElementsAreArray(second.data.observation(row)));
  }
}

TEST(Quaternions, EachStretchKeepsTheSignThatItBeginsWith) {
  Recording recording = Logged({-1, -1, 1});
  CarryQuaternionsOn(recording);
  EXPECT_EQ(recording.data.observation(0)[1], -1);
  EXPECT_LT(recording.data.next_observation(1)[1], 0);
}

/// A command of 1 or -1, and three axes that this experiment does not use.
Recording SwitchBesideZeros() {
  Recording recording({"z", "command", "x", "y", "yaw"}, {"u"});
  for (int64_t step = 0; step < 6; ++step) {
    const auto observation = [](int64_t at) {
      return std::vector<double>{0.1 * static_cast<double>(at), at % 4 < 2 ? 1.0 : -1.0, 0, 0, 0};
    };
    const std::vector<double> from = observation(step), to = observation(step + 1), action{0.5};
    recording.Add({.observation = from, .action = action, .next_observation = to, .episode = 1},
                  step);
  }
  return recording;
}

TEST(Quaternions, WhatIsNoneStaysAsItIs) {
  for (Recording recording : {Logged({1, 1, 1}),         // nothing to mend
                              Logged({1, -1, 1}, 1.01),  // four numbers of another norm
                              SwitchBesideZeros()}) {    // nothing turns
    const Dataset before = recording.data;
    CarryQuaternionsOn(recording);
    EXPECT_TRUE(recording.notes.empty());
    for (int64_t row = 0; row < before.size(); ++row) {
      EXPECT_THAT(recording.data.next_observation(row),
                  testing::ElementsAreArray(before.next_observation(row)));
    }
  }
}

}  // namespace
}  // namespace foreplan
