#include "foreplan/runs/returns.h"

#include <gtest/gtest.h>

#include <cmath>

namespace foreplan {
namespace {

EpisodeRow Row(int episode, double episode_return, EpisodeEnd end) {
  EpisodeRow row;
  row.episode = episode;
  row.episode_return = episode_return;
  row.end = end;
  return row;
}

TEST(WholeReturns, LeaveOutWhatDivergedOrWasCutOff) {
  const std::vector<EpisodeRow> rows = {
      Row(1, -8, EpisodeEnd::kLength), Row(2, -1, EpisodeEnd::kDiverged),
      Row(3, -4, EpisodeEnd::kTerminated), Row(4, -6, EpisodeEnd::kLength),
      Row(5, -2, EpisodeEnd::kCutOff)};
  const WholeReturns whole = WholeReturnsOf(rows);
  EXPECT_EQ(whole.returns, (std::vector<double>{-8, -4, -6}));
  EXPECT_EQ(whole.episodes, (std::vector<int>{1, 3, 4}));
  EXPECT_EQ(whole.best(), 1U);
  EXPECT_EQ(whole.last_count(), 3U);
  EXPECT_EQ(whole.MeanOfLast(), -6);
  EXPECT_EQ(whole.LeftOut(), "1 diverged, 1 cut off");
}

TEST(WholeReturns, MeanIsOfTheLastFive) {
  std::vector<EpisodeRow> rows = {Row(1, -100, EpisodeEnd::kLength)};
  for (int episode = 2; episode <= 6; ++episode) {
    rows.push_back(Row(episode, -episode, EpisodeEnd::kLength));
  }
  const WholeReturns whole = WholeReturnsOf(rows);
  EXPECT_EQ(whole.last_count(), 5U);
  EXPECT_EQ(whole.MeanOfLast(), -4);
}

TEST(WholeReturns, OfNoEpisodeHaveNoMean) {
  EXPECT_TRUE(std::isnan(WholeReturnsOf({}).MeanOfLast()));
  EXPECT_EQ(WholeReturnsOf({}).last_count(), 0U);
  EXPECT_EQ(WholeReturnsOf({}).LeftOut(), "");
}

}  // namespace
}  // namespace foreplan
