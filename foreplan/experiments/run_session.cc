#include "foreplan/experiments/run_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "foreplan/core/config.h"
#include "foreplan/core/crc32c.h"
#include "foreplan/core/describe_exception.h"
#include "foreplan/core/error.h"
#include "foreplan/core/options.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/data/files.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/data/segments.h"
#include "foreplan/experiments/learned_system.h"
#include "foreplan/experiments/run_figures.h"
#include "foreplan/experiments/run_report.h"
#include "foreplan/experiments/stored_model.h"
#include "foreplan/learners/episode_recorder.h"
#include "foreplan/learners/log_observer.h"
#include "foreplan/runs/checkpoint.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/report.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

// Metadata of checkpoint/state.safetensors beside the learner's tensors and the marks of the
// tables: one file, so that one rename makes the whole state of a run valid.
constexpr const char* kWallSecondsKey = "wall_seconds";

/// What goes wrong in `write`, as the end of a sentence; "" when nothing does.
template <typename Function>
std::string Trouble(Function write) {
  try {
    write();
    return "";
  } catch (const std::exception& error) {
    return fmt::format("; {}", error.what());
  }
}

}  // namespace

/// Saves the run whenever its state is complete.
class RunSession::CheckpointObserver final : public RunObserver {
 public:
  explicit CheckpointObserver(RunSession& session) : session_(session) {}
  void OnStateComplete(const Learner& /*learner*/) override { session_.SaveCheckpoint(); }

 private:
  RunSession& session_;
};

/// Counts how long decisions take.
class RunSession::DecisionObserver final : public RunObserver {
 public:
  explicit DecisionObserver(DecisionTimes& times) : times_(times) {}
  void OnPlan(const MadePlan& made) override { times_.Add(made.plan.seconds); }

 private:
  DecisionTimes& times_;
};

std::unique_ptr<Learner> MakeExperimentsLearner(Experiment& experiment,
                                                const LearnerContext& context) {
  return MakeLearner(experiment.run.algorithm, experiment.config, context);
}

RunSession::RunSession(Experiment experiment, int threads, const std::stop_token& stop,
                       const LearnerFactory& make_learner, Progress::Mode progress)
    : RunSession(std::move(experiment), std::make_shared<ThreadPool>(threads), stop, make_learner,
                 progress) {}

RunSession::RunSession(Experiment experiment, std::shared_ptr<Executor> executor,
                       const std::stop_token& stop, const LearnerFactory& make_learner,
                       Progress::Mode progress)
    : experiment_(std::move(experiment)),
      executor_(std::move(executor)),
      progress_(progress),
      log_(&progress_),
      stop_(stop),
      start_(std::chrono::steady_clock::now()) {
  ValidateOptions("run", experiment_.run);
  ValidateOptions("record", experiment_.record);
  decisions_ = DecisionTimes(DecisionDeadline(experiment_.config));
  const LearnerContext context{
      .task = experiment_.task, .run = experiment_.run, .executor = executor_, .stop = stop};
  learner_ = make_learner(experiment_, context);
  // After the learner, whose own sections are known by now.
  CheckWholeConfig(experiment_.run, experiment_.config);
  learner_->AddObserver(
      std::make_shared<LogObserver>(log_, experiment_.run, experiment_.task.episode_length()));
  learner_->AddObserver(std::make_shared<DecisionObserver>(decisions_));
  learner_->AddObserver(std::make_shared<CheckpointObserver>(*this));
}

void RunSession::Create(const fs::path& path) {
  directory_ = RunDirectory::Create(path);
  try {
    WriteSetup();
    kept_.provenance = ProvenanceOf(*directory_, ReadFile(directory_->config_file()));
    tables_.Begin(*directory_, log_);
    SaveCheckpoint();
    directory_->Complete();
    AddRecorder();
  } catch (...) {
    std::error_code ignored;  // the first error is the one to tell
    fs::remove_all(directory_->path(), ignored);
    throw;
  }
}

void RunSession::Resume(const fs::path& path, std::span<const std::string> accept) {
  directory_ = RunDirectory::Open(path);
  directory_->Lock();
  Checkpoint checkpoint =
      ReadCheckpoint(*directory_, learner_->data().observation_dim(), learner_->data().action_dim(),
                     [this](const TensorFile& state) { RunTables::Check(*directory_, state); });
  const TensorFile& state = checkpoint.state;
  std::vector<Difference> accepted = CheckDifferences(state, accept);
  if (!checkpoint.trouble.empty()) {
    notes_.push_back(fmt::format("{}; goes on from the checkpoint before it", checkpoint.trouble));
  }
  learner_->Restore(state, std::move(checkpoint.data));
  seconds_before_ = CheckpointNumber(state, kWallSecondsKey);
  checkpoints_ = CheckpointInteger(state, kCheckpointNumber);
  saved_rows_ = learner_->data().size();
  data_checksum_ = checkpoint.data_checksum;
  RemoveSegmentsFrom(directory_->data_folder(), saved_rows_);
  tables_.Resume(*directory_, state, log_);
  decisions_.Restore(state);
  saved_episodes_ = static_cast<int>(log_.episodes().size());
  for (Difference& difference : accepted) {
    difference.episodes = saved_episodes_;
    notes_.push_back(
        fmt::format("goes on with another {}; from now on it does not repeat to the bit",
                    DifferenceText(difference)));
    kept_.accepted.push_back(std::move(difference));
  }
  if (!checkpoint.trouble.empty()) {  // else the next one would keep what does not hold
    KeepFileAs(directory_->previous_checkpoint_file(), directory_->checkpoint_file());
  }
  TakeBounds();
  // What a program left that was killed between a checkpoint and its model is older.
  WriteModel();
  RemoveRecordingsAfter(directory_->recordings_folder(), saved_episodes_);
  AddRecorder();
}

std::vector<Difference> RunSession::CheckDifferences(const TensorFile& state,
                                                     std::span<const std::string> accept) {
  kept_ = ReadProvenance(state);
  Provenance now =
      ProvenanceOf(*directory_, ConfigText(experiment_, directory_->path()), kept_.provenance);
  std::vector<Difference> differences = DifferencesOf(kept_.provenance, now);
  std::string refused;
  std::string flags;
  for (const Difference& difference : differences) {
    if (std::ranges::find(accept, difference.name) != accept.end()) continue;
    refused += fmt::format("{}{}", refused.empty() ? "" : "; ", DifferenceText(difference));
    flags += " --accept " + difference.name;
  }
  if (!refused.empty()) {
    throw InputError(fmt::format(
        "{}: is not what it was when the run was saved, and would not repeat to the bit: {}. Put "
        "it back, or go on all the same with{}",
        directory_->path().string(), refused, flags));
  }
  kept_.provenance = std::move(now);
  return differences;
}

void RunSession::TakeBounds() {
  Config config = Config::FromFile(directory_->config_file());
  const auto before = ReadOptions<RunOptions>(config, "run");
  const RunOptions& run = experiment_.run;
  if (run.episodes == before.episodes && run.steps == before.steps) return;
  CheckBounds(before);
  WriteFileAtomically(directory_->config_file(), ConfigText(experiment_, directory_->path()));
}

void RunSession::CheckBounds(const RunOptions& before) const {
  const RunOptions& run = experiment_.run;
  const std::string where = directory_->path().string();
  const int steps = log_.episodes().empty() ? 0 : log_.episodes().back().total_steps;
  const auto check = [&](const char* name, int bound, int done) {
    if (bound == 0 || bound >= done) return;
    throw InputError(fmt::format("{}: run.{}: found {}, expected at least the {} that are done",
                                 where, name, bound, done));
  };
  check("episodes", run.episodes, saved_episodes_);
  check("steps", run.steps, steps);
  if (!before.IsOver(saved_episodes_, steps) || run.IsOver(saved_episodes_, steps)) return;
  if (log_.episodes().back().end == EpisodeEnd::kCutOff) {
    throw InputError(fmt::format(
        "{}: its last episode was cut off by run.steps = {}, expected a run that ended with a "
        "whole one: a longer run would have gone on within it",
        where, before.steps));
  }
  learner_->CheckMayGoOn();
}

// The folder has its name by now.
void RunSession::AddRecorder() {
  learner_->AddObserver(std::make_shared<EpisodeRecorder>(
      experiment_.task, experiment_.run.seed, directory_->recordings_folder(), experiment_.record));
}

void RunSession::CreateOrResume(const fs::path& path) {
  std::error_code error;
  fs::exists(path, error) ? Resume(path) : Create(path);
}

void RunSession::Run() {
  while (Step()) {
  }
}

bool RunSession::Step() {
  if (!directory_) {
    throw InputError(
        "run session: found no folder, expected Create, Resume or CreateOrResume before Run");
  }
  try {
    if (learner_->Step()) return true;
    tables_.Append(*directory_, log_);  // what was found after the last checkpoint
    status_ = "done";
    progress_.Close();
    WriteReport();
    return false;
  } catch (const Interrupted&) {
    status_ = fmt::format("interrupted after episode {}", saved_episodes_);
    progress_.Close();
    const std::string trouble = Trouble([this] { WriteReport(); });
    const std::string how = experiment_.task.is_made_in_code()
                                ? "the program that began it resumes it from"
                                : "resume with: foreplan run --resume";
    throw Interrupted(
        fmt::format("{}; {} {}{}", status_, how, directory_->path().string(), trouble));
  } catch (...) {
    // Whatever it is: input was checked before the run, so what ends it now is no wrong input.
    const std::string what = DescribeException();
    status_ = fmt::format("failed: {}", what);
    progress_.Close();
    std::string trouble = Trouble([this] { tables_.Append(*directory_, log_); });
    trouble += Trouble([this] { WriteData(); });
    trouble += Trouble([this] { WriteReport(); });
    throw RunError(fmt::format("{}; the run's data are kept in {}{}", what,
                               directory_->path().string(), trouble));
  }
}

nlohmann::ordered_json RunSession::Result() const {
  nlohmann::ordered_json returns = nlohmann::ordered_json::array();
  nlohmann::ordered_json steps = nlohmann::ordered_json::array();
  nlohmann::ordered_json ends = nlohmann::ordered_json::array();
  for (const EpisodeRow& row : log_.episodes()) {
    returns.push_back(row.episode_return);
    steps.push_back(row.steps);
    ends.push_back(NameOf(row.end));
  }
  const int total_steps = log_.episodes().empty() ? 0 : log_.episodes().back().total_steps;
  nlohmann::ordered_json result = {{"task", experiment_.task.name()},
                                   {"algorithm", experiment_.run.algorithm},
                                   {"planner", experiment_.run.planner},
                                   {"seed", experiment_.run.seed},
                                   {"status", status_},
                                   {"imagined", IsImagined(experiment_.task)},
                                   {"episode_returns", std::move(returns)},
                                   {"episode_steps", std::move(steps)},
                                   {"episode_ends", std::move(ends)},
                                   {"total_steps", total_steps},
                                   {"wall_seconds", wall_seconds()},
                                   {"planning_seconds", times().planning_seconds},
                                   {"fitting_seconds", times().fitting_seconds},
                                   {"run_directory", directory_->path().string()},
                                   {"versions", VersionsJson()}};
  if (!LearnerPlans(experiment_.run.algorithm)) result.erase("planner");
  if (!kept_.accepted.empty()) result["accepted"] = DifferencesJson(kept_.accepted);
  result.update(learner_->Results());
  return result;
}

double RunSession::wall_seconds() const {
  const auto elapsed = std::chrono::steady_clock::now() - start_;
  return seconds_before_ + std::chrono::duration<double>(elapsed).count();
}

void RunSession::WriteSetup() {
  WriteFileAtomically(directory_->config_file(), ConfigText(experiment_, directory_->path()));
  WriteFileAtomically(directory_->machine_file(), MachineJson(executor_->size()));
}

// What only grows comes before the checkpoint that counts it, and what is made from the same state
// after it: killed at any moment, the run has a checkpoint and all that this one needs.
void RunSession::SaveCheckpoint() {
  tables_.Append(*directory_, log_);
  WriteData();
  TensorFile state;
  learner_->Save(state);
  tables_.Save(state);
  decisions_.Save(state);
  state.metadata[kCheckpointRows] = fmt::format("{}", saved_rows_);
  state.metadata[kCheckpointDataChecksum] = ChecksumText(data_checksum_);
  state.metadata[kWallSecondsKey] = fmt::format("{}", wall_seconds());
  state.metadata[kCheckpointNumber] = fmt::format("{}", ++checkpoints_);
  SaveProvenance(kept_, state);
  WriteCheckpoint(*directory_, state);
  saved_episodes_ = static_cast<int>(log_.episodes().size());
  WriteModel();
}

void RunSession::WriteModel() {
  TensorFile model = learner_->Model();
  if (model.metadata.count("subject") != 0 && HoldsModel(model)) {
    WriteModelSections(experiment_.config, model);
  }
  model.metadata[kCheckpointNumber] = fmt::format("{}", checkpoints_);
  WriteTensors(directory_->model_file(), model);
}

void RunSession::WriteData() {
  const Dataset& data = learner_->data();
  WriteSegments(directory_->data_folder(), data, saved_rows_);
  data_checksum_ = RowsChecksum(data, saved_rows_, data_checksum_);
  saved_rows_ = data.size();
}

void RunSession::WriteReport() {
  ReportContent content{
      .task = experiment_.task.name(),
      .algorithm = experiment_.run.algorithm,
      .planner = LearnerPlans(experiment_.run.algorithm) ? experiment_.run.planner : std::string(),
      .seed = experiment_.run.seed,
      .status = status_,
      .accepted = kept_.accepted,
      .wall_seconds = wall_seconds(),
      .planning_seconds = times().planning_seconds,
      .fitting_seconds = times().fitting_seconds,
      .config_toml = ReadFile(directory_->config_file()),
      .machine_json = ReadFile(directory_->machine_file())};
  WriteFileAtomically(directory_->result_file(), Result().dump(2) + "\n");
  if (status_ == "done") {
    AddFigures(*directory_, experiment_.task, decisions_, kAnimationMb, stop_, content);
  } else {
    content.no_animation = "the run was stopped; foreplan report makes one of what was recorded";
  }
  WriteFileAtomically(directory_->report_file(), ReportPage(content, log_));
}

}  // namespace foreplan
