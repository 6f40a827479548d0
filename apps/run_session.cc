#include "apps/run_session.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/report.h"
#include "foreplan/runs/tensorboard.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

// Metadata of checkpoint/state.safetensors beside the learner's tensors: one file, so that one
// rename makes the whole state of a run valid.
constexpr const char* kEpisodesKey = "episodes.csv";
constexpr const char* kMetricsKey = "metrics.csv";
constexpr const char* kWallSecondsKey = "wall_seconds";

const std::string& Metadata(const TensorFile& file, const char* key) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) {
    throw InputError(fmt::format("{}: metadata '{}' is missing, expected the checkpoint of a run",
                                 file.source, key));
  }
  return found->second;
}

double MetadataNumber(const TensorFile& file, const char* key) {
  const std::string& text = Metadata(file, key);
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) {
    throw InputError(
        fmt::format("{}: metadata '{}': found '{}', expected a number", file.source, key, text));
  }
  return value;
}

}  // namespace

RunSession::RunSession(Experiment experiment, int threads, const std::atomic<bool>& stop)
    : experiment_(std::move(experiment)),
      pool_(threads),
      log_(&progress_),
      start_(std::chrono::steady_clock::now()) {
  const LearnerContext context{.task = experiment_.task,
                               .run = experiment_.run,
                               .pool = pool_,
                               .log = log_,
                               .stop = stop,
                               .checkpoint = [this] { SaveCheckpoint(); }};
  learner_ = MakeLearner(experiment_.run.algorithm, experiment_.config, context);
}

void RunSession::Create(const fs::path& path) {
  directory_ = RunDirectory::Create(path);
  try {
    WriteSetup();
    SaveCheckpoint();
  } catch (...) {
    std::error_code ignored;  // the first error is the one to tell
    fs::remove_all(path, ignored);
    throw;
  }
}

void RunSession::Resume(const fs::path& path) {
  directory_ = RunDirectory::Open(path);
  const TensorFile state = ReadTensors(directory_->checkpoint_file());
  learner_->Restore(state);
  log_.RestoreCsv(Metadata(state, kEpisodesKey), Metadata(state, kMetricsKey), state.source);
  seconds_before_ = MetadataNumber(state, kWallSecondsKey);
  saved_episodes_ = static_cast<int>(log_.episodes().size());
}

void RunSession::Run() {
  try {
    learner_->Run();
    status_ = "done";
    // A run that was killed between its checkpoint and its tables gets them now.
    WriteTables();
  } catch (const Interrupted&) {
    status_ = fmt::format("interrupted after episode {}", saved_episodes_);
    progress_.Close();
    WriteReport();
    throw Interrupted(fmt::format("{}; resume with: foreplan run --resume {}", status_,
                                  directory_->path().string()));
  } catch (const RunError& error) {
    status_ = fmt::format("failed: {}", error.what());
    progress_.Close();
    WriteTables();
    WriteReport();
    throw RunError(fmt::format("{}; the run's data are kept in {}", error.what(),
                               directory_->path().string()));
  }
  progress_.Close();
  WriteReport();
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
  result.update(learner_->Results());
  return result;
}

double RunSession::wall_seconds() const {
  const auto elapsed = std::chrono::steady_clock::now() - start_;
  return seconds_before_ + std::chrono::duration<double>(elapsed).count();
}

void RunSession::WriteSetup() {
  WriteFileAtomically(directory_->config_file(), ConfigText(experiment_, directory_->path()));
  WriteFileAtomically(directory_->machine_file(), MachineJson(pool_.size()));
}

void RunSession::SaveCheckpoint() {
  TensorFile state;
  learner_->Save(state);
  state.metadata[kEpisodesKey] = log_.EpisodesCsv();
  state.metadata[kMetricsKey] = log_.MetricsCsv();
  state.metadata[kWallSecondsKey] = fmt::format("{}", wall_seconds());
  WriteTensors(directory_->checkpoint_file(), state);
  saved_episodes_ = static_cast<int>(log_.episodes().size());

  WriteTables();
  WriteTensors(directory_->model_file(), learner_->Model());
}

void RunSession::WriteTables() {
  WriteFileAtomically(directory_->episodes_file(), log_.EpisodesCsv());
  WriteFileAtomically(directory_->metrics_file(), log_.MetricsCsv());
  WriteFileAtomically(directory_->events_file(), TensorBoardEvents(log_));
  WriteTensors(directory_->data_file(), learner_->Data());
}

void RunSession::WriteReport() {
  const ReportContent content{
      .task = experiment_.task.name(),
      .algorithm = experiment_.run.algorithm,
      .planner = LearnerPlans(experiment_.run.algorithm) ? experiment_.run.planner : std::string(),
      .seed = experiment_.run.seed,
      .status = status_,
      .wall_seconds = wall_seconds(),
      .planning_seconds = times().planning_seconds,
      .fitting_seconds = times().fitting_seconds,
      .config_toml = ReadFile(directory_->config_file()),
      .machine_json = ReadFile(directory_->machine_file())};
  WriteFileAtomically(directory_->report_file(), ReportPage(content, log_));
}

}  // namespace foreplan::apps
