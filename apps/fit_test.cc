// The command fit: from a log to a judged model, and what can be done with it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/program_testing.h"
#include "foreplan/core/random.h"
#include "foreplan/systems/testing/cartpole_excitation.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;

constexpr const char* kTask = "cartpole_closed_form";

/// A log of a cart-pole whose pole is a point mass, with noise of 1e-3 on every step; it drives
/// back and forth as the rail allows.
std::string Log(int episodes, int steps) {
  CartPole system(PointMassPole());
  Random random(Key{4, 7});
  std::string csv = "episode,time,slider,hinge,slider_velocity,hinge_velocity,slide\n";
  for (int episode = 0; episode < episodes; ++episode) {
    std::vector<double> state = {0, 0.1 * episode, 0, 0};
    for (int t = 0; t < steps; ++t) {
      const double action = SlidingAction(t, state, random);
      csv += fmt::format("{},{:.6f},{},{},{},{},{}\n", episode, 0.04 * t, state[0], state[1],
                         state[2], state[3], action);
      system.SetState(state);
      EXPECT_EQ(system.Step(std::vector<double>{action}), StepStatus::kOk);
      system.GetState(state);
      for (double& entry : state) entry += 1e-3 * random.Normal();
    }
  }
  return csv;
}

const std::vector<std::string> kSmall = {
    "--set", "model.width=24",   "--set", "model.members=2",      "--set", "fit.min_steps=60",
    "--set", "fit.max_steps=60", "--set", "calibration.horizon=6"};

class FitCommand : public ProgramTest {
 protected:
  [[nodiscard]] nlohmann::json Fit(const std::vector<std::string>& more) const {
    const ProgramResult result =
        RunProgram(Concatenated({"fit", "log.csv", "--json", "--out", "fit"}, more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? nlohmann::json::parse(result.out) : nlohmann::json();
  }
};

TEST_F(FitCommand, JudgesAnEnsembleAndWritesAFolderThatOthersUse) {
  WriteText("log.csv", Log(6, 40));
  const auto answer = Fit(Concatenated(kSmall, {"--task", kTask}));
  EXPECT_EQ(answer["transitions"], 6 * 39);
  EXPECT_EQ(answer["holdout_rows"], 39);  // the fifth of six
  EXPECT_EQ(answer["horizons"].size(), 6U);
  EXPECT_TRUE(answer["horizons"][0]["components"].contains("hinge_velocity"));
  EXPECT_EQ(answer["members"].size(), 2U);
  for (const char* file : {"fit/config.toml", "fit/machine.json", "fit/calibration.csv",
                           "fit/calibration.json", "fit/report.html", "fit/model/model.safetensors",
                           "fit/data/transitions-000000000000.safetensors"}) {
    EXPECT_TRUE(fs::exists(work() / file)) << file;
  }
  const std::string page = FileText(work() / "fit/report.html");
  EXPECT_THAT(page, HasSubstr("hinge_velocity"));
  EXPECT_THAT(page, testing::Not(HasSubstr("{{")));

  const std::vector<std::string> quick = {
      "--set", "planner.icem.horizon=6",    "--set", "planner.icem.population=16",
      "--set", "planner.icem.iterations=2", "--set", "episode_length=10"};
  const ProgramResult plan = RunProgram(
      Concatenated({"plan", kTask, "--model", "fit", "--planner", "icem", "--json"}, quick));
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  const ProgramResult eval =
      RunProgram(Concatenated({"eval", "fit", "--episodes", "1", "--json"}, quick));
  EXPECT_EQ(eval.exit_code, 0) << eval.err;
  // The run takes the model's kind and sizes from the fit, and plans from its first step on.
  const ProgramResult run = RunProgram(Concatenated(
      {"run", kTask, "--model", "fit", "--episodes", "1", "--out", "run", "--json"}, quick));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(FileText(work() / "run/config.toml"), HasSubstr("width = 24"));
  EXPECT_THAT(FileText(work() / "run/episodes.csv"), HasSubstr("mpc"));
  EXPECT_THAT(FileText(work() / "run/episodes.csv"), testing::Not(HasSubstr("uniform")));
}

TEST_F(FitCommand, IsPlannedOnByItsFolder) {
  WriteText("log.csv", Log(3, 30));
  static_cast<void>(Fit(Concatenated(kSmall, {"--task", kTask})));
  const std::vector<std::string> quick = {"--planner", "ilqr", "--set", "planner.ilqr.horizon=4"};
  const ProgramResult by_folder =
      RunProgram(Concatenated({"plan", "fit", "--out", "folder"}, quick));
  const ProgramResult by_flag =
      RunProgram(Concatenated({"plan", kTask, "--model", "fit", "--out", "flag"}, quick));
  ASSERT_EQ(by_folder.exit_code, 0) << by_folder.err;
  ASSERT_EQ(by_flag.exit_code, 0) << by_flag.err;
  EXPECT_EQ(FileText(work() / "folder/trajectory.csv"), FileText(work() / "flag/trajectory.csv"));
}

TEST_F(FitCommand, AFitWithoutATaskSaysWhatIsMissing) {
  WriteText("log.csv", Log(1, 60));
  static_cast<void>(Fit(Concatenated(kSmall, {"--action", "slide"})));
  for (const char* command : {"eval", "plan", "tune"}) {
    const ProgramResult result = RunProgram({command, "fit"});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr("fit: found a fit without a task, expected a task and "
                                      "--model fit"));
  }
}

TEST_F(FitCommand, ItsFolderKeepsHowTheLogWasRead) {
  std::string log = Log(3, 30);
  log.replace(log.find("time"), 4, "stamp");
  WriteText("log.csv", log);
  const std::vector<std::string> flags = {
      "--action", "slide",    "--rename", "time=stamp",  "--scale", "slider=0.5", "--degrees",
      "hinge",    "--period", "0.08",     "--time-unit", "s",       "--gap",      "0.5"};
  static_cast<void>(Fit(Concatenated(kSmall, flags)));
  const std::string config = FileText(work() / "fit/config.toml");
  for (const char* line :
       {"rename = [\"time=stamp\"]", "scale = [\"slider=0.5\"]", "degrees = [\"hinge\"]",
        "time_unit = \"s\"", "period = 0.08", "gap = 0.5"}) {
    EXPECT_THAT(config, HasSubstr(line));
  }
  // Said by the section instead, it is read the same.
  const std::vector<std::string> section = {
      "--set", "log.rename=['time=stamp']", "--set", "log.scale=['slider=0.5']",
      "--set", "log.degrees=['hinge']",     "--set", "log.period=0.08",
      "--set", "log.time_unit=s",           "--set", "log.gap=0.5"};
  const ProgramResult again = RunProgram(Concatenated(
      {"fit", "log.csv", "--action", "slide", "--out", "again"}, Concatenated(kSmall, section)));
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(FileText(work() / "fit/model/model.safetensors"),
            FileText(work() / "again/model/model.safetensors"));
  EXPECT_EQ(config, FileText(work() / "again/config.toml"));
}

TEST_F(FitCommand, DataThatALoopBeginsWithAreReadBySectionLog) {
  std::string log = Log(2, 30);
  log.replace(log.find("slider,"), 7, "s,");
  WriteText("log.csv", log);
  const std::vector<std::string> run = TinyRun(
      {"--algorithm", "fit_then_plan", "--episodes", "1", "--set", "fit_then_plan.data=log.csv",
       "--set", "fit_then_plan.base_episodes=0", "--set", "fit_then_plan.horizon=3"});
  const ProgramResult refused = RunProgram(Concatenated(run, {"--out", "refused"}));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("'slider'"));
  const ProgramResult result =
      RunProgram(Concatenated(run, {"--out", "run", "--set", "log.rename=['slider=s']"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(FileText(work() / "run/config.toml"), HasSubstr("rename = [\"slider=s\"]"));
}

TEST_F(FitCommand, NeedsNoTask) {
  WriteText("log.csv", Log(1, 60));
  const auto answer =
      Fit(Concatenated(kSmall, {"--action", "slide", "--set", "encoding.sin_cos=['hinge']"}));
  EXPECT_TRUE(answer["task"].is_null());
  EXPECT_EQ(answer["episodes"], 1);
  EXPECT_THAT(answer["held_out"].get<std::string>(), HasSubstr("of the only episode"));
  EXPECT_EQ(answer["horizons"][0]["components"].size(), 4U);
}

TEST_F(FitCommand, SaysWhatIsConstantAndTakesFewRows) {
  std::string csv = "x,still,u\n";
  for (int row = 0; row < 12; ++row) csv += fmt::format("{},7,{}\n", std::sin(row), row % 3);
  WriteText("log.csv", csv);
  const auto answer = Fit(kSmall);
  EXPECT_EQ(answer["transitions"], 11);
  EXPECT_EQ(answer["constant"], nlohmann::json({"still"}));
  EXPECT_EQ(answer["horizons"].size(), 2U);  // the last two of eleven rows: a fifth

  for (const char* rows : {"1,1,1\n", "1,1,1\n2,1,0\n"}) {  // no transition; one
    WriteText("few.csv", std::string("x,y,u\n") + rows);
    const ProgramResult few = RunProgram({"fit", "few.csv", "--out", "few"});
    EXPECT_EQ(few.exit_code, 2);
    EXPECT_THAT(few.err, HasSubstr("expected"));
    EXPECT_FALSE(fs::exists(work() / "few"));
  }
}

TEST_F(FitCommand, UnitsDoNotMatterAndWhatKeepsItsPaceIsNotCalledConstant) {
  // A cart under random forces, all lengths in m and in micrometres; a belt that moves on by
  // itself.
  std::vector<double> errors;
  for (const double unit : {1.0, 1e-6}) {
    std::string csv = "x,v,belt,still,u\n";
    Random random(Key{4, 8});
    double x = 0;
    double v = 0;
    for (int row = 0; row < 200; ++row) {
      const double u = random.Normal();
      csv += fmt::format("{:.17g},{:.17g},{:.6f},7,{:.17g}\n", unit * x, unit * v, 0.02 * row,
                         unit * u);
      x += 0.1 * v;
      v = 0.9 * v + 0.1 * u;
    }
    WriteText("log.csv", csv);
    fs::remove_all(work() / "fit");
    const auto answer =
        Fit(Concatenated(kSmall, {"--set", "fit.min_steps=300", "--set", "fit.max_steps=300"}));
    EXPECT_EQ(answer["constant"], nlohmann::json({"still"}));
    ASSERT_EQ(answer["constant_change"].size(), 1U);
    EXPECT_NEAR(answer["constant_change"]["belt"].get<double>(), 0.02, 1e-12);
    const auto& components = answer["horizons"][0]["components"];
    EXPECT_NEAR(components["belt"]["rmse"].get<double>(), 0, 1e-12);
    for (const char* name : {"x", "v"}) {
      errors.push_back(components[name]["rmse"].get<double>() /
                       components[name]["rmse_unchanged"].get<double>());
    }
  }
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_LT(errors[i], 0.7);  // far from trained, but from "unchanged" as well
    EXPECT_NEAR(errors[i + 2], errors[i], 0.1 * errors[i]);  // numbers rounded otherwise
  }
  fs::remove_all(work() / "fit");
  const ProgramResult text = RunProgram(Concatenated({"fit", "log.csv", "--out", "fit"}, kSmall));
  EXPECT_THAT(text.out, HasSubstr("constant in the data, predicted to stay: still\n"));
  EXPECT_THAT(text.out, HasSubstr("the same change in every step of the data, and so predicted: "
                                  "belt (0.02)\n"));
}

TEST_F(FitCommand, ReadsLogsAsTheyAreAndSaysTheirPeriod) {
  // Two runs of a pendulum in twice as many rows as are wanted, as a spreadsheet has them.
  std::string rows;
  for (int run = 0; run < 2; ++run) {
    for (int t = 0; t < 60; ++t) {
      rows += fmt::format("{};{:.3f};{:.3f};{:.3f}\n", 20 * t, 60 * std::sin(0.1 * t + run),
                          std::cos(0.1 * t), std::sin(0.5 * t));
    }
  }
  std::ranges::replace(rows, '.', ',');
  WriteText("log.csv", "# by hand\nstamp [ms];angle [deg];speed [rad/s];torque [N m]\n" + rows);
  const std::vector<std::string> how = {"--rename",  "time=stamp", "--action", "torque",
                                        "--degrees", "angle",      "--period", "0.04"};
  const auto answer = Fit(Concatenated(kSmall, how));
  EXPECT_EQ(answer["period"], 0.04);
  EXPECT_EQ(answer["episodes"], 2);
  EXPECT_EQ(answer["transitions"], 2 * 29);
  EXPECT_LT(answer["scale"]["angle"].get<double>(), 1);  // radians
  ASSERT_EQ(answer["notes"].size(), 2U) << answer["notes"];
  EXPECT_THAT(answer["notes"][0].get<std::string>(), HasSubstr("where 'time' falls"));
  EXPECT_THAT(answer["notes"][1].get<std::string>(), HasSubstr("every 2. row was taken"));
  fs::remove_all(work() / "fit");
  const ProgramResult text =
      RunProgram(Concatenated(Concatenated({"fit", "log.csv", "--out", "fit"}, kSmall), how));
  EXPECT_THAT(text.out, HasSubstr("period: 0.04 s (25 Hz)\n"));
  EXPECT_THAT(text.out, HasSubstr("angle [rad]"));
  EXPECT_THAT(text.out, HasSubstr("speed [rad/s]"));
}

TEST_F(FitCommand, ThreadsChangeNoBit) {
  WriteText("log.csv", Log(2, 40));
  for (const char* threads : {"1", "2"}) {
    const ProgramResult result = RunProgram(Concatenated(
        {"fit", "log.csv", "--task", kTask, "--threads", threads, "--out", threads}, kSmall));
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  EXPECT_EQ(FileText(work() / "1/calibration.csv"), FileText(work() / "2/calibration.csv"));
  EXPECT_EQ(FileText(work() / "1/model/model.safetensors"),
            FileText(work() / "2/model/model.safetensors"));
}

TEST_F(FitCommand, JudgesBeforeItIsFittedToAllRows) {
  WriteText("log.csv", Log(3, 40));
  for (const std::string refit : {"false", "true"}) {
    const ProgramResult result = RunProgram(Concatenated(
        {"fit", "log.csv", "--task", kTask, "--out", refit, "--set", "calibration.refit=" + refit},
        kSmall));
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  EXPECT_EQ(FileText(work() / "false/calibration.csv"), FileText(work() / "true/calibration.csv"));
  EXPECT_NE(FileText(work() / "false/model/model.safetensors"),
            FileText(work() / "true/model/model.safetensors"));
}

const std::vector<std::string> kTied = {
    "--task",
    kTask,
    "--set",
    "model.kind=physics",
    "--set",
    "calibration.refit=true",
    "--set",
    "system.pole_skew=0",
    "--set",
    "model.physics.ties=['pole_inertia = pole_mass * pole_center^2']",
    "--set",
    "model.physics.unknowns=['cart_mass = 5 in [0.5, 100]', 'pole_mass = 2 in [0.2, 50]', "
    "'pole_center = 0.5 in [0.1, 2]', 'cart_damping = 0.1 in [0, 20]', "
    "'hinge_damping = 0.1 in [0, 20]']"};

TEST_F(FitCommand, RecoversTheCartPoleWithATiedInertia) {
  WriteText("log.csv", Log(1, 201));
  const auto answer = Fit(kTied);
  const CartPoleOptions truth;
  const std::vector<double> expected = {truth.cart_mass, truth.pole_mass, truth.pole_center,
                                        truth.cart_damping, truth.hinge_damping};
  EXPECT_TRUE(answer["model"]["not_identifiable"].empty());
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto& row = answer["model"]["parameters"][i];
    EXPECT_NEAR(row["value"], expected[i], 0.02 * expected[i]) << row;  // 1 % root mean square
    EXPECT_NEAR(row["value"], expected[i], 4 * row["standard_error"].get<double>()) << row;
    EXPECT_LT(row["standard_error"], 0.01 * expected[i]) << row;
  }
  // Noise of 1e-3 is known: intervals cover.
  for (const char* name : {"slider", "hinge"}) {
    EXPECT_GT(answer["horizons"][0]["components"][name]["coverage_95"], 0.8) << name;  // 40 rows
  }
}

TEST_F(FitCommand, NamesWhatAFreeInertiaLeavesOpen) {
  WriteText("log.csv", Log(1, 201));
  const auto answer = Fit({"--task", kTask, "--set", "model.kind=physics"});
  const auto& open = answer["model"]["not_identifiable"];
  ASSERT_EQ(open.size(), 1U);
  for (const char* name : {"cart_mass", "pole_mass", "pole_center"}) {
    EXPECT_THAT(open[0].get<std::string>(), HasSubstr(name));
  }
  EXPECT_THAT(open[0].get<std::string>(), testing::Not(HasSubstr("damping")));
  const ProgramResult text =
      RunProgram({"fit", "log.csv", "--task", kTask, "--set", "model.kind=physics"});
  EXPECT_THAT(text.out, HasSubstr("not identifiable: cart_mass"));
}

TEST_F(FitCommand, ResidualModelsAreJudgedAndUsed) {
  WriteText("log.csv", Log(2, 40));
  const auto answer = Fit(Concatenated(kSmall, {"--task", kTask, "--set", "model.kind=residual"}));
  EXPECT_TRUE(answer["fit"].contains("residual.training_loss"));
  const ProgramResult plan =
      RunProgram({"plan", kTask, "--model", "fit", "--set", "planner.ilqr.horizon=8", "--json"});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
}

/// A rotor that turns one way through many turns, each angle within (-pi, pi] or not.
std::string RotorLog(bool wrapped, double unit = 1) {
  Random random(Key{8, 1});
  std::string csv = "episode,rotor,rotor_velocity,action\n";
  for (int episode = 0; episode < 6; ++episode) {
    double angle = 3 * random.Normal();
    double velocity = 3;
    for (int t = 0; t < 60; ++t) {
      const double action = random.Uniform(-1, 1);
      csv +=
          fmt::format("{},{:.9f},{:.9f},{:.9f}\n", episode,
                      unit * (wrapped ? std::remainder(angle, 2 * M_PI) : angle), velocity, action);
      angle += 0.1 * velocity;
      velocity += 0.1 * (action + std::sin(angle));
    }
  }
  return csv;
}

TEST_F(FitCommand, AnglesWithinATurnAreLearnedAsThoseThatGoOn) {
  const std::vector<std::string> declared =
      Concatenated({"--set", "encoding.sin_cos=['rotor']", "--set", "fit.max_steps=1500"}, kSmall);
  WriteText("log.csv", RotorLog(true));
  const auto wrapped = Fit(declared);
  fs::remove_all(work() / "fit");
  WriteText("log.csv", RotorLog(false));
  const auto unwrapped = Fit(declared);
  for (size_t h = 0; h < 6; ++h) {
    for (const char* name : {"rotor", "rotor_velocity"}) {
      const double expected = unwrapped["horizons"][h]["components"][name]["rmse"];
      // Inputs and targets are equal but for the ninth digit that is written.
      EXPECT_NEAR(wrapped["horizons"][h]["components"][name]["rmse"], expected, 0.02 * expected);
    }
  }
  // Small beside a change of 0.3 in a step, and nothing beside a jump of 6.
  EXPECT_LT(wrapped["horizons"][0]["components"]["rotor"]["rmse"], 0.1);
  EXPECT_TRUE(wrapped["notes"].empty());
}

TEST_F(FitCommand, AnglesThatAreNotDeclaredAreNamedWithTheirRow) {
  WriteText("log.csv", RotorLog(true));
  const auto undeclared = Fit(kSmall);
  ASSERT_EQ(undeclared["notes"].size(), 1U);
  EXPECT_THAT(undeclared["notes"][0].get<std::string>(), HasSubstr("rotor jumps by nearly 2 pi"));
  EXPECT_THAT(undeclared["notes"][0].get<std::string>(), HasSubstr("first behind line "));
  WriteText("degrees.csv", RotorLog(true, 180 / M_PI));
  const ProgramResult degrees =
      RunProgram({"fit", "degrees.csv", "--set", "encoding.sin_cos=['rotor']"});
  EXPECT_EQ(degrees.exit_code, 2);
  EXPECT_THAT(degrees.err, HasSubstr("degrees.csv: 'rotor': found jumps by 360"));
  EXPECT_THAT(degrees.err, HasSubstr("expected radians"));
}

TEST_F(FitCommand, RefusesWrongInputInOneLineAndWritesNothing) {
  WriteText("log.csv", Log(1, 30));
  std::string broken = Log(1, 30);
  broken.replace(broken.find(',', broken.find('\n', 200)) + 1, 1, "x");  // a time
  WriteText("broken.csv", broken);
  WriteText("long.csv", std::string(10 * 1024 * 1024, '1'));
  WriteText("cut.npz", "PK\x03\x04");
  WriteText("cut.hdf5", "\x89HDF\r\n\x1a\n");
  fs::create_directory(work() / "folder");
  const std::vector<std::string> before = Files();
  struct Case {
    std::vector<std::string> arguments;
    std::string fragment;
  };
  const std::vector<std::string> task = {"--task", kTask};
  const std::vector<Case> cases = {
      {{"fit"}, "expected FILE"},
      {{"fit", "absent.csv"}, "no such file"},
      {Concatenated({"fit", "broken.csv"}, task), "broken.csv:"},
      {Concatenated({"fit", "long.csv"}, task), "long.csv:1: found a line of 10485760"},
      {Concatenated({"fit", "cut.npz"}, task), "cut.npz: found"},
      {Concatenated({"fit", "cut.hdf5"}, task), "cut.hdf5: found"},
      {{"fit", "log.csv"}, "some with actions"},
      {{"fit", "log.csv", "--action", "slid"}, "unknown column 'slid'"},
      {{"fit", "log.csv", "--task", kTask, "--action", "slide"}, "beside --task"},
      {{"fit", "log.csv", "--task", "pendulum"}, "unknown column"},
      {{"fit", "log.csv", "--action", "slide", "--rename", "x"}, "'x', expected NEW=OLD"},
      {{"fit", "log.csv", "--action", "slide", "--rename", "x=y"}, "unknown column 'y'"},
      {{"fit", "log.csv", "--action", "slide", "--scale", "slide=0"}, "found the factor '0'"},
      {{"fit", "log.csv", "--action", "slide", "--degrees", "slid"}, "unknown component 'slid'"},
      {{"fit", "log.csv", "--action", "slide", "--period", "-1"}, "expected a number"},
      {{"fit", "log.csv", "--task", kTask, "--period", "0.1"}, "0.04 s, the task's period"},
      {{"fit", "log.csv", "--action", "slide", "--set", "model.kind=physics"}, "without a task"},
      {{"fit", "log.csv", "--action", "slide", "--set", "model.widht=3"}, "'model.width'"},
      {{"fit", "log.csv", "--task", kTask, "--set", "calibration.horizn=3"},
       "'calibration.horizon'"},
      {{"fit", "log.csv", "--task", kTask, "--set", "calibration.holdout=0"},
       "calibration.holdout"},
      {{"fit", "log.csv", "--task", kTask, "--out", "folder"}, "exists already"},
      {{"fit", "log.csv", "--task", kTask, "--set", "model.kind=physics", "--set",
        "model.physics.unknowns=['cart_mas = 1 in [0.5, 2]']"},
       "did you mean"},
      {{"run", kTask, "--model", "absent"}, "no such folder"},
      {{"run", kTask, "--model", "folder"}, "'config.toml' is missing"},
      {{"plan", kTask, "--model", "folder"}, "is no fit or run"},
      {{"run", kTask, "--algorithm", "local_models", "--set", "model.kind=physics"}, "ensemble"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(testing::PrintToString(test.arguments));
    const ProgramResult result = RunProgram(test.arguments);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_THAT(result.err, HasSubstr(test.fragment));
    EXPECT_EQ(Files(), before);
  }
}

}  // namespace
}  // namespace foreplan::apps
