// Recordings compared to the bit.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "foreplan/data/recording.h"

namespace foreplan {

/// The same transitions, episodes, rewards and ends; rewards that are not known stand for each
/// other.
inline void ExpectSame(const Recording& found, const Recording& expected) {
  ASSERT_EQ(found.data.size(), expected.data.size());
  for (int64_t row = 0; row < found.data.size(); ++row) {
    SCOPED_TRACE(row);
    const Transition here = found.data.transition(row);
    const Transition there = expected.data.transition(row);
    EXPECT_TRUE(std::ranges::equal(here.observation, there.observation));
    EXPECT_TRUE(std::ranges::equal(here.action, there.action));
    EXPECT_TRUE(std::ranges::equal(here.next_observation, there.next_observation));
    EXPECT_EQ(here.episode, there.episode);
    EXPECT_EQ(here.end, there.end);
    EXPECT_TRUE(here.reward == there.reward ||
                (std::isnan(here.reward) && std::isnan(there.reward)));
  }
}

}  // namespace foreplan
