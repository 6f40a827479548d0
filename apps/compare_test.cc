// foreplan compare.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/exit_codes.h"
#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

using Compare = ProgramTest;
using Json = nlohmann::json;

/// All cells in seconds; what they learn does not matter.
std::vector<std::string> TinyComparison(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"compare",    "lecture", "--task",  "cartpole_closed_form",
                                        "--episodes", "2",       "--seeds", "1",
                                        "--out",      "all"};
  for (const char* assignment :
       {"episode_length=30", "model.members=2", "model.width=8", "model.hidden_layers=1",
        "fit.min_steps=5", "fit.max_steps=5", "planner.icem.population=12", "planner.icem.elites=2",
        "planner.icem.iterations=1", "planner.ilqr.horizon=10", "planner.ilqr.guesses=4",
        "planner.ilqr.first_iterations=2", "planner.cem.horizon=10", "planner.mppi.horizon=10",
        "planner.random_shooting.horizon=10", "policy_backprop.training.steps=5",
        "policy_backprop.training.restarts=0"}) {
    arguments.insert(arguments.end(), {"--set", assignment});
  }
  return Concatenated(arguments, more);
}

TEST_F(Compare, GivesTheDocumentedJsonAndItsFiles) {
  const ProgramResult result = RunProgram(TinyComparison({"--json"}));
  ASSERT_EQ(result.exit_code, kDone) << result.err;
  const Json answer = Json::parse(result.out);
  ASSERT_EQ(answer["rows"].size(), 12);
  for (const Json& row : answer["rows"]) {
    EXPECT_TRUE(row["algorithm"].is_string());
    for (const char* number : {"final_return_mean", "wall_seconds", "ms_per_decision"}) {
      EXPECT_TRUE(row[number].is_number()) << row;
    }
    for (const char* key :
         {"final_return_ci95", "steps_to_90_percent", "model_error_base", "model_error_visited"}) {
      EXPECT_TRUE(row.contains(key)) << row;
    }
  }
  // 3 horizons x 2 populations x 4 periods; 4 drifts x 4 periods; 6 planners on each of 2 models.
  EXPECT_EQ(answer["replanning"].size(), 24);
  EXPECT_EQ(answer["drifting_car"].size(), 16);
  EXPECT_EQ(answer["planners_v0.5"].size(), 6);
  EXPECT_EQ(answer["planners_v1.5"].size(), 6);
  EXPECT_EQ(answer["refits"].size(), 4);
  EXPECT_NE(FileText(work() / answer["figure"]).find("</svg>"), std::string::npos);
  EXPECT_NE(FileText(work() / answer["page"]).find("The drifting car"), std::string::npos);
  EXPECT_EQ(FileText(work() / answer["table"]).find("algorithm,final_return_mean"), 0);

  // A second call finds everything and gives the same; other settings are refused.
  EXPECT_EQ(RunProgram(TinyComparison({"--json"})).out, result.out);
  const ProgramResult other = RunProgram(TinyComparison({"--set", "model.members=3"}));
  EXPECT_EQ(other.exit_code, kWrongInput);
  EXPECT_NE(other.err.find("use another --out"), std::string::npos) << other.err;
}

/// What a measured cell left behind: four episodes of 30 steps, then two of 200 earned.
Json KeptCell(const std::vector<double>& returns, const std::vector<std::string>& ends) {
  return {{"episode_returns", returns},  {"episode_steps", std::vector<int>(returns.size(), 30)},
          {"episode_ends", ends},        {"wall_seconds", 1},
          {"model_error_base", 0.1},     {"model_error_visited", 0.1},
          {"final_returns", {200, 200}}, {"ms_per_decision", 1},
          {"imagined_return", nullptr},  {"realised_return", nullptr}};
}

TEST_F(Compare, TakesTheMedianOfStepsOverSeedsAndOnlyOfWholeEpisodes) {
  const std::vector<std::string> whole(4, "length");
  const auto keep = [&](const std::string& cell, int seed, const Json& finding) {
    std::filesystem::create_directories(work() / "all" / cell);
    WriteText("all/" + cell + "/seed-" + std::to_string(seed) + ".json", finding.dump());
  };
  for (const int seed : {0, 1}) {
    keep("true_model", seed, KeptCell({}, {}));
  }
  // 90 % of 200 are reached after 60 and after 120 steps; what the diverged episode had earned by
  // then does not count.
  keep("v1.5", 0, KeptCell({10, 190, 190, 190}, whole));
  keep("v1.5", 1, KeptCell({500, 10, 10, 190}, {"diverged", "length", "length", "terminated"}));
  std::vector<std::string> two_seeds = TinyComparison({"--json", "--only", "v1.5"});
  *(std::ranges::find(two_seeds, "--seeds") + 1) = "2";
  const ProgramResult result = RunProgram(two_seeds);
  ASSERT_EQ(result.exit_code, kDone) << result.err;
  const Json answer = Json::parse(result.out);
  ASSERT_EQ(answer["rows"][0]["algorithm"], "v1.5");
  EXPECT_EQ(answer["rows"][0]["steps_to_90_percent"], 90);
}

TEST_F(Compare, MeasuresAStudyOfSomeSystemsOverSeveralEpisodes) {
  const ProgramResult result = RunProgram(TinyComparison(
      {"--only", "v1.5", "--study", "replanning", "--study-episodes", "2", "--json"}));
  ASSERT_EQ(result.exit_code, kDone) << result.err;
  const Json answer = Json::parse(result.out);
  EXPECT_EQ(answer["replanning"].size(), 24);
  EXPECT_FALSE(answer.contains("drifting_car"));
  const ProgramResult missing =
      RunProgram(TinyComparison({"--only", "v1.5", "--study", "planners_v0.5"}));
  EXPECT_EQ(missing.exit_code, kWrongInput);
  EXPECT_NE(missing.err.find("expected it among them"), std::string::npos) << missing.err;
}

TEST_F(Compare, PlannersOverSeedsInOneCommandAndTheSameFromTheirFolders) {
  const std::vector<std::string> small = {"--seeds",    "2",
                                          "--episodes", "2",
                                          "--set",      "episode_length=20",
                                          "--set",      "model.width=8",
                                          "--set",      "model.members=2",
                                          "--set",      "fit.min_steps=5",
                                          "--set",      "fit.max_steps=5",
                                          "--set",      "planner.icem.population=12",
                                          "--set",      "planner.random_shooting.population=12"};
  const ProgramResult made =
      RunProgram(Concatenated({"compare", "cartpole_closed_form", "--planner",
                               "icem,random_shooting", "--out", "both", "--json"},
                              small));
  ASSERT_EQ(made.exit_code, kDone) << made.err;
  Json answer = Json::parse(made.out);
  ASSERT_EQ(answer["groups"].size(), 2U);
  EXPECT_EQ(answer["groups"][0]["name"], "icem");
  EXPECT_EQ(answer["groups"][1]["seeds"], (std::vector<int>{0, 1}));
  EXPECT_TRUE(answer["differences"][0]["ci95"].is_number());
  const ProgramResult read =
      RunProgram({"compare", "both/icem/seed-0", "both/icem/seed-1", "both/random_shooting/seed-0",
                  "both/random_shooting/seed-1", "--out", "again", "--json"});
  ASSERT_EQ(read.exit_code, kDone) << read.err;
  EXPECT_EQ(Json::parse(read.out)["groups"], answer["groups"]);
  EXPECT_EQ(FileText(work() / "again/compare.svg"), FileText(work() / "both/compare.svg"));
  const ProgramResult plain = RunProgram({"compare", "both/icem/seed-0", "both/icem/seed-1"});
  EXPECT_NE(plain.out.find("cartpole_closed_form"), std::string::npos) << plain.out;
}

TEST_F(Compare, PatternsFindRunsAndNameWhatIsNone) {
  for (const char* seed : {"0", "1", "2"}) {
    const std::string out = std::string("runs/cart-") + seed;
    std::vector<std::string> run = TinyRun({"--episodes", "2", "--out", out});
    *(std::ranges::find(run, "--seed") + 1) = seed;
    ASSERT_EQ(RunProgram(run).exit_code, kDone);
  }
  std::filesystem::create_directory(work() / "runs/cart-notes");
  const ProgramResult result =
      RunProgram({"compare", "runs/cart-*", "runs/cart-1", "--out", "c d", "--json"});
  ASSERT_EQ(result.exit_code, kDone) << result.err;
  EXPECT_EQ(result.err, "runs/cart-notes: is no run, left out\n");
  const Json answer = Json::parse(result.out);
  EXPECT_EQ(answer["groups"][0]["seeds"], (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(answer["skipped"], (std::vector<std::string>{"runs/cart-notes"}));
  EXPECT_EQ(answer["groups"][0]["final_return_iqm_ci95"].size(), 2);
  const std::string command = "foreplan compare 'runs/cart-*' runs/cart-1 --out 'c d'";
  EXPECT_NE(FileText(work() / answer["markdown"]).find(command), std::string::npos);
  EXPECT_NE(FileText(work() / answer["page"]).find(command), std::string::npos);

  const ProgramResult table = RunProgram({"compare", "runs/cart-?"});
  EXPECT_NE(table.out.find("iqm"), std::string::npos) << table.out;
  EXPECT_NE(table.out.find("page: runs/compare/compare.html"), std::string::npos) << table.out;
}

TEST_F(Compare, SaysWhatCannotBeCompared) {
  std::filesystem::create_directory(work() / "folder");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"compare", "folder"}, "is no run"},
      {{"compare", "nothing*"}, "\"nothing*\": found nothing of that pattern"},
      {{"compare", "fold*"}, "\"fold*\": found no run among what is there"},
      {{"compare", "pendulum", "fold*"}, "expected one task, folders of runs, or 'lecture'"},
      {{"compare", "folder", "pendulum"}, "expected one task, folders of runs, or 'lecture'"},
      {{"compare", "folder", "--seeds", "3"}, "folders of runs beside flags of new ones"},
      {{"compare", "pendulum", "--planner", "icem,icen"}, "did you mean 'icem'"},
      {{"compare", "pendulum", "--only", "v1.5"}, "--only and --study are of 'compare lecture'"},
      {{"compare", "pendulum", "--vary", "model.width"}, "expected KEY=a,b"}};
  for (const auto& [arguments, fragment] : cases) {
    const ProgramResult result = RunProgram(arguments);
    EXPECT_EQ(result.exit_code, kWrongInput) << fragment;
    EXPECT_NE(result.err.find(fragment), std::string::npos) << result.err;
  }
  EXPECT_FALSE(std::filesystem::exists(work() / "runs"));
}

TEST_F(Compare, KnowsItsComparisons) {
  const ProgramResult result = RunProgram({"compare", "lectures"});
  EXPECT_EQ(result.exit_code, kWrongInput);
  EXPECT_NE(result.err.find("did you mean 'lecture'?"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace foreplan::apps
