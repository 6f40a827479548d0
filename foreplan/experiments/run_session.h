// One run: a learner, its log and its folder.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/learners/learner.h"
#include "foreplan/runs/decision_times.h"
#include "foreplan/runs/progress.h"
#include "foreplan/runs/provenance.h"
#include "foreplan/runs/run_directory.h"
#include "foreplan/runs/run_log.h"
#include "foreplan/runs/run_tables.h"

namespace foreplan {

/// Makes what a session runs.
using LearnerFactory =
    std::function<std::unique_ptr<Learner>(Experiment& experiment, const LearnerContext& context)>;
/// The learner of the experiment's algorithm.
std::unique_ptr<Learner> MakeExperimentsLearner(Experiment& experiment,
                                                const LearnerContext& context);

/// Call Create, Resume or CreateOrResume, then Run. Whatever ends a run, its folder says how far it
/// came.
class RunSession {
 public:
  /// Checks everything that can be wrong with the input, writes nothing. Throws InputError.
  explicit RunSession(Experiment experiment, int threads = 1, const std::stop_token& stop = {},
                      const LearnerFactory& make_learner = MakeExperimentsLearner,
                      Progress::Mode progress = Progress::Mode::kAuto);
  /// The same on whatever runs loops.
  RunSession(Experiment experiment, std::shared_ptr<Executor> executor, const std::stop_token& stop,
             const LearnerFactory& make_learner = MakeExperimentsLearner,
             Progress::Mode progress = Progress::Mode::kAuto);

  /// Makes the folder with config.toml, machine.json and the checkpoint of a run that has not
  /// begun. Leaves no folder behind when it throws.
  void Create(const std::filesystem::path& path);
  /// Goes on from the checkpoint of that run. Where the experiment's episodes or steps are others
  /// than its folder says, the run gets those bounds, and goes on as a run that had them from its
  /// beginning. Throws InputError for bounds below what is done, and for a run whose end made it
  /// another one than the longer run would be: its last episode was cut off, or what was learned
  /// last was learned as it was over. Throws InputError, too, where something is not what it was
  /// when the run was saved, so that it would not repeat to the bit; but for what `accept` names
  /// (Difference::name), which the run says of itself from then on.
  void Resume(const std::filesystem::path& path, std::span<const std::string> accept = {});
  /// What a user should know of how it was resumed, a line each.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  /// Resume where that folder exists, Create where it does not.
  void CreateOrResume(const std::filesystem::path& path);

  /// Learns to the end; saves after each episode. Throws Interrupted after Ctrl-C and RunError when
  /// anything else ended the run, in both cases after writing what there is.
  void Run();
  /// What of it comes next (Learner::Step); false when the run is over and its report written.
  bool Step();

  /// What `foreplan run --json` writes.
  [[nodiscard]] nlohmann::ordered_json Result() const;
  [[nodiscard]] const RunLog& log() const { return log_; }
  [[nodiscard]] const RunDirectory& directory() const { return *directory_; }
  [[nodiscard]] Learner& learner() { return *learner_; }
  [[nodiscard]] RunTimes times() const { return learner_->times(); }
  [[nodiscard]] double wall_seconds() const;

 private:
  class CheckpointObserver;
  class DecisionObserver;

  [[nodiscard]] std::vector<Difference> CheckDifferences(const TensorFile& state,
                                                         std::span<const std::string> accept);
  void TakeBounds();
  void CheckBounds(const RunOptions& before) const;
  void AddRecorder();
  void WriteSetup();
  void SaveCheckpoint();
  void WriteModel();
  void WriteData();
  void WriteReport();

  Experiment experiment_;
  std::shared_ptr<Executor> executor_;
  Progress progress_;
  RunLog log_;
  RunTables tables_;
  DecisionTimes decisions_;
  std::unique_ptr<Learner> learner_;
  std::optional<RunDirectory> directory_;
  std::stop_token stop_;
  std::chrono::steady_clock::time_point start_;
  double seconds_before_ = 0;   // wall time of the run until it was resumed
  int64_t checkpoints_ = 0;     // saved so far
  int64_t saved_rows_ = 0;      // of the data, in their folder
  uint32_t data_checksum_ = 0;  // of these rows
  int saved_episodes_ = 0;      // in the checkpoint
  KeptProvenance kept_;
  std::vector<std::string> notes_;
  std::string status_ = "running";
};

}  // namespace foreplan
