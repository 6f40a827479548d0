// What ends a run, and what is on disk then: with a learner that learns nothing, so that hundreds
// of runs take a second.
#include "foreplan/experiments/run_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <map>
#include <new>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/data/files.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/data/segments.h"
#include "foreplan/experiments/testing/file_faults.h"
#include "foreplan/experiments/testing/scripted_runs.h"
#include "foreplan/learners/testing/scripted_learner.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

using testing::kSteps;
using testing::Nothing;
using testing::ScriptedLearner;

class RunSessionTest : public testing::ScriptedRuns {};

// --- what ends a run

TEST_F(RunSessionTest, StepsAreTheRunPieceByPieceAndTheLastOneWritesTheReport) {
  const auto session = Session(3);
  EXPECT_THROW(session->Step(), InputError);  // without a folder
  session->Create(folder_ / "run");
  for (size_t episode = 1; episode <= 3; ++episode) {
    EXPECT_TRUE(session->Step());
    EXPECT_EQ(session->log().episodes().size(), episode);
    EXPECT_FALSE(fs::exists(folder_ / "run" / "report.html"));
  }
  EXPECT_FALSE(session->Step());
  EXPECT_TRUE(fs::exists(folder_ / "run" / "report.html"));
  EXPECT_EQ(session->Result()["status"], "done");
}

TEST_F(RunSessionTest, WhateverEndsARunIsAFailedRunThatKeepsItsData) {
  const std::vector<std::pair<std::string, std::function<void()>>> failures = {
      {"singular fit", [] { throw RunError("singular fit"); }},
      {"found 3, expected 4", [] { throw InputError("found 3, expected 4"); }},
      {"one at a time", [] { throw std::logic_error("one at a time"); }},
      {"std::bad_alloc", [] { throw std::bad_alloc(); }}};
  for (size_t i = 0; i < failures.size(); ++i) {
    const auto& [what, fail] = failures[i];
    const fs::path run = folder_ / std::to_string(i);
    // The third episode has ended and is not saved yet.
    auto session = Session(5, Nothing, [&fail = fail](int episode) {
      if (episode == 3) fail();
    });
    session->Create(run);
    try {
      session->Run();
      ADD_FAILURE() << what;
    } catch (const RunError& error) {
      EXPECT_EQ(error.what(), what + "; the run's data are kept in " + run.string());
    }
    EXPECT_THAT(ReadFile(run / "episodes.csv"), ::testing::HasSubstr("\n3,scripted,5,15,"));
    EXPECT_THAT(ReadFile(run / "metrics.csv"), ::testing::HasSubstr("\n3,15,fit.loss,"));
    EXPECT_THAT(ReadFile(run / "report.html"), ::testing::HasSubstr("failed: " + what));
    EXPECT_EQ(session->Result()["status"], "failed: " + what);
    EXPECT_EQ(session->Result()["episode_returns"].size(), 3U);
    const Dataset data = DataOf(run);
    EXPECT_EQ(data.size(), 3 * kSteps);

    // It goes on from its checkpoint all the same.
    session.reset();
    const auto resumed = Session(5);
    resumed->Resume(run);
    resumed->Run();
    EXPECT_EQ(FilesOf(run), FilesOf(WholeRun("whole" + std::to_string(i), 5)));
  }
}

TEST_F(RunSessionTest, RunWithoutAFolderIsRefused) {
  RunSession session(LoadExperiment("cartpole_closed_form", {}));
  EXPECT_EQ(MessageOf([&] { session.Run(); }),
            "run session: found no folder, expected Create, Resume or CreateOrResume before Run");
}

TEST_F(RunSessionTest, WhatIsMadeInCodeIsAskedAsAFileIs) {
  const auto refusal = [](const std::string& config, const RunOptions& run, double record_mb = 64) {
    Experiment experiment = LoadExperiment("cartpole_closed_form", {});
    experiment.config = Config::FromString(config, "code");
    experiment.run = run;
    experiment.record.mb = record_mb;
    return MessageOf([&] { RunSession session(std::move(experiment)); });
  };
  EXPECT_EQ(refusal("[mpc]\nrefit_every = 100\n[planner.icem]\nhorizon = 9\n[aggregate]\n",
                    {.episodes = 1}),
            "");
  EXPECT_THAT(refusal("[mpc]\nrefit_evry = 100\n", {.episodes = 1}),
              ::testing::HasSubstr("unknown key 'mpc.refit_evry'"));
  EXPECT_THAT(refusal("[run]\nseed = 3\n", {.episodes = 1}),
              ::testing::HasSubstr("unknown key 'run.seed'"));
  EXPECT_EQ(refusal("", {.episodes = -3}),
            "run.episodes: found -3, expected an integer in [0, 1000000000]");
  EXPECT_THAT(refusal("", {.planner = "icen"}), ::testing::StartsWith("run.planner: found"));
  EXPECT_THAT(refusal("", {.episodes = 1}, -1), ::testing::StartsWith("record.mb: found -1"));
}

TEST_F(RunSessionTest, AnObserverThatThrowsEndsTheRunWhichGoesOnFromItsCheckpoint) {
  class Throwing final : public RunObserver {
   public:
    explicit Throwing(std::function<void()> fail) : fail_(std::move(fail)) {}
    void OnEpisodeEnd(const EpisodeRow& row) override {
      if (row.episode == 3) fail_();
    }

   private:
    std::function<void()> fail_;
  };
  const std::vector<std::pair<std::string, std::function<void()>>> failures = {
      {"an observer's OnEpisodeEnd throws: map::at", [] { throw std::out_of_range("map::at"); }},
      {"an observer's OnEpisodeEnd throws: found 3", [] { throw InputError("found 3"); }},
      {"the battery is empty", [] { throw RunError("the battery is empty"); }}};
  const std::map<std::string, std::string> whole = FilesOf(WholeRun("whole", 5));
  for (const auto& [what, fail] : failures) {
    const fs::path run = folder_ / "run";
    auto session = Session(5);
    session->Create(run);
    session->learner().AddObserver(std::make_shared<Throwing>(fail));
    EXPECT_EQ(MessageOf<RunError>([&] { session->Run(); }),
              what + "; the run's data are kept in " + run.string());
    EXPECT_EQ(DataOf(run).size(), 3 * kSteps);
    EXPECT_EQ(ReadTensors(run / "checkpoint/state.safetensors").metadata.at("checkpoint"), "3");
    session.reset();
    const auto resumed = Session(5);
    resumed->Resume(run);
    resumed->Run();
    EXPECT_EQ(FilesOf(run), whole);
    fs::remove_all(run);
  }
}

TEST_F(RunSessionTest, NobodyIsNoObserver) {
  const auto session = Session(1);
  EXPECT_EQ(MessageOf([&] { session->learner().AddObserver(nullptr); }),
            "observer: found null, expected one");
}

TEST_F(RunSessionTest, AnInterruptedRunSaysHowToGoOn) {
  const fs::path run = folder_ / "run";
  const auto session = Session(5, [](int episode) {
    if (episode == 2) throw Interrupted("interrupted");
  });
  session->Create(run);
  try {
    session->Run();
    ADD_FAILURE();
  } catch (const Interrupted& error) {
    EXPECT_EQ(error.what(),
              "interrupted after episode 2; resume with: foreplan run --resume " + run.string());
  }
  EXPECT_TRUE(fs::is_regular_file(run / "report.html"));
}

TEST_F(RunSessionTest, AFailureIsToldEvenWhenTheDiskRefusesWhatIsLeft) {
  const fs::path run = folder_ / "run";
  const auto session = Session(5, Nothing, [&](int episode) {
    if (episode < 3) return;
    fs::remove_all(run);
    throw RunError("the simulator diverged");
  });
  session->Create(run);
  try {
    session->Run();
    ADD_FAILURE();
  } catch (const RunError& error) {
    EXPECT_THAT(error.what(), ::testing::StartsWith("the simulator diverged; "));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("episodes.csv: cannot be written"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("transitions-"));
  }
}

TEST_F(RunSessionTest, IsNotResumedWhileItRuns) {
  const fs::path run = folder_ / "run";
  const auto session = Session(2);
  session->Create(run);
  EXPECT_THROW(Session(2)->Resume(run), InputError);
  session->Run();
}

// --- what is not what it was

TEST_F(RunSessionTest, IsRefusedWhereItWouldNotRepeatAndSaysSoOfItselfWhereItGoesOnAllTheSame) {
  const fs::path run = WholeRun("run", 2);
  RunFlags flags;
  flags.episodes = 3;
  flags.assignments = {"episode_length=77"};
  const auto session = [&] {
    return std::make_unique<RunSession>(
        LoadExperiment("cartpole_closed_form", flags), 1, std::stop_token(),
        [](Experiment& experiment, const LearnerContext& context) {
          return std::make_unique<ScriptedLearner>(experiment.task, context, Nothing, Nothing);
        });
  };
  const std::map<std::string, std::string> before = FilesOf(run);
  EXPECT_THAT(MessageOf([&] { session()->Resume(run); }),
              ::testing::AllOf(::testing::HasSubstr("episode_length: was "),
                               ::testing::HasSubstr(", is 77"),
                               ::testing::EndsWith("with --accept episode_length")));
  EXPECT_EQ(FilesOf(run), before);
  const std::vector<std::string> others = {"program", "reward"};
  EXPECT_THROW(session()->Resume(run, others), InputError);

  const std::vector<std::string> accept = {"program", "episode_length"};
  auto changed = session();
  changed->Resume(run, accept);
  EXPECT_THAT(changed->notes(), ::testing::ElementsAre(::testing::HasSubstr("episode_length")));
  changed->Run();
  const auto expect_said = [](const RunSession& of) {
    const nlohmann::ordered_json accepted = of.Result()["accepted"];
    ASSERT_EQ(accepted.size(), 1U);
    EXPECT_EQ(accepted[0]["name"], "episode_length");
    EXPECT_EQ(accepted[0]["now"], "77");
    EXPECT_EQ(accepted[0]["episodes"], 2);
  };
  expect_said(*changed);
  EXPECT_THAT(ReadFile(run / "report.html"), ::testing::HasSubstr("Does not repeat to the bit"));
  changed.reset();               // lets go of the folder
  const auto again = session();  // what it is now is what it was
  again->Resume(run);
  expect_said(*again);
}

TEST_F(RunSessionTest, DataBehindTheCheckpointAreGoneWhenItGoesOn) {
  const fs::path run = WholeRun("run", 2);
  const int64_t rows = DataOf(run).size();
  // What was written and not counted any more, before and after the program was killed again.
  for (const int64_t lost : {rows, rows + 7}) {
    fs::copy_file(FirstSegment(run / "data"), SegmentFile(run / "data", lost));
  }
  Session(2)->Resume(run);
  for (const int64_t lost : {rows, rows + 7}) {
    EXPECT_FALSE(fs::exists(SegmentFile(run / "data", lost)));
  }
  EXPECT_EQ(DataOf(run).size(), rows);
}

TEST_F(RunSessionTest, TheModelIsMarkedWithItsCheckpoint) {
  const fs::path run = WholeRun("run", 2);
  const auto number = [](const fs::path& file) {
    return ReadTensors(file).metadata.at("checkpoint");
  };
  EXPECT_EQ(number(run / "checkpoint/state.safetensors"),
            "3");  // before the first episode, after each
  EXPECT_EQ(number(run / "model/model.safetensors"), "3");
}

TEST_F(RunSessionTest, TimeGoesOnWithTheRun) {
  const fs::path run = folder_ / "run";
  static constexpr auto kPause = std::chrono::milliseconds(30);
  auto session = Session(2, Nothing, [](int) { std::this_thread::sleep_for(kPause); });
  session->Create(run);
  session->Run();
  session.reset();
  const auto resumed = Session(2);
  resumed->Resume(run);
  EXPECT_GE(resumed->wall_seconds(), std::chrono::duration<double>(2 * kPause).count());
}

// --- costs

TEST_F(RunSessionTest, AnEpisodeCostsTheSameHoweverManyTransitionsThereAre) {
  struct Cost {
    int64_t bytes = 0;    // written
    int64_t changes = 0;  // of files
    long allocations = 0;
  };
  std::vector<Cost> episodes;  // of a run with 100 and of one with 100,000 rows before it
  for (const int64_t rows : {100, 100'000}) {
    std::vector<Cost> sums;  // until that episode was saved
    first_rows_ = rows;
    const auto session = Session(7, [&](int) {
      sums.push_back(
          {testing::FileBytesWritten(), testing::FileChanges(), testing::allocation_count});
    });
    sums.reserve(7);
    session->Create(folder_ / std::to_string(rows));
    session->Run();
    // The seventh: what doubles has room for it.
    episodes.push_back({sums[6].bytes - sums[5].bytes, sums[6].changes - sums[5].changes,
                        sums[6].allocations - sums[5].allocations});
  }
  const auto [few, many] = std::pair(episodes[0], episodes[1]);
  // A file's first row has three digits more, a time some more or less, in text as in allocations.
  EXPECT_NEAR(static_cast<double>(many.bytes), static_cast<double>(few.bytes), 100);
  EXPECT_NEAR(static_cast<double>(many.allocations), static_cast<double>(few.allocations), 5);
  EXPECT_EQ(many.changes, few.changes);
  EXPECT_LT(many.bytes, 10'000);  // of more than 8,500,000 that the run has; half the configuration
}

TEST_F(RunSessionTest, AnEpisodeCostsTheSameHoweverManyThereWere) {
  record_ = RecordedEpisodes::kNone;  // that of the last would be another cost
  std::vector<int64_t> bytes;         // written until that episode was saved
  const auto session = Session(60, [&](int) { bytes.push_back(testing::FileBytesWritten()); });
  session->Create(folder_ / "run");
  session->Run();
  ASSERT_EQ(bytes.size(), 60U);
  const int64_t early = bytes[2] - bytes[1];
  const int64_t late = bytes[59] - bytes[58];
  // Numbers have more digits later, in tables and headers, and a time has some more or less.
  // Fifty-six episodes more of five rows, each of ten doubles, would be 22,400 bytes.
  EXPECT_LT(late, early + 200);
}

}  // namespace
}  // namespace foreplan
