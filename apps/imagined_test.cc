// Without a simulator: a log, its model, and what is imagined in it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "apps/program_testing.h"
#include "foreplan/core/random.h"
#include "foreplan/core/testing/source_dir.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A sled that is pushed along a rail with friction, 0.05 s per step, `episodes` of 30 steps with
/// noise on every step; pushes within 2 N.
std::string SledLog(int episodes, uint64_t seed = 1, const char* clock = "time [s],") {
  Random random(Key{seed, 0});
  std::string csv = fmt::format("episode,{}x [m],v [m/s],push [N]\n", clock);
  const bool has_clock = *clock != '\0';
  for (int episode = 0; episode < episodes; ++episode) {
    double x = random.Uniform(-0.5, 0.5);
    double v = random.Uniform(-0.3, 0.3);
    double push = 0;
    for (int t = 0; t <= 30; ++t) {
      if (t % 5 == 0) push = random.Uniform(-2, 2);
      csv += fmt::format("{},{}{},{},{}\n", episode,
                         has_clock ? fmt::format("{:.2f},", 0.05 * t) : "", x, v, push);
      v += 0.05 * (push - 0.8 * v) + 1e-3 * random.Normal();
      x += 0.05 * v;
    }
  }
  return csv;
}

const std::vector<std::string> kSmall = {
    "--set", "model.width=24",    "--set", "model.hidden_layers=1",
    "--set", "model.members=3",   "--set", "fit.min_steps=400",
    "--set", "fit.max_steps=400", "--set", "calibration.horizon=5"};
const std::vector<std::string> kWanted = {"--set", "reward=-(x - 0.2)^2 - 0.01 * push^2", "--set",
                                          "episode_length=20"};
const std::vector<std::string> kQuickIlqr = {"--planner", "ilqr", "--set",
                                             "planner.ilqr.horizon=20"};
const std::vector<std::string> kQuickIcem = {"--planner", "icem",
                                             "--set",     "planner.icem.horizon=6",
                                             "--set",     "planner.icem.population=16",
                                             "--set",     "planner.icem.elites=4",
                                             "--set",     "planner.icem.iterations=2"};

class Imagined : public ProgramTest {
 protected:
  void FitSled(const std::string& out = "fit", uint64_t seed = 1) const {
    WriteText("sled.csv", SledLog(20, seed));
    const ProgramResult result =
        RunProgram(Concatenated({"fit", "sled.csv", "--action", "push", "--out", out}, kSmall));
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  void WriteTask(const std::string& system) const {
    WriteText("sled.toml",
              "name = \"sled\"\nreward = \"-(x - 0.2)^2 - 0.01 * push^2\"\n"
              "episode_length = 20\n[system]\ntype = \"learned\"\n" +
                  system);
  }
};

TEST_F(Imagined, AModelAloneIsPlannedInAndSaysSo) {
  FitSled();
  const nlohmann::json plan = Answer(
      Concatenated({"plan", "--model", "fit", "--out", "plan"}, Concatenated(kWanted, kQuickIlqr)));
  EXPECT_EQ(plan["imagined"], true);
  EXPECT_EQ(plan["steps"], 20);
  // It is executed in the mean of the model that planned it.
  EXPECT_NEAR(plan["return"].get<double>(), plan["expected_return"].get<double>(), 1e-6);
  EXPECT_THAT(FileText(work() / "plan/trajectory.csv"), testing::StartsWith("time,x,v,push,"));
  const ProgramResult text = RunProgram(
      Concatenated({"plan", "fit", "--out", "again"}, Concatenated(kWanted, kQuickIlqr)));
  EXPECT_THAT(text.out, HasSubstr("; imagined: the system is a learned model"));
  EXPECT_EQ(FileText(work() / "again/trajectory.csv"), FileText(work() / "plan/trajectory.csv"));
  // Pushes stay within what was tried, starts are those of the data.
  std::istringstream rows(FileText(work() / "plan/trajectory.csv"));
  std::string row;
  std::getline(rows, row);
  std::getline(rows, row);
  const std::string x = row.substr(row.find(',') + 1, row.find(',', row.find(',') + 1) - 2);
  EXPECT_THAT(FileText(work() / "sled.csv"), HasSubstr(",0.00," + x.substr(0, 8)));
}

TEST_F(Imagined, ATaskFileNamesAModelInThePlaceOfASystem) {
  FitSled();
  WriteTask("model = \"fit\"\n");
  const auto eval = [this](const std::vector<std::string>& more) {
    return Answer(
        Concatenated({"eval", "sled.toml", "--episodes", "3"}, Concatenated(kQuickIcem, more)));
  };
  const nlohmann::json planned = eval({});
  EXPECT_EQ(planned["imagined"], true);
  EXPECT_EQ(planned["rows"][0]["controller"], "true_model");
  const nlohmann::json idle = eval({"--controller", "zero"});
  EXPECT_GT(planned["rows"][0]["mean"], idle["rows"][0]["mean"]);
  EXPECT_EQ(idle["rows"][0]["episode_returns"],
            eval({"--controller", "zero"})["rows"][0]["episode_returns"]);
  const ProgramResult text =
      RunProgram({"eval", "sled.toml", "--controller", "zero", "--episodes", "3"});
  EXPECT_THAT(text.out, HasSubstr("sled: 3 imagined episodes"));
  // A simulator's are not.
  EXPECT_EQ(Answer({"eval", "pendulum", "--controller", "zero", "--episodes", "1"})["imagined"],
            false);
  const nlohmann::json tuned = Answer(Concatenated(
      {"tune", "sled.toml", "--budget", "4", "--check", "1", "--out", "out/tuned.toml"},
      kQuickIcem));
  EXPECT_EQ(tuned["imagined"], true);
  // What it wrote has its model beside it, without the folder of the fit.
  fs::remove_all(work() / "fit");
  EXPECT_EQ(Answer({"eval", "out/tuned.toml", "--controller", "zero", "--episodes",
                    "3"})["rows"][0]["episode_returns"],
            idle["rows"][0]["episode_returns"]);
}

TEST_F(Imagined, StepsAreTheMeanOrAreDrawnAsTheTaskSays) {
  FitSled();
  WriteTask("model = \"fit/model/model.safetensors\"\n");
  const auto returns = [this](const std::string& sample) {
    return Answer({"eval", "sled.toml", "--controller", "zero", "--episodes", "4", "--set",
                   "system.sample=" + sample})["rows"][0]["episode_returns"];
  };
  EXPECT_EQ(returns("true"), returns("true"));
  EXPECT_NE(returns("true"), returns("false"));
}

TEST_F(Imagined, ARunLearnsAPolicyThatItsFolderKeeps) {
  FitSled();
  const nlohmann::json run = Answer(
      Concatenated({"run", "--model", "fit", "--algorithm", "policy_backprop", "--episodes", "1",
                    "--out", "policy", "--set", "policy_backprop.true_model=true", "--set",
                    "policy_backprop.training.steps=20", "--set",
                    "policy_backprop.training.starts=4", "--set", "policy_backprop.policy.width=8"},
                   kWanted));
  EXPECT_EQ(run["imagined"], true);
  EXPECT_EQ(Answer({"compare", "policy"})["groups"][0]["imagined"], true);
  fs::remove_all(work() / "fit");  // the run has its own copy of what acts
  const nlohmann::json eval = Answer({"export", "policy", "--data", "csv"});
  EXPECT_EQ(eval["observation"], nlohmann::json({"x", "v"}));
  EXPECT_NE(FileText(work() / "policy/model/model.safetensors").find("policy.parameters"),
            std::string::npos);
}

TEST_F(Imagined, WhatIsMissingIsSaidInOneLine) {
  FitSled();
  EXPECT_THAT(Refusal({"plan"}), HasSubstr("found neither a task nor --model"));
  EXPECT_THAT(Refusal({"plan", "--model", "fit"}), HasSubstr("fit: found no key 'reward'"));
  EXPECT_THAT(Refusal({"plan", "fit"}), HasSubstr("--set reward=..."));
  EXPECT_THAT(Refusal({"plan", "fit", "--set", "reward=-x^2"}),
              HasSubstr("fit: found no key 'episode_length'"));
  EXPECT_THAT(Refusal({"eval", "fit", "--set", "reward=-y^2", "--set", "episode_length=5"}),
              HasSubstr("'y'"));
  WriteTask("");
  EXPECT_THAT(Refusal({"eval", "sled.toml"}), HasSubstr("found no key 'system.model'"));
  WriteTask("model = \"nowhere\"\n");
  EXPECT_THAT(Refusal({"eval", "sled.toml"}), HasSubstr("nowhere: found no such folder"));
  // A log without a clock does not say how long a step takes; the task may.
  WriteText("bare.csv", SledLog(4, 2, ""));
  ASSERT_EQ(
      RunProgram(Concatenated({"fit", "bare.csv", "--action", "push", "--out", "bare"}, kSmall))
          .exit_code,
      0);
  WriteTask("model = \"bare\"\n");
  const std::vector<std::string> idle = {"eval", "sled.toml",  "--controller",
                                         "zero", "--episodes", "1"};
  EXPECT_THAT(Refusal(idle), HasSubstr("expected system.dt [s]"));
  WriteTask("model = \"bare\"\ndt = 0.05\n");
  EXPECT_EQ(Answer(idle)["imagined"], true);
  EXPECT_THAT(Refusal(Concatenated(idle, {"--set", "action_repeat=2"})),
              HasSubstr("found a learned system with actions that are repeated"));
}

TEST_F(Imagined, PredictionsAreJudgedByComponentAndHorizon) {
  FitSled();
  WriteText("other.csv", SledLog(5, 9));
  const nlohmann::json answer =
      Answer({"predict", "fit", "other.csv", "--horizons", "5,1,20", "--out", "predicted.csv"});
  ASSERT_EQ(answer["horizons"].size(), 3U);
  EXPECT_EQ(answer["transitions"], 150);
  const std::vector<int> starts = {150, 5 * 26, 5 * 11};
  for (size_t i = 0; i < starts.size(); ++i) {
    const nlohmann::json& horizon = answer["horizons"][i];
    EXPECT_EQ(horizon["starts"], starts[i]);
    for (const char* name : {"x", "v"}) {
      EXPECT_LT(horizon["rmse"][name], 0.3 * horizon["unchanged_rmse"][name].get<double>());
    }
  }
  // One step ahead by hand from the table: the same error.
  std::istringstream rows(FileText(work() / "predicted.csv"));
  std::string row;
  std::getline(rows, row);
  EXPECT_EQ(row,
            "episode,step,x [m],x_mean [m],x_deviation [m],v [m/s],v_mean [m/s],v_deviation [m/s]");
  double squares = 0;
  int count = 0;
  while (std::getline(rows, row)) {
    std::vector<double> cells;
    std::istringstream line(row);
    for (std::string cell; std::getline(line, cell, ',');) cells.push_back(std::stod(cell));
    ASSERT_EQ(cells.size(), 8U);
    EXPECT_GT(cells[4], 0);
    squares += (cells[5] - cells[6]) * (cells[5] - cells[6]);
    ++count;
  }
  EXPECT_EQ(count, 150);
  EXPECT_NEAR(std::sqrt(squares / count), answer["horizons"][0]["rmse"]["v"].get<double>(), 1e-7);
  // Its file alone predicts the same.
  EXPECT_EQ(Answer({"predict", "fit/model/model.safetensors", "other.csv"})["horizons"][0]["rmse"],
            answer["horizons"][0]["rmse"]);
  EXPECT_THAT(Refusal({"predict", "fit", "other.csv", "--out", "predicted.csv"}),
              HasSubstr("exists already"));
}

TEST_F(Imagined, DataOfAnotherSystemAreRefusedByTheirFirstDifference) {
  FitSled();
  WriteText("other.csv", "time,y,v,push\n0,0,0,1\n0.05,0,0,1\n0.1,0,0,1\n");
  EXPECT_THAT(Refusal({"predict", "fit", "other.csv"}), HasSubstr("'x'"));
  WriteText("slow.csv", "time,x,v,push\n0,0,0,1\n0.5,0,0,1\n1,0,0,1\n");
  EXPECT_THAT(Refusal({"predict", "fit", "slow.csv"}), HasSubstr("0.05"));
  ASSERT_EQ(RunProgram({"run", "pendulum", "--episodes", "1", "--out", "run", "--set",
                        "episode_length=5", "--no-record"})
                .exit_code,
            0);
  EXPECT_THAT(Refusal({"predict", "fit", "run"}), HasSubstr("2 components of the observation"));
}

std::vector<std::string> BlocksOfPage(const std::string& page, const std::string& language) {
  return BlocksOf(FileText(fs::path(FOREPLAN_SOURCE_DIR) / "docs" / page), language);
}

/// The commands of docs/first_log.md, as they stand there, in an empty folder.
TEST_F(Imagined, FromALogToAPlanAndAPolicyByThePageAsItStands) {
  const std::vector<std::string> blocks = BlocksOfPage("first_log.md", "sh");
  ASSERT_EQ(blocks.size(), 6U);
  std::string script = "set -e\nforeplan() { \"" FOREPLAN_PROGRAM
                       "\" \"$@\"; }\n"
                       "python3() { \"" FOREPLAN_PYTHON "\" \"$@\"; }\n";
  for (const std::string& block : blocks) script += block;
  WriteText("page.sh", script);
  const ProgramResult result =
      Wait(StartOther("/usr/bin/env", {"bash", "page.sh"}, "_page"), "_page");
  ASSERT_EQ(result.exit_code, 0) << result.err << result.out;
  EXPECT_THAT(result.out, HasSubstr("imagined: the system is a learned model"));
  const auto begins = [this](const std::string& file, const std::string& text) {
    return FileText(work() / file).starts_with(text);
  };
  EXPECT_TRUE(begins("predicted.csv", "episode,step,x,x_mean,x_deviation,v [m/s],v_mean [m/s],"));
  EXPECT_TRUE(begins("plan/trajectory.csv", "time,x,v,push,"));
  EXPECT_NE(FileText(work() / "policy/model/model.safetensors").find("policy.parameters"),
            std::string::npos);
}

/// The NumPy of docs/model_files.md, as it stands there, says what foreplan does.
TEST_F(Imagined, AModelsFileIsReadAsItsPageSays) {
  const std::vector<std::string> blocks = BlocksOfPage("model_files.md", "python");
  ASSERT_FALSE(blocks.empty());
  for (const char* settings : {"model.probabilistic=true", "model.probabilistic=false"}) {
    SCOPED_TRACE(settings);
    fs::remove_all(work() / "fit");
    fs::remove(work() / "predicted.csv");
    WriteText("sled.csv", SledLog(20));
    ASSERT_EQ(RunProgram(Concatenated({"fit", "sled.csv", "--action", "push", "--out", "fit",
                                       "--set", settings, "--set", "encoding.sin_cos=['x']",
                                       "--set", "encoding.absolute=['v']"},
                                      kSmall))
                  .exit_code,
              0);
    ASSERT_EQ(RunProgram({"predict", "fit", "sled.csv", "--out", "predicted.csv"}).exit_code, 0);
    WriteText("page.py", blocks.front() + R"(
import csv
log = [row for row in csv.DictReader(open("sled.csv"))]
said = [row for row in csv.DictReader(open("predicted.csv"))]
largest, compared = 0, 0
starts = [i for i in range(len(log) - 1) if log[i]["episode"] == log[i + 1]["episode"]]
assert len(starts) == len(said) == 600
for i, row in zip(starts, said):
    mean, deviation = predict(np.array([float(log[i]["x [m]"]), float(log[i]["v [m/s]"])]),
                              np.array([float(log[i]["push [N]"])]))
    theirs = [float(row["x_mean [m]"]), float(row["v_mean [m/s]"]),
              float(row["x_deviation [m]"]), float(row["v_deviation [m/s]"])]
    largest = max(largest, np.abs(np.concatenate([mean, deviation]) - theirs).max())
print(largest)
assert largest < 1e-6
)");
    const ProgramResult result = Wait(StartOther(FOREPLAN_PYTHON, {"page.py"}, "_page"), "_page");
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  }
}

}  // namespace
}  // namespace foreplan::apps
