// foreplan replay: does a task's system do what a recording says?
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/log_flags.h"
#include "foreplan/core/config_text.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/experiments/replay.h"
#include "foreplan/runs/machine.h"

namespace foreplan::apps {
namespace {

struct ReplayRequest {
  std::string task;
  std::string recording;
  bool free_running = false;
  RunFlags flags;
  LogSection log;
  bool json = false;
};

/// null where nothing was recorded.
nlohmann::ordered_json Number(double value) {
  return std::isnan(value) ? nlohmann::ordered_json() : nlohmann::ordered_json(value);
}

nlohmann::ordered_json ByName(const std::vector<Component>& components,
                              const std::vector<double>& errors) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (size_t i = 0; i < errors.size(); ++i) object[components[i].name] = Number(errors[i]);
  return object;
}

void PrintJson(const ReplayRequest& request, const SystemSpec& spec, const std::string& task,
               const StateRecording& recording, const ReplayErrors& errors) {
  nlohmann::ordered_json document = {
      {"task", task},
      {"recording", request.recording},
      {"mode", request.free_running ? "free_running" : "one_step"},
      {"episodes", recording.episodes.size()},
      {"steps", errors.steps},
      {"max_error",
       {{"state", ByName(spec.state, errors.state)},
        {"observation", ByName(spec.observation, errors.observation)},
        {"reward", Number(errors.reward)}}},
      {"wrong_ends", nullptr},
      {"diverged", errors.diverged},
      {"notes", recording.notes},
      {"versions", VersionsJson()}};
  if (errors.wrong_ends) document["wrong_ends"] = *errors.wrong_ends;
  fmt::print("{}\n", document.dump(2));
}

void PrintRows(const char* kind, const std::vector<Component>& components,
               const std::vector<double>& errors) {
  for (size_t i = 0; i < errors.size(); ++i) {
    const std::string error = std::isnan(errors[i]) ? "-" : fmt::format("{:.3g}", errors[i]);
    fmt::print("{:<13}{:<32}{:>12} {}\n", i == 0 ? kind : "", components[i].name, error,
               components[i].unit);
  }
}

void PrintTable(const ReplayRequest& request, const SystemSpec& spec, const std::string& task,
                const StateRecording& recording, const ReplayErrors& errors) {
  fmt::print("{}: {}, {} in {}, {}\n\n", task, request.recording, Counted(errors.steps, "step"),
             Counted(recording.episodes.size(), "episode"),
             request.free_running ? "running freely from the first state of each"
                                  : "one step from every recorded state");
  fmt::print("{:<45}{:>12}\n", "largest error", "");
  PrintRows("state", spec.state, errors.state);
  PrintRows("observation", spec.observation, errors.observation);
  PrintRows("reward", {{"", ""}}, {errors.reward});
  if (errors.wrong_ends) fmt::print("\nwrong ends: {} of {}\n", *errors.wrong_ends, errors.steps);
  if (errors.diverged > 0) {
    fmt::print("diverged: {} steps, the first at {}\n", errors.diverged, errors.first_divergence);
  }
  for (const std::string& note : recording.notes) fmt::print("note: {}\n", note);
}

void RunReplay(const ReplayRequest& request) {
  const Experiment experiment = LoadExperiment(request.task, request.flags);
  const Task& task = experiment.task;
  StateRecording recording = ReadStates(task, request.recording, request.log.options());
  if (task.measurement_noise() > 0) {
    recording.notes.push_back(
        fmt::format("recorded observations are measured, off by {:g} (measurement_noise)",
                    task.measurement_noise()));
  }
  const ReplayErrors errors = Replay(
      task, recording, request.free_running ? ReplayMode::kFreeRunning : ReplayMode::kOneStep);
  (request.json ? PrintJson : PrintTable)(request, task.MakeSystem()->spec(), task.name(),
                                          recording, errors);
}

}  // namespace

void AddReplayCommand(CLI::App& app) {
  auto request = std::make_shared<ReplayRequest>();
  CLI::App& command = *app.add_subcommand(
      "replay", "play recorded actions from recorded states, and compare what follows");
  command.add_option("task", request->task, "name or file of a task")
      ->required()
      ->type_name("TASK");
  command
      .add_option(
          "recording", request->recording,
          "the recording of an episode (.safetensors.gz), a log with the state's components "
          "as columns, or JSON with qpos and qvel")
      ->required()
      ->type_name("FILE");
  command.add_flag("--free-running", request->free_running,
                   "set the first state of an episode only; default: every recorded state");
  AddLogFlags(command, request->log);
  AddSetFlag(command, request->flags);
  AddJsonFlag(command, request->json);
  command.callback([request] { RunReplay(*request); });
}

}  // namespace foreplan::apps
