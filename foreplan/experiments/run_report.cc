#include "foreplan/experiments/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <utility>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/core/options.h"
#include "foreplan/data/base64.h"
#include "foreplan/data/files.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/experiments/run_figures.h"
#include "foreplan/learners/episode_recorder.h"
#include "foreplan/learners/learner.h"
#include "foreplan/runs/checkpoint.h"
#include "foreplan/runs/page.h"
#include "foreplan/runs/provenance.h"

namespace foreplan {
namespace assets {
extern const std::string_view kAnimationHtml;
}  // namespace assets

namespace {

namespace fs = std::filesystem;

/// The first key of a configuration.
struct TaskName {
  std::string name;
  void Visit(OptionsVisitor& visitor) { visitor.Field("name", name, "of the task"); }
};

/// Without a last line that is not whole yet.
std::string WholeLines(const fs::path& file) {
  std::string text = ReadFile(file);
  text.resize(text.rfind('\n') + 1);  // npos + 1 = 0
  return text;
}

/// How the run ended, where what it left says so of the episodes that are there; null else.
nlohmann::json ResultOf(const RunDirectory& directory, const RunLog& log) {
  std::error_code error;
  if (!fs::exists(directory.result_file(), error)) return nullptr;
  const std::string file = directory.result_file().string();
  nlohmann::json result = nlohmann::json::parse(ReadFile(file), nullptr, false);
  try {
    const bool is_older = result.at("episode_returns").size() != log.episodes().size();
    if (is_older) return nullptr;
    static_cast<void>(result.at("status").get_ref<const std::string&>());
    for (const char* key : {"wall_seconds", "planning_seconds", "fitting_seconds"}) {
      static_cast<void>(result.at(key).get<double>());
    }
    return result;
  } catch (const nlohmann::json::exception&) {
    throw InputError(
        fmt::format("{}: found something else, expected what 'foreplan run' wrote there", file));
  }
}

std::string StatusOfUnfinished(const RunDirectory& directory, const RunLog& log) {
  return fmt::format("{} after episode {}", directory.IsInUse() ? "running" : "stopped",
                     log.episodes().size());
}

/// Throws InputError, also for one that was made in code.
Task TaskOf(const RunDirectory& directory) {
  return LoadExperiment(directory.config_file().string(), {}).task;
}

void AddCharts(const RunDirectory& directory, const DecisionTimes& decisions,
               const std::stop_token& stop, ReportContent& content) {
  content.levels = ReturnLevels(directory);
  content.charts = nlohmann::ordered_json::array();
  if (decisions.count() > 0) content.charts.push_back(DecisionChart(decisions));
  try {
    for (auto& chart : ModelCharts(directory, stop)) content.charts.push_back(std::move(chart));
  } catch (const std::exception&) {  // of local models, policies and the like there are none
    if (stop.stop_requested()) throw;
  }
}

/// `make_task` may throw, too.
void AddReplay(const RunDirectory& directory, const std::function<Task()>& make_task,
               double most_mb, ReportContent& content) {
  try {
    const std::vector<fs::path> recordings = RecordingsOf(directory);
    content.no_animation = "no episode was recorded (run it with --record)";
    if (recordings.empty()) return;
    content.animation =
        MakeAnimation(ReadEpisodeRecording(recordings.back()), make_task(), most_mb).bytes;
  } catch (const std::exception& error) {
    content.no_animation = error.what();
  }
}

/// Of the run in whose folder the file lies: RUN/recordings/..., RUN/evaluation/CONTROLLER/....
Task TaskOf(const fs::path& file, const EpisodeRecording& recording) {
  constexpr int kLevels = 3;
  fs::path folder = fs::absolute(file).parent_path();
  for (int level = 0; level < kLevels; ++level, folder = folder.parent_path()) {
    const fs::path config = folder / "config.toml";
    std::error_code error;
    if (fs::exists(config, error)) return LoadExperiment(config.string(), {}).task;
  }
  return LoadExperiment(recording.task, {}).task;
}

}  // namespace

StoredRun ReadStoredRun(const fs::path& folder) {
  StoredRun run{RunDirectory::Open(folder), {}, RunLog()};
  const RunDirectory& directory = run.directory;
  Config config = Config::FromFile(directory.config_file());
  const auto options = ReadOptions<RunOptions>(config, "run");
  run.log.RestoreCsv(WholeLines(directory.episodes_file()), WholeLines(directory.metrics_file()),
                     folder.string());
  const nlohmann::json result = ResultOf(directory, run.log);
  run.content = {.task = ReadOptions<TaskName>(config, "").name,
                 .algorithm = options.algorithm,
                 .planner = LearnerPlans(options.algorithm) ? options.planner : "",
                 .seed = options.seed,
                 .status = StatusOfUnfinished(directory, run.log),
                 .config_toml = ReadFile(directory.config_file()),
                 .machine_json = ReadFile(directory.machine_file())};
  if (result.is_null()) return run;
  run.content.status = result["status"].get<std::string>();
  run.content.wall_seconds = result["wall_seconds"].get<double>();
  run.content.planning_seconds = result["planning_seconds"].get<double>();
  run.content.fitting_seconds = result["fitting_seconds"].get<double>();
  return run;
}

void AddFigures(const RunDirectory& directory, const Task& task, const DecisionTimes& decisions,
                double most_mb, const std::stop_token& stop, ReportContent& content) {
  AddCharts(directory, decisions, stop, content);
  AddReplay(
      directory, [&task]() -> Task { return task; }, most_mb, content);
}

void AddFigures(StoredRun& run, double most_mb, const std::stop_token& stop) {
  const RunDirectory& directory = run.directory;
  const TensorFile state = ReadLastState(directory);
  run.content.accepted = ReadProvenance(state).accepted;
  AddCharts(directory, ReadDecisionTimes(directory, state), stop, run.content);
  AddReplay(
      directory, [&] { return TaskOf(directory); }, most_mb, run.content);
}

std::vector<fs::path> RecordingsOf(const RunDirectory& directory) {
  return RecordingsIn(directory.recordings_folder());
}

fs::path RecordingOf(const RunDirectory& directory, std::optional<int> episode) {
  const std::vector<fs::path> files = RecordingsOf(directory);
  if (files.empty()) {
    throw InputError(fmt::format("{}: found no recorded episode, expected one: run with --record",
                                 directory.path().string()));
  }
  if (!episode) return files.back();
  fs::path wanted = RecordingFile(directory.recordings_folder(), *episode);
  if (std::ranges::find(files, wanted) != files.end()) return wanted;
  throw InputError(fmt::format(
      "{}: found no recording of episode {}, expected one that is there, of {} from {} to {}",
      directory.path().string(), *episode, files.size(), files.front().filename().string(),
      files.back().filename().string()));
}

RecordedAnimation AnimationOf(const fs::path& source, std::optional<int> episode, double most_mb) {
  std::error_code error;
  const bool is_run = fs::is_directory(source, error);
  if (!is_run && episode) {
    throw InputError(
        fmt::format("{}: found --episode beside the file of one, expected the folder of a run",
                    source.string()));
  }
  const fs::path file = is_run ? RecordingOf(RunDirectory::Open(source), episode) : source;
  RecordedAnimation recorded{ReadEpisodeRecording(file), {}};
  const Task task = TaskOf(file, recorded.recording);
  recorded.animation = MakeAnimation(recorded.recording, task, most_mb);
  return recorded;
}

std::string AnimationPage(const RecordedAnimation& recorded) {
  const auto& [recording, animation] = recorded;
  return FillPage(
      assets::kAnimationHtml,
      {{"title", EscapedForHtml(fmt::format("{} · episode {}", recording.task, recording.episode))},
       {"animation", Base64Of(animation.bytes)}});
}

}  // namespace foreplan
