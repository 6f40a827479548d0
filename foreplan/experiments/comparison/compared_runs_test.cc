// Groups, means and differences of runs that a test writes down.
#include "foreplan/experiments/comparison/compared_runs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "foreplan/core/testing/message_of.h"
#include "foreplan/data/files.h"
#include "foreplan/runs/provenance.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ComparedRuns : public ::testing::Test {
 protected:
  ComparedRuns() : folder_(fs::path(::testing::TempDir()) / "compared_runs") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~ComparedRuns() override { fs::remove_all(folder_); }

  /// A run of episodes of 100 steps; `run` are keys of [run] and what follows that section. It went
  /// on with what is in accepted_.
  fs::path Run(const std::string& name, const std::string& run, const std::vector<double>& returns,
               EpisodeEnd last = EpisodeEnd::kLength, const std::string& task = "'arm'") {
    fs::path path = folder_ / name;
    fs::create_directories(path / "checkpoint");
    TensorFile state;
    SaveProvenance({{}, accepted_}, state);
    WriteTensors(path / "checkpoint" / "state.safetensors", state);
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
    std::ofstream(path / "config.toml") << "name = " << task << "\n[run]\n" << run;
    std::ofstream(path / "episodes.csv") << log.EpisodesCsv();
    std::ofstream(path / "metrics.csv") << log.MetricsCsv();
    return path;
  }

  static std::vector<std::string> GroupsOf(const std::vector<fs::path>& folders) {
    std::vector<std::string> groups;
    for (const ComparedRun& run : ReadComparedRuns(folders)) groups.push_back(run.group);
    return groups;
  }

  /// A run of one episode per return, with seeds 0, 1 ...
  std::vector<fs::path> Seeds(const std::string& planner, const std::vector<double>& returns) {
    std::vector<fs::path> folders;
    for (size_t seed = 0; seed < returns.size(); ++seed) {
      folders.push_back(Run(planner + std::to_string(seed),
                            "seed = " + std::to_string(seed) + "\nplanner = \"" + planner + "\"\n",
                            {returns[seed]}));
    }
    return folders;
  }

  nlohmann::ordered_json Compared(const std::vector<std::vector<fs::path>>& groups) {
    std::vector<fs::path> folders;
    for (const auto& group : groups) folders.insert(folders.end(), group.begin(), group.end());
    return CompareRuns(ReadComparedRuns(folders), folder_ / "out", "foreplan compare 'a*'");
  }

  [[nodiscard]] std::string Written(const std::string& file) const {
    return ReadFile(folder_ / "out" / file);
  }

  std::vector<Difference> accepted_;
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

TEST_F(ComparedRuns, ThoseThatDoNotRepeatAreMarked) {
  const auto a = Run("a", "seed = 0\n", {1, 2});
  accepted_ = {
      {"program", "a", "b", 1}, {"mpc.refit_every", "1", "2", 1}, {"program", "b", "c", 2}};
  const auto b = Run("b", "seed = 1\n", {1, 2});
  const std::string mark = "seed 1 does not repeat to the bit: mpc.refit_every, program";
  const auto answer = CompareRuns(ReadComparedRuns({a, b}), folder_ / "out");
  EXPECT_EQ(answer["groups"][0]["changed"], mark);
  EXPECT_THAT(ReadFile(folder_ / "out/compare.html"), HasSubstr(mark));
  EXPECT_THAT(ReadFile(folder_ / "out/compare.md"), HasSubstr("seed 1 does not repeat"));
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

TEST_F(ComparedRuns, HaveInterquartileMeansAndChancesOfImprovement) {
  const auto answer =
      Compared({Seeds("icem", {1, 2, 3, 4, 5, 6, 7, 8}), Seeds("mppi", {9, 9, 9, 9, 9, 9, 9, 9})});
  const auto& group = answer["groups"][0];
  EXPECT_EQ(group["final_return_iqm"], 4.5);
  EXPECT_GT(group["final_return_iqm_ci95"][0], 1);
  EXPECT_LT(group["final_return_iqm_ci95"][0], 4.5);
  EXPECT_GT(group["final_return_iqm_ci95"][1], 4.5);
  EXPECT_EQ(group["settings"], (nlohmann::ordered_json{{"run.planner", "icem"}}));
  EXPECT_EQ(group["task"], "arm");
  const auto& difference = answer["differences"][0];
  EXPECT_EQ(difference["mean"], 4.5);
  EXPECT_EQ(difference["probability_of_improvement"], 1);
  EXPECT_EQ(difference["probability_of_improvement_ci95"], (std::vector<double>{1, 1}));
  // The bootstrap's deviation is sqrt(5.25 / 8) = 0.81: 4.5 +- 1.6.
  EXPECT_NEAR(difference["bootstrap_ci95"][0].get<double>(), 2.9, 0.15);
  EXPECT_NEAR(difference["bootstrap_ci95"][1].get<double>(), 6.1, 0.15);
  EXPECT_EQ(answer["runs"].size(), 16U);
  EXPECT_EQ(answer["runs"][1]["folder"], (folder_ / "icem1").string());
  EXPECT_EQ(answer["runs"][1]["final_return"], 2);
}

TEST_F(ComparedRuns, ArePairedWhereSeedsAreTheSame) {
  // Seeds move both alike: the differences are 1, 1.5 and so on, whatever the seed is worth.
  const auto icem = Seeds("icem", {10, -20, 30, -40, 50});
  const auto paired = Compared({icem, Seeds("mppi", {11, -18.5, 31, -38, 51.5})});
  EXPECT_GT(paired["differences"][0]["bootstrap_ci95"][0], 0.9);
  EXPECT_LT(paired["differences"][0]["bootstrap_ci95"][1], 2.1);
  EXPECT_THAT(Written("compare.md"), HasSubstr("pairs of one seed drawn again"));
  const auto apart = Compared({icem, Seeds("mppi", {11, -18.5, 31, -38})});
  EXPECT_EQ(apart["differences"][0]["paired"], false);
  EXPECT_LT(apart["differences"][0]["bootstrap_ci95"][0], -10);
  EXPECT_THAT(Written("compare.md"), HasSubstr("as their seeds differ"));
}

TEST_F(ComparedRuns, OfOneOrTwoSeedsClaimNothing) {
  for (const std::vector<double>& returns : {std::vector<double>{3}, {3, 5}}) {
    const auto answer = Compared({Seeds("icem", returns), Seeds("mppi", returns)});
    EXPECT_TRUE(answer["groups"][0]["final_return_iqm"].is_number());
    EXPECT_TRUE(answer["groups"][0]["final_return_iqm_ci95"].is_null());
    EXPECT_TRUE(answer["differences"][0]["bootstrap_ci95"].is_null());
    EXPECT_TRUE(answer["differences"][0]["probability_of_improvement_ci95"].is_null());
    EXPECT_EQ(answer["differences"][0]["probability_of_improvement"], 0.5);
    EXPECT_EQ(answer["differences"][0]["ci95"].is_null(), returns.size() == 1);
    EXPECT_THAT(Written("compare.md"), HasSubstr("A bootstrap interval takes 3 runs of each."));
  }
}

TEST_F(ComparedRuns, WithoutAWholeEpisodeHaveNoNumbers) {
  const auto lost = Run("lost", "seed = 0\nplanner = \"mppi\"\n", {7}, EpisodeEnd::kDiverged);
  const auto answer = Compared({Seeds("icem", {1}), {lost}});
  const auto& group = answer["groups"][1];
  for (const char* key : {"final_return_mean", "final_return_iqm", "best_return"}) {
    EXPECT_TRUE(group[key].is_null()) << key;
  }
  EXPECT_TRUE(group["final_returns"][0].is_null());
  EXPECT_TRUE(answer["differences"][0]["mean"].is_null());
  EXPECT_TRUE(answer["differences"][0]["probability_of_improvement"].is_null());
  for (const char* file : {"compare.html", "compare.md", "compare.svg", "compare.csv"}) {
    EXPECT_THAT(Written(file), Not(HasSubstr("nan"))) << file;
    EXPECT_THAT(Written(file), Not(HasSubstr(">inf"))) << file;
  }
  EXPECT_THAT(Written("compare.md"), HasSubstr("no difference is known"));
}

TEST_F(ComparedRuns, SayHowSureADifferenceIs) {
  Compared({Seeds("icem", {1, 2, 3, 4}), Seeds("mppi", {2, 3, 1, 5})});
  EXPECT_THAT(Written("compare.md"), HasSubstr("It holds 0: these runs do not tell"));
  Compared({Seeds("icem", {1, 2, 3, 4}), Seeds("mppi", {11, 12, 13, 14.5})});
  EXPECT_THAT(Written("compare.md"),
              HasSubstr("`mppi` earns 10.12 more than `icem` in the mean (95 % bootstrap interval "
                        "[10, 10.38], pairs of one seed drawn again). It leaves out 0, as does "
                        "that of Student's t. A run of `mppi` earns more than one of `icem` with "
                        "probability 1 [1, 1]."));
  EXPECT_THAT(Written("compare.html"), HasSubstr("<td>differ</td>"));
  // Drawn again, 1, 1, 1 and 7 never have a mean below 1; their interval of Student's t has.
  Compared({Seeds("icem", {1, 2, 3, 4}), Seeds("mppi", {2, 3, 4, 11})});
  EXPECT_THAT(Written("compare.md"),
              HasSubstr("It leaves out 0, that of Student's t, −2.274 to 7.274, does not: these "
                        "runs are too few to tell."));
  EXPECT_THAT(Written("compare.html"), HasSubstr("<td>too few runs</td>"));
}

TEST_F(ComparedRuns, WarnOfManyDifferences) {
  Compared({Seeds("icem", {1, 2}), Seeds("mppi", {2, 3})});
  EXPECT_THAT(Written("compare.html"), Not(HasSubstr("by chance")));
  Compared({Seeds("icem", {1, 2}), Seeds("mppi", {2, 3}), Seeds("cem", {2, 3})});
  EXPECT_THAT(Written("compare.html"), HasSubstr("there are 2 differences"));
  EXPECT_THAT(Written("compare.md"), Not(HasSubstr("<details>")));
}

TEST_F(ComparedRuns, FoldTheSentencesOfManyDifferences) {
  Compared({Seeds("icem", {1}), Seeds("mppi", {2}), Seeds("cem", {2}), Seeds("ilqr", {2}),
            Seeds("random_shooting", {2})});
  for (const char* file : {"compare.html", "compare.md"}) {
    EXPECT_THAT(Written(file), HasSubstr("<summary>The differences in words</summary>")) << file;
  }
}

TEST_F(ComparedRuns, HaveAPageThatAsksForNothing) {
  Compared({Seeds("icem", {1, 2, 3}), Seeds("mppi", {2, 3, 4})});
  const std::string page = Written("compare.html");
  EXPECT_THAT(page, HasSubstr("default-src 'none'; style-src 'unsafe-inline'; img-src data:"));
  EXPECT_THAT(page, HasSubstr("<h1>Comparison on arm</h1>"));
  EXPECT_THAT(page, HasSubstr("icem (3 seeds): the mean return goes from 2 after 100 steps"));
  EXPECT_THAT(page, HasSubstr("foreplan compare 'a*'"));
  EXPECT_THAT(page, HasSubstr("<th scope=\"col\">run.planner</th>"));
  for (const char* foreign : {"<script", " src=", " href=", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(foreign)));
  }
  const std::string markdown = Written("compare.md");
  EXPECT_THAT(markdown, HasSubstr("```sh\nforeplan compare 'a*'\n```"));
  EXPECT_THAT(markdown, HasSubstr("| `icem` | 3 | 2 ± 2.484 | 2 [1, 3] |"));
}

TEST_F(ComparedRuns, NamesWithMarkupStayNames) {
  const std::string name = R"(<script>alert(1)</script>|`"../..&,=@someone)";
  std::vector<fs::path> folders;
  for (int seed = 0; seed < 3; ++seed) {
    const std::string text = "seed = " + std::to_string(seed) + "\n";
    folders.push_back(Run("<b>" + std::to_string(seed), text, {1.0 * seed}, EpisodeEnd::kLength,
                          "'" + name + "'"));
    folders.push_back(Run("b" + std::to_string(seed), text, {2.0 * seed}));
  }
  const auto answer = CompareRuns(ReadComparedRuns(folders), folder_ / "out", "a ``` <b>");
  EXPECT_EQ(answer["groups"][0]["name"], name);
  for (const char* file : {"compare.html", "compare.svg"}) {
    EXPECT_THAT(Written(file), Not(HasSubstr("<script"))) << file;
    EXPECT_THAT(Written(file), Not(HasSubstr("<b>"))) << file;
    EXPECT_THAT(Written(file), HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;")) << file;
  }
  EXPECT_THAT(Written("compare.csv"),
              HasSubstr("\"<script>alert(1)</script>|`\"\"../..&,=@someone\",0,1,100,0\n"));
  EXPECT_THAT(Written("compare.md"),
              HasSubstr("| ``<script>alert(1)</script>\\|`\"../..&,=@someone`` | 3 |"));
  EXPECT_THAT(Written("compare.md"), HasSubstr("of different tasks, whose returns"));
  EXPECT_THAT(Written("compare.md"), HasSubstr("````sh\na ``` <b>\n````\n"));
}

TEST_F(ComparedRuns, MeanReturnsAreTheCurveOfTheFigure) {
  const auto a = Run("a", "seed = 0\n", {0, 2, 4});
  const auto b = Run("b", "seed = 1\n", {2, 4, 6});
  const std::vector<double> means = MeanReturns(ReadComparedRuns({a, b}), "arm");
  EXPECT_EQ(means.front(), 1);
  EXPECT_EQ(means.back(), 5);
  EXPECT_TRUE(std::ranges::is_sorted(means));
  EXPECT_TRUE(MeanReturns({}, "arm").empty());
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
