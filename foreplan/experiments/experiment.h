// What is run: a task and its configuration in layers.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/executor.h"
#include "foreplan/learners/episode_recorder.h"
#include "foreplan/learners/learner.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/systems/task.h"

namespace foreplan {

/// What is asked for beside a task; what is absent leaves the config as it is.
struct RunFlags {
  std::optional<std::string> algorithm = {};
  std::optional<std::string> planner = {};
  std::optional<int> seed = {};
  std::optional<int> episodes = {};
  std::optional<int> steps = {};
  std::optional<std::string> model = {};  // folder of a fit or a run
  std::optional<RecordedEpisodes> record = {};
  std::optional<double> record_mb = {};
  std::vector<std::string> assignments = {};  // --set
  std::optional<double> deadline_ms = {};     // mpc.deadline_ms
};

/// Built-in defaults < task file < --set < flags.
struct Experiment {
  Task task;
  Config config;
  RunOptions run;
  RecordOptions record = {};
  std::vector<std::string> notes = {};  // what a user may have overlooked, a line each
};

/// Loads a shipped task or a task file; "": what is imagined in the model of flags.model. Throws
/// InputError for whatever is wrong in it or in the flags: unknown names and keys, types, ranges.
Experiment LoadExperiment(const std::string& task, const RunFlags& flags);

/// The same of a task that is loaded, or made in code, with the configuration it was read from.
Experiment MakeExperiment(Task task, Config config, const RunFlags& flags);

/// How far the run's planner looks ahead, beside the task's episode.
struct PlanningHorizon {
  int steps = 0;               // 0: it has no horizon that is known
  double seconds = 0;          // [s]
  double episode_seconds = 0;  // [s]
};
PlanningHorizon HorizonOf(Experiment& experiment);

/// A configuration may hold options of learners and planners that this run does not use: they are
/// checked all the same, and what nobody has read is a key that nobody knows. Throws InputError.
void CheckWholeConfig(const RunOptions& run, Config& config);

/// What eval and tune are pointed at.
struct Target {
  std::string task;        // name or file; "": what the model of flags.model imagines
  RunFlags flags;          // with --model when the target is a fit
  std::string run_folder;  // "": no run
  [[nodiscard]] bool has_learned() const { return !run_folder.empty() || flags.model; }
};

/// The folder of a run, the folder of a fit, or a task. Of a fit without a task for which a reward
/// is set, and of "" with a model, what the model imagines. Throws InputError for other folders.
Target ResolveTarget(const std::string& target, RunFlags flags);

/// The model of the experiment's run.model; null when there is none.
std::unique_ptr<LearnedModel> LoadLearnedModel(Experiment& experiment,
                                               std::shared_ptr<Executor> executor);

/// Everything that config.toml holds: running that file repeats the run. `directory` is where the
/// text will stand; files the task needs are copied there. "": it may stand anywhere, and nothing
/// is written to the disk.
std::string ConfigText(Experiment& experiment, const std::filesystem::path& directory);
/// The same, each value with what may stand in its place.
void WriteConfig(Experiment& experiment, const std::filesystem::path& directory,
                 ConfigWriter& writer);
/// What else a configuration may say, of algorithms and planners that this run does not use.
std::vector<OptionDescription> OtherOptions(Experiment& experiment);

}  // namespace foreplan
