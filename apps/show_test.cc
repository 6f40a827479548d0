// What a task is, and the configuration that a command would work with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Json = nlohmann::json;

class ShowCommand : public ProgramTest {
 protected:
  [[nodiscard]] Json Show(const std::vector<std::string>& more) const {
    const ProgramResult result = RunProgram(Concatenated({"show"}, Concatenated(more, {"--json"})));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out);
  }

  static Json OptionOf(const Json& document, const std::string& key,
                       const std::string& list = "options") {
    for (const Json& option : document[list]) {
      if (option["key"] == key) return option;
    }
    ADD_FAILURE() << "no option " << key;
    return {};
  }

  /// A pendulum of 0.05 s per step and 200 steps, which pays 7 where nobody acts.
  void WriteTask(const std::string& more = "") const {
    WriteText("seven.toml",
              "name = \"seven\"\nreward = \"best - 1000 * sum(square(u))\"\nepisode_length = 200\n"
              "termination = \"theta_dot > 1e9\"\n" +
                  more + "[constants]\nbest = 7\n[system]\ntype = \"pendulum\"\n");
  }
};

TEST_F(ShowCommand, NamesUnitsBoundsTimesAndWhatIsPaid) {
  WriteTask();
  const Json task = Show({"seven.toml", "--set", "planner.horizon_seconds=1.5"});
  EXPECT_EQ(task["task"], "seven");
  EXPECT_EQ(task["file"], "seven.toml");
  EXPECT_EQ(task["dt_seconds"], 0.05);
  EXPECT_EQ(task["episode_length"], 200);
  EXPECT_NEAR(task["episode_seconds"], 10, 1e-12);  // 200 times 0.05
  EXPECT_EQ(task["observation"].size(), 3U);
  EXPECT_EQ(task["observation"][2]["name"], "theta_dot");
  EXPECT_EQ(task["observation"][2]["unit"], "rad/s");
  EXPECT_EQ(task["action"][0]["low"], -2.0);
  EXPECT_EQ(task["action"][0]["high"], 2.0);
  EXPECT_EQ(task["reward"], "best - 1000 * sum(square(u))");
  EXPECT_EQ(task["planning_reward"], task["reward"]);
  EXPECT_EQ(task["termination"], "theta_dot > 1e9");
  EXPECT_EQ(task["first_reward"], 7.0);
  EXPECT_EQ(task["first_terminated"], false);
  EXPECT_EQ(task["planner"], "icem");
  EXPECT_EQ(task["horizon_steps"], 30);
  EXPECT_NEAR(task["horizon_seconds"], 1.5, 1e-12);
  EXPECT_EQ(task["model_kind"], "ensemble");
  EXPECT_EQ(task["learned"], nullptr);
  EXPECT_THAT(Files(), ElementsAre("seven.toml"));
}

TEST_F(ShowCommand, BeginsWhereAPlanOfThatSeedBegins) {
  WriteTask();
  const Json task = Show({"seven.toml", "--seed", "4"});
  ASSERT_EQ(RunProgram({"plan", "seven.toml", "--planner", "random_shooting", "--seed", "4",
                        "--set", "planner.random_shooting.horizon=2", "--out", "plan"})
                .exit_code,
            0);
  std::string first = FileText(work() / "plan/trajectory.csv");
  first = first.substr(first.find('\n') + 1);
  first = first.substr(0, first.find('\n'));
  const auto angle = task["observation"][0]["first"].get<double>();
  first = first.substr(first.find(',') + 1);  // behind the time
  EXPECT_NEAR(std::stod(first), angle, 1e-11) << "twelve digits of the plan's table";
  EXPECT_NE(angle, Show({"seven.toml", "--seed", "5"})["observation"][0]["first"]);
}

TEST_F(ShowCommand, SaysWhatMayStandAtEveryOption) {
  WriteTask();
  const Json task = Show({"seven.toml", "--planner", "icem", "--all"});
  const Json horizon = OptionOf(task, "planner.icem.horizon");
  EXPECT_EQ(horizon["value"], 30);
  EXPECT_EQ(horizon["low"], 1.0);
  EXPECT_EQ(horizon["high"], 10000.0);
  EXPECT_EQ(horizon["expected"], "an integer in [1, 10000]");
  EXPECT_EQ(horizon["help"], "steps imagined");
  EXPECT_THAT(OptionOf(task, "planner.icem.execute")["choices"], ElementsAre("mean", "best"));
  EXPECT_EQ(OptionOf(task, "constants.best")["value"], 7.0);
  // What another choice would bring.
  EXPECT_EQ(OptionOf(task, "planner.mppi.lambda", "other_options")["low"].is_number(), true);
  EXPECT_EQ(OptionOf(task, "policy_backprop.training.horizon", "other_options")["high"], 1e6);
  EXPECT_EQ(OptionOf(task, "calibration.holdout", "other_options")["value"], 0.2);
  const Json mppi = Show({"seven.toml", "--planner", "mppi"});
  EXPECT_EQ(OptionOf(mppi, "planner.mppi.horizon")["value"].is_number(), true);
  EXPECT_FALSE(mppi.contains("other_options"));
}

TEST_F(ShowCommand, IsReadable) {
  WriteTask();
  const ProgramResult result = RunProgram({"show", "seven.toml"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* line : {"step            0.05 s\n", "episode         200 steps, 10 s\n",
                           "reward          best - 1000 * sum(square(u))\n", "best = 7.0\n",
                           "first reward    7 without action\n", "planner         icem\n",
                           "horizon         30 steps, 1.5 s\n", "model           ensemble\n",
                           "an integer in [1, 10000]; steps imagined\n", "one of mean, best; "}) {
    EXPECT_THAT(result.out, HasSubstr(line));
  }
  EXPECT_THAT(result.out, HasSubstr("-2 ... 2\n"));
}

TEST_F(ShowCommand, TakesTheFolderOfARun) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "2", "--out", "run"})).exit_code, 0);
  const Json run = Show({"run"});
  EXPECT_EQ(run["task"], "cartpole_closed_form");
  EXPECT_EQ(run["horizon_steps"], 8);
  EXPECT_EQ(run["episode_length"], 30);
  EXPECT_EQ(run["learned"], "run");
}

TEST_F(ShowCommand, SaysWhatIsWrong) {
  const ProgramResult result = RunProgram({"show", "pendulm"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("did you mean 'pendulum'?"));
}

// --- --print-config -----------------------------------------------------------------------------

using PrintConfig = ShowCommand;

TEST_F(PrintConfig, IsATaskFileThatSaysTheSameAgain) {
  const std::vector<std::string> flags = {
      "--planner",     "mppi", "--seed",        "4", "--set", "reward=-square(theta_dot)",
      "--deadline-ms", "3",    "--print-config"};
  const ProgramResult first = RunProgram(Concatenated({"run", "pendulum"}, flags));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(Files(), IsEmpty());
  EXPECT_THAT(first.out, HasSubstr("planner = \"mppi\""));
  EXPECT_THAT(first.out, HasSubstr("seed = 4"));
  EXPECT_THAT(first.out, HasSubstr("reward = \"-square(theta_dot)\""));
  EXPECT_THAT(first.out, HasSubstr("deadline_ms = 3.0"));
  WriteText("again.toml", first.out);
  const ProgramResult second = RunProgram({"run", "again.toml", "--print-config"});
  EXPECT_EQ(second.out, first.out) << second.err;
  EXPECT_THAT(Files(), ElementsAre("again.toml"));
}

TEST_F(PrintConfig, RunsAsWhatItWasPrintedOf) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "2", "--out", "run"})).exit_code, 0);
  WriteText("printed.toml", RunProgram(TinyRun({"--episodes", "2", "--print-config"})).out);
  const ProgramResult again = RunProgram({"run", "printed.toml", "--out", "again"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(FileText(work() / "again/episodes.csv"), FileText(work() / "run/episodes.csv"));
  EXPECT_EQ(FileText(work() / "again/config.toml"), FileText(work() / "run/config.toml"));
}

TEST_F(PrintConfig, IsWhatEveryCommandWouldWorkWith) {
  WriteText(
      "log.csv",
      "cos_theta,sin_theta,theta_dot,torque\n1,0,0,0\n1,0.1,0.2,0.1\n1,0.2,0.3,0\n1,0.1,0,0.2\n");
  const std::vector<std::string> shared = {"--set", "planner.icem.horizon=7", "--print-config"};
  for (const std::vector<std::string>& command : {std::vector<std::string>{"eval", "pendulum"},
                                                  {"tune", "pendulum"},
                                                  {"fit", "log.csv", "--task", "pendulum"}}) {
    SCOPED_TRACE(command.front());
    const ProgramResult result = RunProgram(Concatenated(command, shared));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr("horizon = 7"));
    WriteText("printed.toml", result.out);
    EXPECT_EQ(RunProgram({"show", "printed.toml"}).exit_code, 0);
    fs::remove(work() / "printed.toml");
    EXPECT_THAT(Files(), ElementsAre("log.csv"));
  }
}

// --- horizons, deadlines, versions --------------------------------------------------------------

TEST_F(ShowCommand, ARunSaysHowFarItPlansInSeconds) {
  const ProgramResult result = RunProgram(
      TinyRun({"--episodes", "1", "--set", "planner.horizon_seconds=0.4", "--out", "run"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\nplanner icem: horizon of 10 steps, 0.4 s of an "
                                    "episode of 1.2 s\n"));
  const std::string config = FileText(work() / "run/config.toml");
  EXPECT_THAT(config, HasSubstr("[planner]\nhorizon_seconds = 0.4  #"));
  EXPECT_THAT(config, Not(HasSubstr("\nhorizon = 10")));
  // The folder says the same to whoever reads it, and another period keeps the seconds.
  EXPECT_EQ(Show({"run"})["horizon_steps"], 10);
  EXPECT_EQ(Show({"run", "--set", "system.timestep=0.01"})["horizon_seconds"], 0.4);
}

TEST_F(ShowCommand, TheTrueModelKeepsADeadline) {
  // Without it a decision imagines 10^8 steps, which takes seconds.
  const ProgramResult result =
      RunProgram({"eval", "pendulum", "--controller", "true_model", "--episodes", "1", "--set",
                  "episode_length=2", "--set", "planner.icem.population=200000", "--set",
                  "planner.icem.iterations=50", "--set", "planner.icem.decay=1", "--deadline-ms",
                  "2", "--threads", "1", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_LT(Json::parse(result.out)["rows"][0]["ms_per_decision"].get<double>(), 500);
}

TEST_F(ShowCommand, VersionsAreThoseOfEveryDocument) {
  const ProgramResult text = RunProgram({"--version"});
  EXPECT_THAT(text.out, HasSubstr("git_revision"));
  EXPECT_THAT(text.out, HasSubstr("instruction_set"));
  const ProgramResult json = RunProgram({"--version", "--json"});
  ASSERT_EQ(json.exit_code, 0) << json.err;
  EXPECT_EQ(Json::parse(json.out), Show({"pendulum"})["versions"]);
  EXPECT_EQ(RunProgram({"--json", "--version"}).out, json.out);
  EXPECT_EQ(RunProgram({"--json", "list"}).exit_code, 2);
}

}  // namespace
}  // namespace foreplan::apps
