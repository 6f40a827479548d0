// foreplan eval: how good is a controller, without learning?
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/interrupt.h"
#include "foreplan/core/error.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/experiments/evaluation.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/experiments/learned_system.h"
#include "foreplan/experiments/run_figures.h"
#include "foreplan/policies/stored_policy.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/message.h"
#include "foreplan/runs/run_directory.h"
#include "foreplan/runs/status_line.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

struct EvalRequest {
  std::string target;  // folder of a run or a fit, or a task
  std::string controller;
  std::string actor;  // policy, sampled: how a policy that was learned acts
  bool compare = false;
  RunFlags flags;
  EvaluationRequest evaluation;
  bool record = false;
  std::string out;  // folder of the recordings; "": the default
  int threads = 1;
  bool json = false;
  bool print_config = false;
};

/// The controller of a run that learned a policy. Throws InputError for another target.
std::string Actor(const EvalRequest& request, const Target& target, const RunOptions& run) {
  const bool is_sampled = request.actor == "sampled";
  if (!is_sampled && request.actor != "policy") {
    throw InputError(
        fmt::format("eval: --actor: found '{}', expected policy, sampled", request.actor));
  }
  if (target.run_folder.empty()) {
    throw InputError(fmt::format(
        "eval: --actor: found it with '{}', expected the folder of a run, whose policy acts",
        request.target));
  }
  if (!HoldsPolicy(ReadTensors(RunDirectory::OpenModel(target.run_folder).model_file()))) {
    throw InputError(
        fmt::format("eval: --actor: found '{}', a run of '{}', which learned no policy of the "
                    "observation; expected one of {}",
                    request.target, run.algorithm, kPolicyLearners));
  }
  return is_sampled ? kSampled : kLearned;
}

/// Names of the controllers to evaluate; throws InputError when the request does not fit.
std::vector<std::string> Controllers(const EvalRequest& request, bool has_learned, bool imagined) {
  std::vector<std::string> known = BasePolicyNames();
  known.emplace_back(kTrueModel);
  if (has_learned) known.emplace_back(kLearned);
  if (request.compare && has_learned) return {"uniform", "zero", kLearned, kTrueModel};
  if (request.compare) return {"uniform", "zero", kTrueModel};
  if (request.controller.empty() && has_learned) return {kLearned};
  if (request.controller.empty() && imagined) return {kTrueModel};
  if (request.controller.empty()) {
    throw InputError(
        fmt::format("eval: '{}' is no folder of a run; for a task give --controller "
                    "({}) or --compare",
                    request.target, fmt::join(known, ", ")));
  }
  if (std::find(known.begin(), known.end(), request.controller) == known.end()) {
    throw UnknownName("--controller", "controller", request.controller, known);
  }
  return {request.controller};
}

void PrintJson(const EvalRequest& request, const Experiment& experiment,
               const std::vector<Evaluation>& evaluations) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Evaluation& evaluation : evaluations) {
    rows.push_back({{"controller", evaluation.controller},
                    {"mean", evaluation.summary.mean},
                    {"ci95", evaluation.summary.ci95},
                    {"min", evaluation.summary.min},
                    {"max", evaluation.summary.max},
                    {"ms_per_decision", evaluation.ms_per_decision},
                    {"episode_returns", evaluation.returns},
                    {"episode_steps", evaluation.steps}});
  }
  const nlohmann::ordered_json document = {{"task", experiment.task.name()},
                                           {"algorithm", experiment.run.algorithm},
                                           {"planner", experiment.run.planner},
                                           {"seed", request.evaluation.seed},
                                           {"episodes", request.evaluation.episodes},
                                           {"imagined", IsImagined(experiment.task)},
                                           {"rows", std::move(rows)},
                                           {"versions", VersionsJson()}};
  fmt::print("{}\n", document.dump(2));
}

std::string Title(const std::string& controller, const RunOptions& run) {
  const std::string& planner = run.planner;
  if (controller == "uniform") return "random actions";
  if (controller == "zero") return "zero action";
  if (controller == kLearned) {
    return LearnerPlans(run.algorithm) ? "learned model, " + planner : "learned policy";
  }
  if (controller == kSampled) return "learned policy, sampled";
  if (controller == kTrueModel) return "true model, " + planner;
  return controller;
}

void PrintTable(const EvalRequest& request, const Experiment& experiment,
                const std::vector<Evaluation>& evaluations) {
  fmt::print("{}: {} {}episodes from fresh starts, seed {}\n\n", experiment.task.name(),
             request.evaluation.episodes, IsImagined(experiment.task) ? "imagined " : "",
             request.evaluation.seed);
  fmt::print("{:<28}{:>12}{:>10}{:>12}{:>12}{:>14}\n", "controller", "mean return", "95 %", "min",
             "max", "ms/decision");
  for (const Evaluation& evaluation : evaluations) {
    const Summary& summary = evaluation.summary;
    const std::string interval =
        std::isnan(summary.ci95) ? "-" : fmt::format("±{:.2f}", summary.ci95);
    fmt::print("{:<28}{:>12.2f}{:>10}{:>12.2f}{:>12.2f}{:>14.3f}\n",
               Title(evaluation.controller, experiment.run), summary.mean, interval, summary.min,
               summary.max, evaluation.ms_per_decision);
  }
}

/// Where episodes are recorded: in the folder of the run or fit that is evaluated.
fs::path RecordingsFolder(const EvalRequest& request, const Experiment& experiment) {
  if (!request.out.empty()) return request.out;
  if (fs::is_directory(request.target)) return fs::path(request.target) / "evaluation";
  return RunDirectory::FreshPath("runs", experiment.task.name(), "eval", request.evaluation.seed);
}

/// What an interrupt leaves.
std::string Kept(const fs::path& recordings) {
  std::error_code error;
  if (recordings.empty() || !fs::exists(recordings, error)) return "nothing is written";
  return "whole episodes stay recorded in " + recordings.string();
}

/// With the settings that the run has: its report shows what was found.
bool IsOfTheRunItself(const EvalRequest& request, const Target& target) {
  const RunFlags& flags = request.flags;
  return !target.run_folder.empty() && flags.assignments.empty() && !flags.planner &&
         !flags.model && !flags.deadline_ms;
}

/// A folder that cannot be written to does no harm to what was found.
void Keep(const RunDirectory& directory, const std::vector<Evaluation>& evaluations, int seed) {
  try {
    for (const Evaluation& evaluation : evaluations) WriteEvaluation(directory, evaluation, seed);
  } catch (const RunError& error) {
    WriteToStderr(fmt::format("foreplan: note: not kept for the report: {}\n", error.what()));
  }
}

void Eval(const EvalRequest& request) {
  if (!request.out.empty() && !request.record) {
    throw InputError("eval: --out: found it without --record, expected both: nothing else is kept");
  }
  const Target target = ResolveTarget(request.target, request.flags);
  Experiment experiment = LoadExperiment(target.task, target.flags);
  PrintNotes(experiment.notes);
  if (request.print_config) return PrintConfig(experiment);
  const std::vector<std::string> controllers =
      request.actor.empty()
          ? Controllers(request, target.has_learned(), IsImagined(experiment.task))
          : std::vector<std::string>{Actor(request, target, experiment.run)};

  const auto executor = std::make_shared<ThreadPool>(request.threads);
  const std::stop_token stop = CatchInterrupts();
  const fs::path recordings = request.record ? RecordingsFolder(request, experiment) : "";
  if (request.record) NoteNewFolders(recordings);
  RecordOptions record = experiment.record;
  record.episodes = RecordedEpisodes::kAll;
  StatusLine line;
  std::vector<Evaluation> evaluations;
  for (const std::string& controller : controllers) {
    WorkProgress progress(controller, request.evaluation.episodes, "episodes", line);
    EvaluationRequest evaluation = request.evaluation;
    evaluation.progress = [&progress](double episodes) { progress.Show(episodes); };
    if (request.record) {
      evaluation.observer = std::make_shared<EpisodeRecorder>(experiment.task, evaluation.seed,
                                                              recordings / controller, record);
    }
    try {
      evaluations.push_back(EvaluateController(controller, experiment, target.run_folder,
                                               evaluation, executor, stop));
    } catch (const Interrupted&) {
      throw Interrupted("interrupted; " + Kept(recordings));
    }
  }
  if (IsOfTheRunItself(request, target)) {
    Keep(RunDirectory::Open(target.run_folder), evaluations, request.evaluation.seed);
  }
  (request.json ? PrintJson : PrintTable)(request, experiment, evaluations);
  if (request.record && !request.json) {
    fmt::print("\nrecordings: {}\n", recordings.string());
  }
}

}  // namespace

void AddEvalCommand(CLI::App& app) {
  auto request = std::make_shared<EvalRequest>();
  CLI::App& command =
      *app.add_subcommand("eval", "measure what a run has learned, or another controller");
  command
      .add_option("target", request->target,
                  "the folder of a run or a fit, or a task; with --model alone the model is the "
                  "system")
      ->type_name("RUN|TASK");
  CLI::Option* controller =
      command
          .add_option("--controller", request->controller, "what acts; default: what was learned")
          ->type_name(
              fmt::format("{}|{}|{}", fmt::join(BasePolicyNames(), "|"), kTrueModel, kLearned));
  CLI::Option* compare =
      command
          .add_flag("--compare", request->compare,
                    "compare random actions, no action, what was learned and the true model")
          ->excludes(controller);
  command
      .add_option("--actor", request->actor,
                  "how the policy of a run acts: by its mean action, which is the default where "
                  "one was learned, or with its noise (kept as 'sampled')")
      ->type_name("policy|sampled")
      ->excludes(controller)
      ->excludes(compare);
  command.add_option("--episodes", request->evaluation.episodes, "default: 10")
      ->check(IntegerFrom(1, 1'000'000));
  command.add_option("--seed", request->evaluation.seed, "of the start states; default: 0")
      ->check(IntegerFrom(0, 2147483647));
  command.add_flag("--record", request->record,
                   "record the episodes: DIR/CONTROLLER/episode_000001.safetensors.gz, ...");
  command
      .add_option("--out", request->out,
                  "folder of the recordings; default: 'evaluation' in the folder of the run or "
                  "fit, runs/<task>-eval-<seed>-<time> for a task")
      ->type_name("DIR");
  AddModelFlag(command, request->flags);
  AddPlannerFlag(command, request->flags);
  AddDeadlineFlag(command, request->flags);
  AddSetFlag(command, request->flags);
  AddPrintConfigFlag(command, request->print_config);
  AddThreadsFlag(command, request->threads);
  AddJsonFlag(command, request->json);
  command.callback([request] { Eval(*request); });
}

}  // namespace foreplan::apps
