// Groups, means and differences of runs that a test writes down.
#include "foreplan/experiments/comparison/compared_runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "foreplan/core/testing/message_of.h"
#include "foreplan/data/files.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ComparedRuns : public ::testing::Test {
 protected:
  ComparedRuns() : folder_(fs::path(::testing::TempDir()) / "compared_runs") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~ComparedRuns() override { fs::remove_all(folder_); }

  /// A run of episodes of 100 steps; `run` are keys of [run] and what follows that section.
  fs::path Run(const std::string& name, const std::string& run, const std::vector<double>& returns,
               EpisodeEnd last = EpisodeEnd::kLength) {
    fs::path path = folder_ / name;
    fs::create_directories(path / "checkpoint");
    std::ofstream(path / "checkpoint" / "state.safetensors") << "not looked at";
    RunLog log;
    for (size_t i = 0; i < returns.size(); ++i) {
      const int number = static_cast<int>(i) + 1;
      log.AddEpisode({.episode = number,
                      .controller = "mpc",
                      .steps = 100,
                      .total_steps = 100 * number,
                      .episode_return = returns[i],
                      .end = number == std::ssize(returns) ? last : EpisodeEnd::kLength,
                      .note = ""});
    }
    std::ofstream(path / "config.toml") << "name = \"arm\"\n[run]\n" << run;
    std::ofstream(path / "episodes.csv") << log.EpisodesCsv();
    std::ofstream(path / "metrics.csv") << log.MetricsCsv();
    return path;
  }

  static std::vector<std::string> GroupsOf(const std::vector<fs::path>& folders) {
    std::vector<std::string> groups;
    for (const ComparedRun& run : ReadComparedRuns(folders)) groups.push_back(run.group);
    return groups;
  }

  fs::path folder_;
};

TEST_F(ComparedRuns, AreGroupedByWhatDiffersBesideTheSeed) {
  const std::string icem = "planner = \"icem\"\n[planner.icem]\nhorizon = 20\n";
  const std::string longer = "planner = \"icem\"\n[planner.icem]\nhorizon = 40\n";
  const std::string mppi = "planner = \"mppi\"\n[planner.mppi]\nlambda = 0.5\n";
  const auto a = Run("a", "seed = 0\n" + icem, {1});
  const auto b = Run("b", "seed = 1\n" + icem, {1});
  const auto c = Run("c", "seed = 0\n" + mppi, {1});
  const auto d = Run("d", "seed = 0\n" + longer, {1});
  EXPECT_THAT(GroupsOf({a, b}), ElementsAre("arm", "arm"));
  EXPECT_THAT(GroupsOf({a, c, b}), ElementsAre("icem", "mppi", "icem"));
  EXPECT_THAT(GroupsOf({a, d}), ElementsAre("planner.icem.horizon=20", "planner.icem.horizon=40"));
  // Both differ, and only then does a key count that some do not have.
  EXPECT_THAT(GroupsOf({a, c, d}),
              ElementsAre("planner.icem.horizon=20, planner.mppi.lambda=none, icem",
                          "planner.icem.horizon=none, planner.mppi.lambda=0.5, mppi",
                          "planner.icem.horizon=40, planner.mppi.lambda=none, icem"));
}

TEST_F(ComparedRuns, TwoOfOneGroupAndSeedAreRefused) {
  const auto a = Run("a", "seed = 4\n", {1});
  const auto b = Run("b", "seed = 4\n", {1});
  EXPECT_EQ(MessageOf([&] {
              ReadComparedRuns({a, b});
            }),
            b.string() + ": found a second run of 'arm' with seed 4, expected another seed");
  EXPECT_THAT(MessageOf([&] { ReadComparedRuns({folder_}); }), HasSubstr("is no run"));
}

TEST_F(ComparedRuns, TheLastFiveWholeEpisodesCount) {
  const auto a = Run("a", "seed = 0\n", {100, 1, 2, 3, 4, 5});
  const auto b = Run("b", "seed = 1\n", {7, 9, 1000}, EpisodeEnd::kDiverged);
  const auto answer = CompareRuns(ReadComparedRuns({a, b}), folder_ / "out");
  ASSERT_EQ(answer["groups"].size(), 1U);
  const auto& group = answer["groups"][0];
  EXPECT_EQ(group["final_returns"], (std::vector<double>{3, 8}));
  EXPECT_EQ(group["final_return_mean"], 5.5);
  EXPECT_EQ(group["best_return"], 100);
  EXPECT_EQ(group["left_out"], "seed 1: 1 diverged");
  EXPECT_TRUE(answer["differences"].empty());
  EXPECT_EQ(ReadFile(folder_ / "out/compare.csv").substr(0, 76),
            "group,seed,episode,total_steps,episode_return\narm,0,1,100,100\narm,0,2,200,1\n");
  EXPECT_THAT(ReadFile(folder_ / "out/compare.svg"), HasSubstr(">arm</text>"));
}

TEST_F(ComparedRuns, DifferencesAreToTheFirstAndPairedWhereSeedsAreTheSame) {
  std::vector<fs::path> folders;
  const std::vector<double> first = {1, 4, 6};
  const std::vector<double> second = {3, 5, 10};
  for (size_t seed = 0; seed < 3; ++seed) {
    const std::string text = "seed = " + std::to_string(seed) + "\nplanner = ";
    folders.push_back(Run("a" + std::to_string(seed), text + "\"icem\"\n", {first[seed]}));
    folders.push_back(Run("b" + std::to_string(seed), text + "\"mppi\"\n", {second[seed]}));
  }
  const auto paired = CompareRuns(ReadComparedRuns(folders), folder_ / "out");
  ASSERT_EQ(paired["differences"].size(), 1U);
  const auto& of_pairs = paired["differences"][0];
  EXPECT_EQ(of_pairs["name"], "mppi");
  EXPECT_EQ(of_pairs["reference"], "icem");
  EXPECT_EQ(of_pairs["paired"], true);
  EXPECT_NEAR(of_pairs["mean"].get<double>(), 7.0 / 3, 1e-12);
  EXPECT_NEAR(of_pairs["ci95"].get<double>(), 3.794583, 1e-5);
  folders.pop_back();
  const auto unpaired = CompareRuns(ReadComparedRuns(folders), folder_ / "out");
  const auto& of_welch = unpaired["differences"][0];
  EXPECT_EQ(of_welch["paired"], false);
  EXPECT_NEAR(of_welch["mean"].get<double>(), 4 - 11.0 / 3, 1e-12);
  EXPECT_NEAR(of_welch["ci95"].get<double>(),
              WelchDifference(std::vector<double>{3, 5}, first).ci95, 1e-12);
}

TEST(MeanDifference, OfWelchHasItsDegreesOfFreedom) {
  // s^2 / n = 5/12 and 4/3; degrees (7/4)^2 / ((5/12)^2 / 3 + (4/3)^2 / 2) = 3.23; t_3 = 3.182446.
  const MeanDifference difference =
      WelchDifference(std::vector<double>{1, 2, 3, 4}, std::vector<double>{2, 4, 6});
  EXPECT_EQ(difference.mean, -1.5);
  EXPECT_NEAR(difference.ci95, 3.182446 * std::sqrt(1.75), 1e-5);  // t to six decimals
  EXPECT_TRUE(std::isnan(WelchDifference(std::vector<double>{1}, std::vector<double>{2, 4}).ci95));
  EXPECT_EQ(WelchDifference(std::vector<double>{1, 1}, std::vector<double>{4, 4}).ci95, 0);
}

}  // namespace
}  // namespace foreplan
