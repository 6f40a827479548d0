// The command plan: its files, its answer, and wrong input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

using PlanCommand = ProgramTest;

const std::vector<std::string> kShort = {"plan",  "cartpole_closed_form",
                                         "--set", "planner.ilqr.horizon=12",
                                         "--set", "planner.ilqr.first_iterations=3",
                                         "--out", "plan"};

TEST_F(PlanCommand, WritesTableAndFigureAndRepeatsThem) {
  const ProgramResult first = RunProgram(Concatenated(kShort, {"--json", "--threads", "1"}));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const auto answer = nlohmann::json::parse(first.out);
  EXPECT_EQ(answer["planner"], "ilqr");
  EXPECT_EQ(answer["steps"], 12);
  // The model is the system: what was predicted comes true.
  EXPECT_NEAR(answer["expected_return"].get<double>(), answer["return"].get<double>(), 1e-9);
  const std::string csv = FileText(work() / "plan" / "trajectory.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 14);  // header, 12 steps, the end
  EXPECT_THAT(csv, testing::StartsWith("time,slider,hinge,slider_velocity,hinge_velocity,slide,"));
  const std::string svg = FileText(work() / "plan" / "trajectory.svg");
  EXPECT_THAT(svg, testing::StartsWith("<svg"));
  EXPECT_THAT(svg, testing::HasSubstr("hinge [rad]"));

  const ProgramResult again = RunProgram(Concatenated(kShort, {"--threads", "2"}));
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(FileText(work() / "plan" / "trajectory.csv"), csv);
}

TEST_F(PlanCommand, SaysThatItMakesMoreThanItsFolder) {
  std::vector<std::string> deep = kShort;
  deep.back() = "some/where/plan";
  const ProgramResult made = RunProgram(deep);
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(made.err, testing::HasSubstr("note: --out: makes the folder 'some/where' as well"));
  for (const char* out : {"some/where/other", "plan", "runs/plan"}) {
    deep.back() = out;
    EXPECT_THAT(RunProgram(deep).err, testing::Not(testing::HasSubstr("makes the folder"))) << out;
  }
}

TEST_F(PlanCommand, SaysThatThePlanDiverged) {
  const ProgramResult result = RunProgram(
      Concatenated(kShort, {"--planner", "icem", "--set", "reward=sqrt(0.5 - abs(slider_velocity))",
                            "--set", "planning_reward=slider_velocity"}));
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err,
              testing::ContainsRegex("foreplan: plan: the system diverged at step [0-9]+: reward"));
  EXPECT_FALSE(fs::exists(work() / "plan"));
}

TEST_F(PlanCommand, RefusesWrongInputWithoutWriting) {
  for (const auto& [arguments, fragment] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"plan"}, "found neither a task nor --model"},
           {{"plan", "cartpole"}, "unknown folder or task 'cartpole'"},
           {{"plan", "pendulum", "--planner", "ilrq"}, "did you mean 'ilqr'"},
           {{"plan", "pendulum", "--set", "planner.ilqr.horizon=0"}, "planner.ilqr.horizon"},
           {{"plan", "pendulum", "--seed", "-1"}, "--seed"}}) {
    const ProgramResult result = RunProgram(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, testing::HasSubstr(fragment));
    EXPECT_TRUE(Files().empty());
  }
}

}  // namespace
}  // namespace foreplan::apps
