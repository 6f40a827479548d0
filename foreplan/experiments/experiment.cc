#include "foreplan/experiments/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/models/calibration.h"
#include "foreplan/planners/planner.h"
#include "foreplan/runs/run_directory.h"
#include "foreplan/systems/task_text.h"

namespace foreplan {
namespace {

constexpr int kDefaultEpisodes = 20;  // of a run that nothing bounds

void CheckName(std::string_view flag, std::string_view what, const std::string& name,
               const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    throw UnknownName(flag, what, name, known);
  }
}

void ApplyFlags(const RunFlags& flags, RunOptions& run) {
  if (flags.algorithm) {
    CheckName("--algorithm", "algorithm", *flags.algorithm, LearnerNames());
    run.algorithm = *flags.algorithm;
  }
  if (flags.planner) {
    CheckName("--planner", "planner", *flags.planner, PlannerNames());
    run.planner = *flags.planner;
  }
  if (flags.seed) run.seed = *flags.seed;
  // Whole, so that the run can be evaluated from another folder.
  if (flags.model) run.model = std::filesystem::absolute(*flags.model).string();
  if (flags.episodes || flags.steps) {
    run.episodes = flags.episodes.value_or(0);
    run.steps = flags.steps.value_or(0);
  }
  if (run.episodes == 0 && run.steps == 0) run.episodes = kDefaultEpisodes;
}

/// --set, before which the folder of --model says what kind of model it holds.
std::vector<std::string> Assignments(const RunFlags& flags) {
  std::vector<std::string> assignments;
  if (flags.model) {
    assignments =
        Config::FromFile(RunDirectory::OpenModel(*flags.model).config_file()).Assignments("model");
  }
  assignments.insert(assignments.end(), flags.assignments.begin(), flags.assignments.end());
  return assignments;
}

bool IsAssigned(const std::vector<std::string>& assignments, const std::string& key) {
  return std::any_of(assignments.begin(), assignments.end(), [&](const std::string& assignment) {
    return assignment.starts_with(key + "=") || assignment.starts_with(key + " ");
  });
}

/// A file's planning reward outlives another reward, and may be of another task by then.
std::vector<std::string> NotesOn(const RunFlags& flags, Config& config) {
  if (!IsAssigned(flags.assignments, "reward") ||
      IsAssigned(flags.assignments, "planning_reward")) {
    return {};
  }
  const auto task = ReadOptions<TaskOptions>(config, "");
  if (task.planning_reward.empty() || task.planning_reward == task.reward) return {};
  return {
      fmt::format("{}: stays '{}', though --set reward is another; with --set "
                  "'planning_reward=\"\"' plans are for the reward",
                  config.Where("", "planning_reward"), task.planning_reward)};
}

}  // namespace

void CheckWholeConfig(const RunOptions& run, Config& config) {
  ConfigWriter ignored;
  for (const std::string& name : LearnerNames()) WriteLearnerOptions(name, run, config, ignored);
  for (const std::string& name : PlannerNames()) WritePlannerOptions(name, config, ignored);
  static_cast<void>(ReadOptions<CalibrationOptions>(config, "calibration"));
  config.ThrowOnUnknownKeys();
}

Target ResolveTarget(const std::string& target, RunFlags flags) {
  std::error_code error;
  if (!std::filesystem::is_directory(target, error)) {
    if (target.find('/') != std::string::npos && !target.ends_with(".toml")) {
      throw InputError(
          fmt::format("{}: found no such folder, expected that of a run or a fit, or "
                      "the name or file of a task",
                      target));
    }
    return {target, std::move(flags), ""};
  }
  const bool is_fit =
      std::filesystem::exists(std::filesystem::path(target) / "calibration.json", error);
  if (!is_fit) {
    return {RunDirectory::Open(target).config_file().string(), std::move(flags), target};
  }
  if (!flags.model) flags.model = target;
  return {RunDirectory::OpenModel(target).config_file().string(), std::move(flags), ""};
}

Experiment LoadExperiment(const std::string& task, const RunFlags& flags) {
  auto [loaded, config] = Task::Load(task, Assignments(flags));
  std::vector<std::string> notes = NotesOn(flags, config);
  Experiment experiment{std::move(loaded), std::move(config), {}, {}, std::move(notes)};
  experiment.config.Read("run", experiment.run);
  experiment.config.Read("record", experiment.record);
  ApplyFlags(flags, experiment.run);
  if (flags.record) experiment.record.episodes = *flags.record;
  if (flags.record_mb) experiment.record.mb = *flags.record_mb;
  CheckWholeConfig(experiment.run, experiment.config);
  return experiment;
}

std::unique_ptr<LearnedModel> LoadLearnedModel(Experiment& experiment,
                                               std::shared_ptr<Executor> executor) {
  if (experiment.run.model.empty()) return nullptr;
  auto model = MakeLearnedModel(experiment.task, experiment.config, Key{}, std::move(executor));
  model->RestorePredictor(ReadTensors(RunDirectory::OpenModel(experiment.run.model).model_file()));
  return model;
}

std::string ConfigText(Experiment& experiment, const std::filesystem::path& directory) {
  ConfigWriter writer;
  experiment.task.Save(writer, directory);
  writer.Write("run", experiment.run);
  writer.Write("record", experiment.record);
  WriteLearnerOptions(experiment.run.algorithm, experiment.run, experiment.config, writer);
  if (experiment.task.planning_reward_is_learned()) WriteRewardOptions(experiment.config, writer);
  // The task's choices for other planners stay with it, for a later --planner.
  for (const std::string& name : PlannerNames()) {
    if (name != experiment.run.planner && experiment.config.Has("planner." + name)) {
      WritePlannerOptions(name, experiment.config, writer);
    }
  }
  return writer.text();
}

}  // namespace foreplan
