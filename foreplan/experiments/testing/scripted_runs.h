// Runs of a learner that learns nothing, so that hundreds of them take a second. For tests.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <stop_token>
#include <string>

#include "foreplan/data/files.h"
#include "foreplan/data/segments.h"
#include "foreplan/experiments/run_session.h"
#include "foreplan/learners/testing/scripted_learner.h"

namespace foreplan::testing {

namespace fs = std::filesystem;

class ScriptedRuns : public ::testing::Test {
 protected:
  ScriptedRuns() {
    const ::testing::TestInfo& test = *::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(::testing::TempDir()) /
              (std::string("run_session_") + test.name() + "_" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    ::testing::internal::CaptureStderr();
  }
  ~ScriptedRuns() override {
    ::testing::internal::GetCapturedStderr();
    fs::remove_all(folder_);
  }

  [[nodiscard]] std::unique_ptr<RunSession> Session(
      int episodes, const ScriptedLearner::Event& after_saving = Nothing,
      const ScriptedLearner::Event& before_saving = Nothing) const {
    RunFlags flags;
    flags.episodes = episodes;
    flags.record = record_;
    return std::make_unique<RunSession>(
        LoadExperiment("cartpole_closed_form", flags), 1, std::stop_token(),
        [=, rows = first_rows_](Experiment& experiment, const LearnerContext& context) {
          auto learner = std::make_unique<ScriptedLearner>(experiment.task, context, before_saving,
                                                           after_saving);
          learner->BeginWith(rows);
          return learner;
        });
  }

  /// A run from beginning to end.
  [[nodiscard]] fs::path WholeRun(const std::string& name, int episodes) const {
    const auto session = Session(episodes);
    session->Create(folder_ / name);
    session->Run();
    return folder_ / name;
  }

  /// What may not depend on where a run was stopped, by name; of other files the size.
  [[nodiscard]] static std::map<std::string, std::string> FilesOf(const fs::path& run) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(run)) {
      if (!entry.is_regular_file()) continue;
      const std::string name = entry.path().lexically_relative(run).string();
      const bool has_times =
          name.starts_with("checkpoint") || name == "report.html" || name == "result.json";
      files[name] = has_times ? "" : ReadFile(entry.path());
    }
    std::string& events = files["events.out.tfevents.foreplan"];  // in another order
    events = std::to_string(events.size());
    return files;
  }

  [[nodiscard]] static Dataset DataOf(const fs::path& run) {
    Dataset data(4, 1);
    ReadSegments(run / "data", -1, data);
    return data;
  }

  fs::path folder_;
  int64_t first_rows_ = 0;  // of the data that are there before a run
  RecordedEpisodes record_ = RecordedEpisodes::kLast;
};

}  // namespace foreplan::testing
