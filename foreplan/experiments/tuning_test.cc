#include "foreplan/experiments/tuning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/planners/planner.h"

namespace foreplan {
namespace {

Config Settings(const std::string& text = "") { return Config::FromString(text, "task.toml"); }

TEST(TuningSpace, OwnSettingsAreThoseInEffect) {
  Config config = Settings("[planner.icem]\nhorizon = 25\npopulation = 50\nelites = 7\n");
  const TuningSpace space("icem", config);
  // 25 steps of 50 candidates in three iterations, each 1.25 times smaller than the one before
  EXPECT_NEAR(space.own_effort(), 50 * 25 * (1 + 0.8 + 0.64), 1e-9);
  EXPECT_THAT(space.Assignments(space.own(), space.own_effort()),
              testing::ElementsAre("planner.icem.population=50", "planner.icem.horizon=25",
                                   "planner.icem.iterations=3", "planner.icem.elites=7",
                                   "planner.icem.sigma0=0.5", "planner.icem.noise_beta=2",
                                   "planner.icem.keep_fraction=0.3", "planner.icem.momentum=0.1",
                                   "planner.icem.execute=mean"));
}

TEST(TuningSpace, DrawsLieInTheRangesAndCostTheSame) {
  for (const std::string planner : {"random_shooting", "cem", "icem", "mppi"}) {
    Config config = Settings();
    const TuningSpace space(planner, config);
    Random random(Key{1, 0});
    for (int draw = 0; draw < 200; ++draw) {
      const TuningCandidate candidate = space.Draw(3000, random);
      for (size_t i = 0; i < candidate.values.size(); ++i) {
        const TunableOption& option = space.options()[i];
        const double high =
            option.choices.empty() ? option.high : static_cast<double>(option.choices.size()) - 1;
        EXPECT_GE(candidate.values[i], option.choices.empty() ? option.low : 0) << option.key;
        EXPECT_LE(candidate.values[i], high) << option.key;
        if (option.whole) {
          EXPECT_EQ(candidate.values[i], std::round(candidate.values[i]));
        }
      }
      // What is drawn can be read, and costs as much but for one candidate.
      Config drawn = Settings();
      for (const std::string& assignment : space.Assignments(candidate, 3000)) {
        drawn.Set(assignment);
      }
      const TuningSpace again(planner, drawn);
      EXPECT_LE(again.own_effort(), 3000 * (1 + 1e-9));
      EXPECT_GE(again.own_effort(), 3000 * (1 - 1.0 / TuningSpace::kMinPopulation));
    }
  }
}

TEST(TuningSpace, NamesPlannersAndTooSmallEfforts) {
  Config config = Settings();
  EXPECT_THROW(TuningSpace("ilqr", config), InputError);
  Random random(Key{1, 0});
  EXPECT_THROW((void)TuningSpace("icem", config).Draw(10, random), InputError);
}

TEST(SuccessiveHalving, FindsTheBestOfNoisyCandidatesWithinItsBudget) {
  const int count = CandidatesWithin(40);
  EXPECT_EQ(count, 16);  // 16 + 8 + 4 x 2 + 2 x 4 episodes
  std::vector<TuningCandidate> candidates(static_cast<size_t>(count));
  int episodes = 0;
  std::vector<size_t> rounds;
  const int winner = RunSuccessiveHalving(
      candidates,
      [&](int candidate, int first, int more) {
        episodes += more;
        std::vector<double> returns;
        for (int episode = first; episode < first + more; ++episode) {
          Random random(Key{static_cast<uint64_t>(candidate), static_cast<uint64_t>(episode)});
          // Number 5 is best by far; others are worse by their distance from it.
          returns.push_back(-std::abs(candidate - 5) + 0.3 * random.Normal());
        }
        return returns;
      },
      [&](std::span<const int> playing, int) {
        rounds.push_back(playing.size());
        EXPECT_NE(std::find(playing.begin(), playing.end(), 0), playing.end());
      });
  EXPECT_EQ(winner, 5);
  EXPECT_EQ(episodes, 40);
  EXPECT_EQ(rounds.back(), 2U);
  EXPECT_TRUE(std::is_sorted(rounds.rbegin(), rounds.rend()));
  EXPECT_EQ(candidates[5].returns.size(), candidates[0].returns.size());
}

TEST(SuccessiveHalving, KeepsTheSettingsToBeatWhenNothingIsBetter) {
  std::vector<TuningCandidate> candidates(7);
  const double failed = -std::numeric_limits<double>::infinity();
  const int winner = RunSuccessiveHalving(
      candidates,
      [&](int candidate, int, int more) {
        return std::vector<double>(static_cast<size_t>(more), candidate == 3 ? failed : 1.0);
      },
      [](std::span<const int>, int) {});
  EXPECT_EQ(winner, 0);
}

TEST(RankCorrelation, SeesOrderOnly) {
  const std::vector<double> a = {1, 2, 3, 4, 5};
  EXPECT_DOUBLE_EQ(RankCorrelation(a, std::vector<double>{1, 10, 100, 1e3, 1e9}), 1);
  EXPECT_DOUBLE_EQ(RankCorrelation(a, std::vector<double>{5, 4, 3, 2, -100}), -1);
  EXPECT_DOUBLE_EQ(RankCorrelation(a, std::vector<double>{7, 7, 7, 7, 7}), 0);
  // Ties share their mean rank: ranks 0.5 0.5 2 3.5 3.5.
  EXPECT_NEAR(RankCorrelation(a, std::vector<double>{1, 1, 2, 3, 3}), 9 / std::sqrt(90.0), 1e-15);
}

}  // namespace
}  // namespace foreplan
