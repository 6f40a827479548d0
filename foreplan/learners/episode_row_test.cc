#include "foreplan/learners/episode_row.h"

#include <gtest/gtest.h>

namespace foreplan {
namespace {

TEST(EpisodeRow, SaysWhatDivergedOrFailed) {
  EpisodeResult result;
  EXPECT_EQ(RowOf(result, 30, 1, 0, "mpc").note, "");
  result.failure = "step 3: no answer";
  EXPECT_EQ(RowOf(result, 30, 1, 0, "mpc").note, "step 3: no answer");
  result = {};
  result.divergence = "step 3: qacc";
  EXPECT_EQ(RowOf(result, 30, 1, 0, "mpc").note, "step 3: qacc");
}

}  // namespace
}  // namespace foreplan
