#include "foreplan/experiments/run_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/data/files.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/experiments/run_figures.h"
#include "foreplan/experiments/run_session.h"
#include "foreplan/runs/checkpoint.h"
#include "foreplan/runs/report.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

/// A run of three short episodes of the cart-pole, made once.
class RunReport : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fs::path(testing::TempDir()) / ("run_report_" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    testing::internal::CaptureStderr();
    RunSession session(LoadExperiment("cartpole_closed_form", Small()), 1);
    session.Create(run());
    session.Run();
    testing::internal::GetCapturedStderr();
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }

  static RunFlags Small() {
    return {.episodes = 3,
            .assignments = {"episode_length=30", "planner.icem.population=16",
                            "planner.icem.iterations=1", "model.members=2", "model.width=8",
                            "model.hidden_layers=1", "fit.min_steps=5", "fit.max_steps=5",
                            "mpc.deadline_ms=10000"}};
  }
  static fs::path run() { return folder_ / "run"; }

  /// A copy that may be damaged.
  [[nodiscard]] static fs::path Copy() {
    fs::path copy = folder_ / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::copy(run(), copy, fs::copy_options::recursive);
    return copy;
  }

 private:
  static inline fs::path folder_;
};

TEST_F(RunReport, ReadsWhatARunLeft) {
  const StoredRun stored = ReadStoredRun(run());
  EXPECT_EQ(stored.content.task, "cartpole_closed_form");
  EXPECT_EQ(stored.content.algorithm, "mpc");
  EXPECT_EQ(stored.content.planner, "icem");
  EXPECT_EQ(stored.content.status, "done");
  EXPECT_GT(stored.content.wall_seconds, 0);
  EXPECT_GT(stored.content.planning_seconds, 0);
  EXPECT_EQ(stored.log.episodes().size(), 3U);
  EXPECT_FALSE(stored.log.metrics().empty());
}

// A run may be caught while it appends a row, before it has ended, and after it went on.
TEST_F(RunReport, ReadsARunThatGoesOn) {
  const fs::path copy = Copy();
  std::ofstream(copy / "episodes.csv", std::ios::app) << "4,mpc,30,1";
  const StoredRun cut = ReadStoredRun(copy);
  EXPECT_EQ(cut.log.episodes().size(), 3U);
  EXPECT_EQ(cut.content.status, "done");
  std::ofstream(copy / "episodes.csv", std::ios::app) << "20,0.5,length,\n";
  const StoredRun more = ReadStoredRun(copy);
  EXPECT_EQ(more.content.status, "stopped after episode 4") << "what result.json says is older";
  RunDirectory directory = RunDirectory::Open(copy);
  EXPECT_FALSE(directory.IsInUse());
  directory.Lock();
  EXPECT_EQ(ReadStoredRun(copy).content.status, "running after episode 4");
  fs::remove(copy / "result.json");
  EXPECT_EQ(ReadStoredRun(copy).content.status, "running after episode 4");
}

TEST_F(RunReport, NamesTheFileThatIsDamaged) {
  const fs::path copy = Copy();
  std::ofstream(copy / "result.json") << R"({"episode_returns": [1, 2, 3], "status": 5})";
  EXPECT_THAT(MessageOf([&] { ReadStoredRun(copy); }), HasSubstr("result.json: found something"));
  std::ofstream(copy / "result.json") << "{";
  EXPECT_THAT(MessageOf([&] { ReadStoredRun(copy); }), HasSubstr("result.json"));
  fs::remove(copy / "result.json");
  std::ofstream(copy / "episodes.csv") << "episode,what\n1,2\n";
  EXPECT_THAT(MessageOf([&] { ReadStoredRun(copy); }),
              HasSubstr("episodes, line 1: found header 'episode,what'"));
}

TEST_F(RunReport, FindsRecordingsByTheirNumber) {
  const RunDirectory directory = RunDirectory::Open(run());
  EXPECT_EQ(RecordingOf(directory, {}).filename(), "episode_000003.safetensors.gz");
  EXPECT_EQ(RecordingOf(directory, 3), RecordingOf(directory, {}));
  EXPECT_THAT(MessageOf([&] { static_cast<void>(RecordingOf(directory, 2)); }),
              HasSubstr("found no recording of episode 2"));
  const fs::path copy = Copy();
  fs::remove_all(copy / "recordings");
  EXPECT_THAT(MessageOf([&] { static_cast<void>(RecordingOf(RunDirectory::Open(copy), {})); }),
              HasSubstr("--record"));
}

// Settings of the run change where things are: here how long the pole is.
TEST_F(RunReport, ShowsARecordingOnTheTaskOfTheRunAroundIt) {
  const fs::path copy = Copy();
  const fs::path file = RecordingOf(RunDirectory::Open(copy), {});
  const std::string as_it_was = AnimationOf(file, {}).animation.bytes;
  EXPECT_EQ(AnimationOf(copy, {}).animation.bytes, as_it_was);
  std::string config = ReadFile(copy / "config.toml");
  const size_t at = config.find("pole_center = ");
  ASSERT_NE(at, std::string::npos);
  config.replace(at, std::string("pole_center = ").size(), "pole_center = 1");  // 10.3 m
  std::ofstream(copy / "config.toml") << config;
  EXPECT_NE(AnimationOf(file, {}).animation.bytes, as_it_was);
}

TEST_F(RunReport, ThePageHasReplayDecisionTimesAndTheModelJudged) {
  const std::string page = ReadFile(run() / "report.html");
  for (const char* part : {"id=\"animation\"", "\"Decision time\"", "\"Coverage\"",
                           "\"Error of hinge\"", "\"Where the model is asked\"",
                           "deadline: 0 of 60 decisions late", "Content-Security-Policy"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  EXPECT_THAT(page, HasSubstr("3 episodes of cartpole_closed_form by mpc, 90 steps of experience. "
                              "The first episode (uniform) earned"));
}

DecisionTimes DecisionTimesOf(const fs::path& run) {
  const RunDirectory directory = RunDirectory::Open(run);
  return ReadDecisionTimes(directory, ReadLastState(directory));
}

// Of the 60 decisions after the first episode; a run that goes on counts on.
TEST_F(RunReport, CountsDecisionsOverStops) {
  EXPECT_EQ(DecisionTimesOf(run()).count(), 60);
  const fs::path copy = Copy();
  RunFlags longer = Small();
  longer.episodes = 4;
  testing::internal::CaptureStderr();
  RunSession session(LoadExperiment("cartpole_closed_form", longer), 1);
  session.Resume(copy);
  session.Run();
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(DecisionTimesOf(copy).count(), 90);
}

TEST_F(RunReport, ShowsLevelsOfWhatWasEvaluated) {
  const fs::path copy = Copy();
  const RunDirectory directory = RunDirectory::Open(copy);
  EXPECT_TRUE(ReturnLevels(directory).empty());
  Evaluation evaluation;
  evaluation.controller = "zero";
  evaluation.returns = {1, 3};
  evaluation.summary.mean = 2;
  WriteEvaluation(directory, evaluation, 7);
  evaluation.controller = "uniform";
  evaluation.summary.mean = -5;
  WriteEvaluation(directory, evaluation, 7);
  EXPECT_EQ(ReturnLevels(directory).dump(),
            R"([{"label":"random","value":-5.0},{"label":"no action","value":2.0}])");
  std::ofstream(copy / "evaluation" / "learned.json") << "no json";
  EXPECT_EQ(ReturnLevels(directory).size(), 2U);
  evaluation.controller = kSampled;
  evaluation.summary.mean = 3;
  WriteEvaluation(directory, evaluation, 7);
  EXPECT_EQ(ReturnLevels(directory)[2].dump(), R"({"label":"learned, sampled","value":3.0})");
  fs::remove(copy / "evaluation" / "sampled.json");
  StoredRun stored = ReadStoredRun(copy);
  stored.content.levels = ReturnLevels(directory);
  EXPECT_THAT(ReportPage(stored.content, stored.log),
              HasSubstr("On fresh episodes earn: random −5.0, no action 2.0"));
}

TEST_F(RunReport, AReportWithoutAReplaySaysWhy) {
  const fs::path copy = Copy();
  const RunDirectory directory = RunDirectory::Open(copy);
  const Experiment experiment = LoadExperiment((copy / "config.toml").string(), {});
  const auto page_of = [&] {
    StoredRun stored = ReadStoredRun(copy);
    AddFigures(directory, experiment.task, DecisionTimes(), kAnimationMb, {}, stored.content);
    return ReportPage(stored.content, stored.log);
  };
  EXPECT_THAT(page_of(), HasSubstr("id=\"animation\""));
  std::ofstream(RecordingOf(directory, {})) << "damaged";
  EXPECT_THAT(page_of(), testing::AllOf(Not(HasSubstr("id=\"animation\"")),
                                        HasSubstr("No replay: "), HasSubstr("gzip")));
  fs::remove_all(copy / "recordings");
  EXPECT_THAT(page_of(), HasSubstr("No replay: no episode was recorded"));
}

// As a program's own, which its folder does not say how to make.
TEST_F(RunReport, AReportWithoutItsTaskHasWhatNeedsNone) {
  const fs::path copy = Copy();
  std::string config = ReadFile(copy / "config.toml");
  config.replace(config.find("type = "), std::string("type = ").size(), "type = \"gone\" # ");
  std::ofstream(copy / "config.toml") << config;
  StoredRun stored = ReadStoredRun(copy);
  AddFigures(stored, kAnimationMb, {});
  EXPECT_THAT(ReportPage(stored.content, stored.log),
              testing::AllOf(HasSubstr("No replay: "), HasSubstr("gone"),
                             HasSubstr("\"Decision time\""), HasSubstr("\"Return per episode\"")));
}

}  // namespace
}  // namespace foreplan
