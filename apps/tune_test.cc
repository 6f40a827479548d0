// The search for a planner's settings: what it writes, and that it repeats.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

using testing::HasSubstr;

using TuneCommand = ProgramTest;

// A search of a second: short episodes, 8 candidates of few imagined steps.
std::vector<std::string> TinyTune(const std::vector<std::string>& more) {
  return Concatenated({"tune", "cartpole_closed_form", "--budget", "16", "--check", "2", "--effort",
                       "400", "--seed", "3", "--set", "episode_length=20"},
                      more);
}

TEST_F(TuneCommand, WritesATaskThatRunsWithTheBestSettings) {
  const ProgramResult result = RunProgram(TinyTune({"--out", "tuned/best.toml", "--json"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto document = nlohmann::json::parse(result.out);
  EXPECT_EQ(document["planner"], "icem");
  EXPECT_EQ(document["model"], "true");
  EXPECT_EQ(document["file"], "tuned/best.toml");
  ASSERT_EQ(document["candidates"].size(), 8U);
  EXPECT_EQ(document["own_fresh_returns"].size(), 2U);
  EXPECT_EQ(document["importances"].size(), 8U);
  // The winner played to the end, and no other that did was better.
  const auto mean = [&](size_t candidate) {
    const auto returns =
        document["candidates"][candidate]["episode_returns"].get<std::vector<double>>();
    double sum = 0;
    for (const double value : returns) sum += value;
    return std::pair(returns.size(), sum / static_cast<double>(returns.size()));
  };
  const auto best = mean(document["best"].get<size_t>());
  for (size_t i = 0; i < 8; ++i) EXPECT_LE(mean(i), best);

  const std::string text = FileText(work() / "tuned/best.toml");
  EXPECT_THAT(text, HasSubstr("name = \"cartpole_closed_form\""));
  for (const std::string setting : document["best_settings"]) {
    // "planner.icem.horizon=20" stands as "horizon = 20" in its section.
    const std::string key = setting.substr(setting.rfind('.', setting.find('=')) + 1);
    const size_t equals = key.find('=');
    std::string line = key.substr(0, equals) + " = " + key.substr(equals + 1);
    if (key.starts_with("execute")) line = "execute = \"" + key.substr(equals + 1) + "\"";
    EXPECT_THAT(text, HasSubstr(line));
  }
  for (const char* command : {"eval", "plan"}) {
    std::vector<std::string> arguments = {command, "tuned/best.toml"};
    if (std::string(command) == "eval") {
      arguments = Concatenated(arguments, {"--controller", "true_model", "--episodes", "1"});
    } else {
      arguments = Concatenated(arguments, {"--out", "plan"});
    }
    const ProgramResult used = RunProgram(arguments);
    EXPECT_EQ(used.exit_code, 0) << command << used.err;
  }
}

TEST_F(TuneCommand, GivesTheSameBytesForASeedWhateverTheThreads) {
  const ProgramResult one = RunProgram(TinyTune({"--out", "a.toml", "--threads", "1"}));
  const ProgramResult two = RunProgram(TinyTune({"--out", "b.toml", "--threads", "2"}));
  ASSERT_EQ(one.exit_code, 0) << one.err;
  ASSERT_EQ(two.exit_code, 0) << two.err;
  EXPECT_EQ(FileText(work() / "a.toml"), FileText(work() / "b.toml"));
  EXPECT_EQ(one.out.substr(0, one.out.find("written")), two.out.substr(0, two.out.find("written")));
  EXPECT_THAT(one.out, HasSubstr("rank correlation"));
  EXPECT_THAT(one.err, HasSubstr("8 candidates, 1 episode each"));
}

// With so few candidates chance alone gives any correlation.
TEST_F(TuneCommand, FewCandidatesSayNothingOfWhatMattered) {
  const std::vector<std::string> few = {"tune",  "cartpole_closed_form", "--check",  "1",
                                        "--set", "episode_length=10",    "--effort", "400",
                                        "--out"};
  const ProgramResult four = RunProgram(Concatenated(few, {"4.toml", "--budget", "6"}));
  ASSERT_EQ(four.exit_code, 0) << four.err;
  EXPECT_THAT(four.out, testing::Not(HasSubstr("rank correlation")));
  EXPECT_THAT(four.out, HasSubstr("4 candidates are too few to tell what an option matters; "
                                  "--budget 40 draws 16"));
  const ProgramResult five = RunProgram(Concatenated(few, {"5.toml", "--budget", "12"}));
  ASSERT_EQ(five.exit_code, 0) << five.err;
  EXPECT_THAT(five.out, HasSubstr("* beyond 0.98, what chance gives"));
}

TEST_F(TuneCommand, WritesNothingWhenEveryCandidateFails) {
  const ProgramResult result = RunProgram(
      TinyTune({"--out", "tuned.toml", "--set", "reward=sqrt(0.5 - abs(slider_velocity))", "--set",
                "planning_reward=slider_velocity"}));
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, testing::ContainsRegex(
                              "foreplan: tune: every candidate failed, nothing is written; the "
                              "last: .* of controller 'true_model' diverged: step [0-9]+: reward"));
  EXPECT_TRUE(Files().empty());
}

TEST_F(TuneCommand, PlansOnTheModelOfARun) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "2", "--out", "run"})).exit_code, 0);
  const ProgramResult result = RunProgram({"tune", "run", "--budget", "6", "--check", "1",
                                           "--effort", "200", "--out", "tuned.toml", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out)["model"], "learned");
}

TEST_F(TuneCommand, RefusesWhatCannotBeSearchedBeforeItStarts) {
  WriteText("there.toml", "");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--planner", "ilqr"}, "unknown planner to tune 'ilqr'"},
      {{"--out", "there.toml"}, "there.toml: exists already"},
      {{"--out", "there"}, "--out: found 'there', expected a name that ends in .toml"},
      {{"--budget", "1"}, "found '1', expected an integer from 2"},
      {{"--effort", "0"}, "found '0', expected a number from 1"},
      {{"--effort", "20"}, "tune: effort: found 20 imagined steps"}};
  for (const auto& [more, expected] : cases) {
    const ProgramResult result = RunProgram(Concatenated({"tune", "cartpole_closed_form"}, more));
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, HasSubstr(expected));
  }
  EXPECT_THAT(Files(), testing::ElementsAre("there.toml"));
}

}  // namespace
}  // namespace foreplan::apps
