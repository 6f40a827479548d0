// The command bench: the form of its answer, and that wrong input is refused before work starts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/program_testing.h"
#include "foreplan/planners/planner.h"

namespace foreplan::apps {
namespace {

using Bench = ProgramTest;
using Json = nlohmann::json;

/// Sizes at which a sample takes milliseconds.
const std::vector<std::string> kTinyPlanning = {"--set", "width=8",        "--set", "population=12",
                                                "--set", "elites=3",       "--set", "horizon=3",
                                                "--set", "particles=2",    "--set", "iterations=2",
                                                "--set", "hidden_layers=1"};

std::vector<std::string> Quick(const std::string& suite, const std::vector<std::string>& more) {
  return Concatenated({"bench", suite, "--repeats", "3", "--seconds", "0", "--json"}, more);
}

Json Rows(const ProgramResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return Json::parse(result.out);
}

std::vector<std::string> Cases(const Json& rows) {
  std::vector<std::string> cases;
  for (const Json& row : rows) cases.push_back(row["case"]);
  return cases;
}

void ExpectTimes(const Json& row, const std::string& unit) {
  EXPECT_GT(row[unit + "_p10"].get<double>(), 0) << row;
  EXPECT_LE(row[unit + "_p10"], row[unit + "_median"]) << row;
  EXPECT_LE(row[unit + "_median"], row[unit + "_p90"]) << row;
  EXPECT_EQ(row["samples"], 3) << row;
  for (const auto& [key, value] : row.items()) EXPECT_TRUE(value.is_primitive()) << key;
}

TEST_F(Bench, PlanningHasOneFlatObjectPerCase) {
  const Json rows =
      Rows(RunProgram(Quick("planning", Concatenated({"--threads", "2"}, kTinyPlanning))));
  EXPECT_EQ(Cases(rows),
            (std::vector<std::string>{"pets_cartpole_paper", "mbrl_cartpole", "mbrl_half_cheetah",
                                      "pets_half_cheetah_paper", "mbrl_icem_cartpole", "lite"}));
  for (const Json& row : rows) {
    ExpectTimes(row, "ms");
    EXPECT_EQ(row["threads"], 2);
    EXPECT_EQ(row["precision"], "f32");
  }
  // 12 candidates, 2 particles, 3 steps, 2 iterations through a network 6-8-8.
  EXPECT_NEAR(rows.back()["gflop"].get<double>(), 1e-9 * 12 * 2 * 3 * 2 * 2 * 8 * (6 + 8), 1e-12);
}

TEST_F(Bench, OtherSuitesAnswerToo) {
  const Json training = Rows(RunProgram(Quick(
      "training", {"--set", "width=8", "--set", "steps=5", "--set", "batch=4", "--threads", "1"})));
  EXPECT_EQ(Cases(training),
            (std::vector<std::string>{"3x200_b32", "3x200_b256", "cheetah_3x256_b256"}));
  for (const Json& row : training) ExpectTimes(row, "us");

  const Json updates = Rows(RunProgram(
      Quick("actor_critic", {"--set", "width=8", "--set", "updates=2", "--set", "batch=16"})));
  EXPECT_EQ(Cases(updates), (std::vector<std::string>{"tr3_b256", "tr5_b256"}));
  for (const Json& row : updates) ExpectTimes(row, "us");

  const Json prediction = Rows(RunProgram(Quick("prediction", {"--set", "rows=130"})));
  ASSERT_EQ(prediction.size(), 1U);
  EXPECT_GT(prediction[0]["rows_per_second"].get<double>(), 0);
  const Json latency = Rows(RunProgram(Quick("latency", {"--case", "forward_1"})));
  ASSERT_EQ(latency.size(), 2U);
  EXPECT_EQ(latency[0]["net"], "3x200");
  EXPECT_EQ(latency[1]["net"], "4x200");
  for (const Json& row : latency) ExpectTimes(row, "us");

  const Json mppi = Rows(RunProgram(Quick("mppi", {"--set", "population=20"})));
  EXPECT_EQ(Cases(mppi), (std::vector<std::string>{"toy", "pendulum"}));
  for (const Json& row : mppi) ExpectTimes(row, "ms");
}

TEST_F(Bench, DeadlinesTimesEveryPlanner) {
  const Json rows = Rows(RunProgram(
      Quick("deadlines", {"--set", "decisions=4", "--set", "steps=4", "--set", "base_episodes=1",
                          "--set", "learning_episodes=1", "--set", "gradient_steps=2", "--set",
                          "refits=1", "--set", "episodes=1"})));
  EXPECT_EQ(Cases(rows), PlannerNames());
  for (const Json& row : rows) {
    ExpectTimes(row, "ms");
    for (const char* number :
         {"ms_p99", "ms_after_fit", "return_1_ms", "return_unlimited", "follow_1_ms"}) {
      EXPECT_TRUE(row[number].is_number()) << row;
    }
  }
}

TEST_F(Bench, TrajoptSolvesWithoutAllocating) {
  for (const char* name : {"cartpole/bounded", "box_qp_8/cold"}) {
    const Json rows = Rows(RunProgram(Quick("trajopt", {"--case", name, "--threads", "1"})));
    ASSERT_EQ(rows.size(), 1U);
    ExpectTimes(rows[0], "us");
    for (const char* field :
         {"problem", "variant", "iterations", "final_cost", "us_per_iteration", "us_total"}) {
      EXPECT_TRUE(rows[0].contains(field)) << field;
    }
    EXPECT_EQ(rows[0]["allocations_per_iteration"], 0);
    EXPECT_EQ(rows[0]["status"], "converged");
  }
}

TEST_F(Bench, StorageCountsWhatAnEpisodeCostsAndLeavesNothingBehind) {
  const Json rows = Rows(RunProgram(
      Quick("storage", {"--set", "transitions=60", "--set", "steps=20", "--set", "observations=3",
                        "--set", "actions=2", "--set", "metrics=5", "--set", "folder=."})));
  EXPECT_EQ(Cases(rows), (std::vector<std::string>{"1e4", "1e5", "1e6"}));
  for (const Json& row : rows) {
    ExpectTimes(row, "ms");
    EXPECT_EQ(row["transitions"], 60);
    // 20 rows of nine doubles, an episode's number and an end, and what is written with them.
    EXPECT_GT(row["bytes_per_episode"].get<double>(), 20 * (9 * 8 + 4 + 4));
    EXPECT_LT(row["bytes_per_episode"].get<double>(), 20'000);
    for (const char* number : {"mb_memory", "mb_resume_peak", "ms_resume", "ms_report"}) {
      EXPECT_TRUE(row[number].is_number()) << row;
    }
  }
  EXPECT_TRUE(std::filesystem::is_empty(work()));
}

#ifdef FOREPLAN_HAVE_MUJOCO
TEST_F(Bench, SimulationTakesAModelFile) {
  const std::vector<std::string> sizes = {"--set", "rollouts=3", "--set", "steps=5"};
  const Json shipped = Rows(RunProgram(Quick("simulation", sizes)));
  ASSERT_EQ(Cases(shipped), (std::vector<std::string>{"pets_cartpole"}));
  ExpectTimes(shipped[0], "ms");
  EXPECT_GT(shipped[0]["steps_per_second"].get<double>(), 0);

  WriteText("own.xml",
            "<mujoco><worldbody><body><joint name='j'/><geom size='0.1'/></body></worldbody>"
            "<actuator><motor joint='j' ctrlrange='-1 1'/></actuator></mujoco>");
  const Json own =
      Rows(RunProgram(Quick("simulation", Concatenated({"--model", "own.xml"}, sizes))));
  EXPECT_EQ(Cases(own), (std::vector<std::string>{"own"}));
}
#endif

TEST_F(Bench, WithoutJsonTheAnswerIsATable) {
  const ProgramResult result =
      RunProgram({"bench", "mppi", "--repeats", "3", "--seconds", "0", "--set", "population=20"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, testing::StartsWith("case "));
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 3);
  EXPECT_THAT(result.err, testing::HasSubstr("processor"));
}

struct WrongCase {
  std::vector<std::string> arguments;
  std::vector<std::string> fragments;  // of the message
};

TEST_F(Bench, RefusesWrongInputInOneLineBeforeWorkStarts) {
  const std::vector<WrongCase> cases = {
      {{"bench"}, {"expected planning|deadlines|"}},
      {{"bench", "planing"}, {"unknown suite 'planing'", "did you mean 'planning'"}},
      {{"bench", "planning", "--case", "lit"}, {"unknown case 'lit'", "did you mean 'lite'"}},
      {{"bench", "planning", "--precision", "f16"},
       {"unknown precision 'f16'", "did you mean 'bf16'"}},
      {{"bench", "training", "--precision", "bf16"}, {"--precision", "found 'bf16'"}},
      {{"bench", "mppi", "--model", "a.xml"}, {"--model", "found 'a.xml'"}},
      {{"bench", "planning", "--threads", "0"}, {"--threads", "found '0'", "from 1"}},
      {{"bench", "planning", "--repeats", "0"}, {"--repeats", "found '0'", "from 3"}},
      {{"bench", "planning", "--seconds", "-1"}, {"--seconds", "-1"}},
      {{"bench", "planning", "--seconds", "nan"}, {"--seconds", "nan"}},
      {{"bench", "planning", "--set", "population=0"}, {"population", "found integer 0", "[2"}},
      {{"bench", "planning", "--set", "horizon=-3"}, {"horizon", "found integer -3", "[1"}},
      {{"bench", "planning", "--set", "population=10"}, {"elites", "found 40", "at most"}},
      {{"bench", "planning", "--set", "populaton=9"},
       {"unknown key 'populaton'", "did you mean 'population'"}},
      {{"bench", "planning", "--case", "pets_half_cheetah_paper", "--set", "population=1000000",
        "--set", "horizon=10000"},
       {"GiB of memory", "available"}},
      {{"bench", "training", "--set", "width=4096", "--set", "members=64", "--set",
        "hidden_layers=8", "--set", "batch=65536"},
       {"GiB of memory", "available"}},
      {{"bench", "mppi", "--set", "population=1000000", "--set", "horizon=10000"},
       {"GiB of memory", "available"}},
      {{"bench", "storage", "--set", "transitions=100000000", "--set", "observations=100000"},
       {"GiB of memory", "available"}},
      {{"bench", "storage", "--set", "folder=absent"}, {"folder: 'absent/", "No such file"}},
      {{"bench", "storage", "--precision", "f32"}, {"--precision", "found 'f32'"}},
      {{"bench", "training", "--set", "steps=0"}, {"steps", "found integer 0", "[1"}},
#ifdef FOREPLAN_HAVE_MUJOCO
      {{"bench", "simulation", "--model", "absent.xml"}, {"absent.xml"}},
      {{"bench", "simulation", "--set", "rollouts=1000000", "--set", "steps=1000000"},
       {"GiB of memory", "available"}},
#endif
  };
  for (const WrongCase& test : cases) {
    SCOPED_TRACE(testing::PrintToString(test.arguments));
    const ProgramResult result = RunProgram(test.arguments);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    for (const std::string& fragment : test.fragments) {
      EXPECT_THAT(result.err, testing::HasSubstr(fragment));
    }
  }
}

}  // namespace
}  // namespace foreplan::apps
