#include "foreplan/learners/episode_row.h"

#include <gtest/gtest.h>

namespace foreplan {
namespace {

TEST(EpisodeRow, SaysHowItEnded) {
  const auto end_of = [](const EpisodeResult& result) { return RowOf(result, 30, 1, 0, "x").end; };
  EXPECT_EQ(end_of({.steps = 30}), EpisodeEnd::kLength);
  EXPECT_EQ(end_of({.steps = 20}), EpisodeEnd::kCutOff);
  EXPECT_EQ(end_of({.steps = 20, .end = StepEnd::kTerminated}), EpisodeEnd::kTerminated);
  EXPECT_EQ(end_of({.steps = 30, .end = StepEnd::kTerminated}), EpisodeEnd::kTerminated);
  EXPECT_EQ(end_of({.steps = 20, .end = StepEnd::kTruncated}), EpisodeEnd::kLength);
  EXPECT_EQ(end_of({.steps = 20, .failure = "step 20: gone"}), EpisodeEnd::kFailed);
  EXPECT_EQ(end_of({.steps = 20, .divergence = "step 20: nan"}), EpisodeEnd::kDiverged);
}

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
