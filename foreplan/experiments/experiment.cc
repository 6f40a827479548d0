#include "foreplan/experiments/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/log_section.h"
#include "foreplan/experiments/learned_system.h"
#include "foreplan/models/calibration.h"
#include "foreplan/planners/planner.h"
#include "foreplan/runs/run_directory.h"
#include "foreplan/systems/task_files.h"
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

/// --set, before which the folder of --model says what kind of model it holds, and what is the same
/// as --set.
std::vector<std::string> Assignments(const RunFlags& flags) {
  std::vector<std::string> assignments;
  if (flags.model) {
    assignments =
        Config::FromFile(RunDirectory::OpenModel(*flags.model).config_file()).Assignments("model");
  }
  assignments.insert(assignments.end(), flags.assignments.begin(), flags.assignments.end());
  if (flags.deadline_ms) {
    assignments.push_back(fmt::format("mpc.deadline_ms={}", *flags.deadline_ms));
  }
  return assignments;
}

bool IsAssigned(const std::vector<std::string>& assignments, const std::string& key) {
  return std::any_of(assignments.begin(), assignments.end(), [&](const std::string& assignment) {
    return assignment.starts_with(key + "=") || assignment.starts_with(key + " ");
  });
}

/// A file's planning reward outlives another reward, and may be of another task by then.
void NoteAnotherPlanningReward(const RunFlags& flags, Experiment& experiment) {
  if (!IsAssigned(flags.assignments, "reward") ||
      IsAssigned(flags.assignments, "planning_reward")) {
    return;
  }
  const auto task = ReadOptions<TaskOptions>(experiment.config, "");
  if (task.planning_reward.empty() || task.planning_reward == task.reward) return;
  experiment.notes.push_back(
      fmt::format("{}: stays '{}', though --set reward is another; with --set "
                  "'planning_reward=\"\"' plans are for the reward",
                  experiment.config.Where("", "planning_reward"), task.planning_reward));
}

/// Consequences come after seconds, defaults are in steps: of few milliseconds, or in a long
/// episode, they are short.
void NoteShortHorizon(Experiment& experiment) {
  constexpr double kShort = 0.5;          // [s]
  constexpr double kShortOfEpisode = 50;  // parts of it
  if (!LearnerPlans(experiment.run.algorithm)) return;
  const std::string section = "planner." + experiment.run.planner;
  const Config& config = experiment.config;
  if (config.Layer(section, "horizon") > 0 || config.Layer("planner", "horizon_seconds") > 0)
    return;
  const PlanningHorizon horizon = HorizonOf(experiment);
  const double episode = horizon.episode_seconds;
  if (horizon.steps == 0 ||
      horizon.seconds >= std::max(std::min(kShort, episode), episode / kShortOfEpisode)) {
    return;
  }
  experiment.notes.push_back(fmt::format(
      "{}.horizon: {} steps by default, which is {:.3g} s of an episode of {:.3g} s; consequences "
      "that come later are not seen: planner.horizon_seconds says how far plans look ahead",
      section, horizon.steps, horizon.seconds, episode));
}

/// Of a name that is no folder.
void CheckMayBeTask(const std::string& target) {
  if (!std::filesystem::path(target).extension().empty()) return;
  const std::vector<std::string> tasks = TaskFileNames();
  if (std::find(tasks.begin(), tasks.end(), target) != tasks.end()) return;
  throw UnknownTask("", "folder or task", target);
}

/// A model steps as its data did; what stands between it and who acts would go unseen.
void RefuseDecisionsInAModel(const Task& task, Config& config) {
  if (ReadSystemType(config) != kLearnedSystemType || IsImagined(task)) return;
  throw InputError(
      fmt::format("{}: found a learned system with actions that are repeated or filtered, or with "
                  "expressions that know the time or the action before, expected neither",
                  config.name()));
}

bool HasTask(const std::string& config_file) {
  Config config = Config::FromFile(config_file);
  return !ReadOptions<TaskOptions>(config, "").name.empty();
}

InputError NoTask(const std::string& fit) {
  return InputError(
      fmt::format("{0}: found a fit without a task, expected a task and --model {0}, or --set "
                  "reward=... and --set episode_length=... to imagine: data do not say what is to "
                  "be done",
                  fit));
}

}  // namespace

PlanningHorizon HorizonOf(Experiment& experiment) {
  const double dt = experiment.task.spec().dt;
  const int steps = PlannerHorizon(experiment.run.planner, experiment.config);
  return {steps, steps * dt, experiment.task.episode_length() * dt};
}

void CheckWholeConfig(const RunOptions& run, Config& config) {
  ConfigWriter ignored;
  for (const std::string& name : LearnerNames()) WriteLearnerOptions(name, run, config, ignored);
  for (const std::string& name : PlannerNames()) WritePlannerOptions(name, config, ignored);
  static_cast<void>(ReadOptions<CalibrationOptions>(config, "calibration"));
  static_cast<void>(ReadLogSection(config));
  config.ThrowOnUnknownKeys();
}

Target ResolveTarget(const std::string& target, RunFlags flags) {
  std::error_code error;
  if (target.empty()) {
    if (flags.model) return {"", std::move(flags), ""};
    throw InputError("found neither a task nor --model, expected one of them");
  }
  if (!std::filesystem::is_directory(target, error)) {
    CheckMayBeTask(target);
    return {target, std::move(flags), ""};
  }
  const bool is_fit =
      std::filesystem::exists(std::filesystem::path(target) / "calibration.json", error);
  if (!is_fit) {
    return {RunDirectory::Open(target).config_file().string(), std::move(flags), target};
  }
  const std::string config = RunDirectory::OpenModel(target).config_file().string();
  if (!flags.model) flags.model = target;
  if (!HasTask(config)) {
    if (IsAssigned(flags.assignments, "reward")) return {"", std::move(flags), ""};
    throw NoTask(target);
  }
  return {config, std::move(flags), ""};
}

Experiment LoadExperiment(const std::string& task, const RunFlags& flags) {
  RegisterLearnedSystem();
  auto [loaded, config] = task.empty() ? LoadImaginedTask(flags.model.value(), Assignments(flags))
                                       : Task::Load(task, Assignments(flags));
  return MakeExperiment(std::move(loaded), std::move(config), flags);
}

Experiment MakeExperiment(Task task, Config config, const RunFlags& flags) {
  if (!task.is_made_in_code()) RefuseDecisionsInAModel(task, config);
  Experiment experiment{std::move(task), std::move(config), {}};
  experiment.config.Read("run", experiment.run);
  experiment.config.Read("record", experiment.record);
  ApplyFlags(flags, experiment.run);
  PrepareConfig(experiment.run.algorithm, experiment.config);
  if (flags.record) experiment.record.episodes = *flags.record;
  if (flags.record_mb) experiment.record.mb = *flags.record_mb;
  CheckWholeConfig(experiment.run, experiment.config);
  NoteAnotherPlanningReward(flags, experiment);
  NoteShortHorizon(experiment);
  return experiment;
}

std::unique_ptr<LearnedModel> LoadLearnedModel(Experiment& experiment,
                                               std::shared_ptr<Executor> executor) {
  if (experiment.run.model.empty()) return nullptr;
  auto model = MakeLearnedModel(experiment.task, experiment.config, Key{}, std::move(executor));
  const TensorFile file = ReadTensors(RunDirectory::OpenModel(experiment.run.model).model_file());
  CheckSubject(experiment.task, file);
  model->RestorePredictor(file);
  return model;
}

void WriteConfig(Experiment& experiment, const std::filesystem::path& directory,
                 ConfigWriter& writer) {
  experiment.task.Save(writer, directory);
  writer.Write("run", experiment.run);
  writer.Write("record", experiment.record);
  WriteLogSection(experiment.config, writer);
  WriteLearnerOptions(experiment.run.algorithm, experiment.run, experiment.config, writer);
  if (experiment.task.planning_reward_is_learned()) WriteRewardOptions(experiment.config, writer);
  // The task's choices for other planners stay with it, for a later --planner.
  for (const std::string& name : PlannerNames()) {
    if (name != experiment.run.planner && experiment.config.Has("planner." + name)) {
      WritePlannerOptions(name, experiment.config, writer);
    }
  }
}

std::string ConfigText(Experiment& experiment, const std::filesystem::path& directory) {
  ConfigWriter writer;
  WriteConfig(experiment, directory, writer);
  return writer.text();
}

std::vector<OptionDescription> OtherOptions(Experiment& experiment) {
  ConfigWriter used;
  WriteConfig(experiment, "", used);
  ConfigWriter all;
  for (const std::string& name : LearnerNames()) {
    WriteLearnerOptions(name, experiment.run, experiment.config, all);
  }
  for (const std::string& name : PlannerNames()) {
    WritePlannerOptions(name, experiment.config, all);
  }
  WriteRewardOptions(experiment.config, all);
  auto calibration = ReadOptions<CalibrationOptions>(experiment.config, "calibration");
  all.Write("calibration", calibration);

  std::set<std::string> known;
  for (const OptionDescription& option : used.options()) known.insert(option.path());
  std::vector<OptionDescription> others;
  for (const OptionDescription& option : all.options()) {
    if (known.insert(option.path()).second) others.push_back(option);
  }
  return others;
}

}  // namespace foreplan
