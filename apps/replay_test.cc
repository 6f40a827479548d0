// The commands replay and export: what was recorded, played again and given away.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/program_testing.h"
#include "foreplan/core/testing/source_dir.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Recorded : public ProgramTest {
 protected:
  /// Two recorded episodes of random actions.
  void Record() const {
    ASSERT_EQ(RunProgram({"eval", "cartpole_closed_form", "--controller", "uniform", "--episodes",
                          "2", "--record", "--out", "run", "--set", "episode_length=30"})
                  .exit_code,
              0);
  }
  static constexpr const char* kRecording = "run/uniform/episode_000002.safetensors.gz";
};

TEST_F(Recorded, TheSystemThatWasRecordedDoesTheSameAgain) {
  Record();
  for (const char* mode : {"one_step", "free_running"}) {
    SCOPED_TRACE(mode);
    std::vector<std::string> arguments = {"replay", "cartpole_closed_form", kRecording};
    if (mode == std::string("free_running")) arguments.emplace_back("--free-running");
    const nlohmann::json answer = Answer(arguments);
    EXPECT_EQ(answer["mode"], mode);
    EXPECT_EQ(answer["steps"], 30);
    for (const char* kind : {"state", "observation"}) {
      ASSERT_EQ(answer["max_error"][kind].size(), 4U);
      for (const auto& error : answer["max_error"][kind]) EXPECT_EQ(error, 0);
    }
    EXPECT_EQ(answer["max_error"]["reward"], 0);
    EXPECT_EQ(answer["wrong_ends"], 0);
    EXPECT_EQ(answer["diverged"], 0);
  }
}

TEST_F(Recorded, AnotherSystemIsFoundOutAndItsErrorsGrow) {
  Record();
  const auto errors = [this](const std::vector<std::string>& more) {
    return Answer(
        Concatenated({"replay", "cartpole_closed_form", kRecording, "--set", "system.pole_mass=6",
                      "--set", "reward=-hinge^2", "--set", "termination=slider > -100"},
                     more));
  };
  const nlohmann::json one_step = errors({});
  const nlohmann::json free_running = errors({"--free-running"});
  EXPECT_GT(one_step["max_error"]["state"]["hinge_velocity"], 1e-6);
  EXPECT_GT(free_running["max_error"]["state"]["hinge_velocity"],
            2 * one_step["max_error"]["state"]["hinge_velocity"].get<double>());
  EXPECT_EQ(one_step["wrong_ends"], 30);  // every step would be a termination
  const ProgramResult text = RunProgram({"replay", "cartpole_closed_form", kRecording});
  EXPECT_THAT(text.out, HasSubstr("one step from every recorded state"));
  EXPECT_THAT(text.out, HasSubstr("wrong ends: 0 of 30"));
}

TEST_F(Recorded, LogsThatCarryStatesArePlayedToo) {
  Record();
  // A closed form's state is observed: a table of it holds all that is needed.
  static_cast<void>(Answer({"export", kRecording, "--data", "csv", "--out", "states.csv"}));
  const nlohmann::json answer = Answer({"replay", "cartpole_closed_form", "states.csv"});
  EXPECT_EQ(answer["steps"], 30);
  for (const auto& error : answer["max_error"]["state"]) EXPECT_EQ(error, 0);
  EXPECT_EQ(answer["max_error"]["reward"], 0);
}

#ifdef FOREPLAN_HAVE_MUJOCO
TEST_F(Recorded, TrajectoriesOfOthersArePlayedAsTheyStand) {
  const std::string file =
      (fs::path(FOREPLAN_SOURCE_DIR) / "testdata/trajectories/dm_control_cartpole_swingup.json")
          .string();
  const nlohmann::json answer = Answer({"replay", "dm_control_cartpole_swingup", file});
  EXPECT_EQ(answer["steps"], 50);
  for (const auto& error : answer["max_error"]["observation"]) EXPECT_LT(error, 1e-9);
  EXPECT_LT(answer["max_error"]["reward"], 1e-9);
  EXPECT_TRUE(answer["wrong_ends"].is_null());
}
#endif

TEST_F(Recorded, WhatCannotBePlayedIsRefused) {
  Record();
  EXPECT_THAT(Refusal({"replay", "pendulum", kRecording}),
              HasSubstr("found 'slider' as component 1 of the state, expected"));
  EXPECT_THAT(Refusal({"replay", "pendulum", "nowhere.json"}), HasSubstr("nowhere.json"));
  WriteText("empty.json", "{}");
  EXPECT_THAT(Refusal({"replay", "pendulum", "empty.json"}),
              HasSubstr("expected a JSON object with steps"));
}

/// `fit` stores what it read: the same rows, bit for bit.
TEST_F(Recorded, WhatIsExportedIsReadBackByAFit) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "2", "--out", "run"})).exit_code, 0);
  const std::vector<std::string> small = {
      "--set", "model.width=8",   "--set", "model.members=1",      "--set", "fit.min_steps=1",
      "--set", "fit.max_steps=1", "--set", "calibration.horizon=2"};
#ifdef FOREPLAN_HAVE_LIBZIP
  const std::vector<std::string> kinds = {"csv", "npz"};
#else
  const std::vector<std::string> kinds = {"csv"};
#endif
  for (const std::string& kind : kinds) {
    SCOPED_TRACE(kind);
    const std::string file = fmt::format("run.{}", kind);
    const nlohmann::json answer = Answer({"export", "run", "--data", kind});
    EXPECT_EQ(answer["file"], file);
    EXPECT_EQ(answer["transitions"], 60);
    EXPECT_EQ(answer["episodes"], 2);
    const std::string fit = fmt::format("fit_{}", kind);
    ASSERT_EQ(RunProgram(Concatenated({"fit", file, "--task", "cartpole_closed_form", "--out", fit},
                                      small))
                  .exit_code,
              0);
    // A table of both is the judge: equal rows, equal text.
    static_cast<void>(
        Answer({"export", "run", "--data", "csv", "--out", fmt::format("of_run_{}.csv", kind)}));
    static_cast<void>(
        Answer({"export", fit, "--data", "csv", "--out", fmt::format("of_fit_{}.csv", kind)}));
    EXPECT_EQ(FileText(work() / fmt::format("of_fit_{}.csv", kind)),
              FileText(work() / fmt::format("of_run_{}.csv", kind)));
    EXPECT_THAT(Refusal({"export", "run", "--data", kind}), HasSubstr("exists already"));
  }
  EXPECT_THAT(
      FileText(work() / "run.csv"),
      testing::StartsWith("episode,time [s],slider [m],hinge [rad],slider_velocity [m/s],"));
}

TEST_F(Recorded, ExportSaysWhatIsWrong) {
  EXPECT_THAT(Refusal({"export", "run"}), HasSubstr("--data"));
  EXPECT_THAT(Refusal({"export", "run", "--data", "xml"}), HasSubstr("found 'xml'"));
  EXPECT_THAT(Refusal({"export", "nowhere", "--data", "csv"}), HasSubstr("nowhere"));
  EXPECT_THAT(Refusal({"export", "run", "--data", "csv", "--out", "run.npz"}),
              HasSubstr("expected a name that ends in .csv"));
  EXPECT_TRUE(Files().empty());
}

}  // namespace
}  // namespace foreplan::apps
