// foreplan plan: one trajectory from a start state, as a table and a figure.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stop_token>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/interrupt.h"
#include "foreplan/core/error.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/data/files.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/experiments/learned_system.h"
#include "foreplan/experiments/trajectory_files.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/planners/planner.h"
#include "foreplan/runs/machine.h"
#include "foreplan/runs/status_line.h"
#include "foreplan/systems/rewards/expression_reward.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

struct PlanCommandRequest {
  std::string task;
  RunFlags flags;
  std::string out;
  int threads = 1;
  bool json = false;
};

/// What became of a plan on the system.
struct Execution {
  PlannedTrajectory trajectory;
  std::string fault;  // why it stopped before the plan's end: "diverged at step 3: ..."; or ""
};

/// Executes the plan on the system from where it stands; ends early at a termination or a fault.
/// `reward`: null where the system pays.
Execution Execute(const Task& task, const Reward* reward, System& system,
                  const std::vector<double>& actions) {
  const EnvironmentSpec& spec = task.spec();
  const size_t nu = spec.action.size();
  Execution execution;
  PlannedTrajectory& trajectory = execution.trajectory;
  std::vector<double> observation(spec.observation.size());
  std::vector<double> next(spec.observation.size());
  system.Observe(observation);
  trajectory.observations = observation;
  for (size_t at = 0; at < actions.size(); at += nu) {
    const auto fault = [&](const std::string& what) {
      execution.fault = fmt::format("diverged at step {}: {}", trajectory.steps, what);
    };
    const StepOutcome outcome = system.Step({&actions[at], nu});
    if (outcome.status != StepStatus::kOk) {
      fault(system.Divergence());
      break;
    }
    system.Observe(next);
    const TransitionBatch transition{.rows = 1,
                                     .observation = observation.data(),
                                     .action = &actions[at],
                                     .next_observation = next.data()};
    double value = outcome.reward.value_or(0);
    uint8_t terminated = outcome.end == StepEnd::kTerminated ? 1 : 0;
    if (reward != nullptr) reward->Evaluate(transition, &value, &terminated);
    if (reward != nullptr && !std::isfinite(value)) {
      fault("reward " + DescribeNotFinite(*reward, spec, transition));
      break;
    }
    trajectory.actions.insert(trajectory.actions.end(), &actions[at], &actions[at] + nu);
    trajectory.observations.insert(trajectory.observations.end(), next.begin(), next.end());
    trajectory.rewards.push_back(value);
    ++trajectory.steps;
    observation = next;
    if (terminated != 0) break;
  }
  return execution;
}

double Return(const PlannedTrajectory& trajectory) {
  return std::accumulate(trajectory.rewards.begin(), trajectory.rewards.end(), 0.0);
}

void WriteTrajectory(const Experiment& experiment, const PlannedTrajectory& trajectory,
                     const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw InputError(
        fmt::format("--out: '{}' cannot be made: {}", folder.string(), error.message()));
  }
  const Task& task = experiment.task;
  WriteFileAtomically(folder / "trajectory.csv", TrajectoryCsv(task.spec(), trajectory));
  WriteFileAtomically(
      folder / "trajectory.svg",
      TrajectorySvg(fmt::format("{}, {}, seed {}: return {:.2f} in {} steps", task.name(),
                                experiment.run.planner, experiment.run.seed, Return(trajectory),
                                trajectory.steps),
                    task.spec(), trajectory));
}

void PrintPlan(const Experiment& experiment, const Plan& plan, const PlannedTrajectory& trajectory,
               bool learned, bool imagined, const fs::path& folder, bool json) {
  if (json) {
    const nlohmann::ordered_json document = {
        {"task", experiment.task.name()}, {"planner", experiment.run.planner},
        {"seed", experiment.run.seed},    {"status", NameOf(plan.status)},
        {"iterations", plan.iterations},  {"expected_return", plan.expected_return},
        {"steps", trajectory.steps},      {"return", Return(trajectory)},
        {"imagined", imagined},           {"seconds", plan.seconds},
        {"directory", folder.string()},   {"versions", VersionsJson()}};
    fmt::print("{}\n", document.dump(2));
    return;
  }
  fmt::print("{}: {} after {} iterations, {:.1f} ms; return {:.3f} in {} steps{}{}\n{}\n{}\n",
             experiment.run.planner, NameOf(plan.status), plan.iterations, 1e3 * plan.seconds,
             Return(trajectory), trajectory.steps,
             learned ? fmt::format(", expected {:.3f}", plan.expected_return) : "",
             imagined ? "; imagined: the system is a learned model" : "",
             (folder / "trajectory.csv").string(), (folder / "trajectory.svg").string());
}

void MakePlanOf(const PlanCommandRequest& request) {
  Target target = ResolveTarget(request.task, request.flags);
  if (!target.run_folder.empty() && !target.flags.model) target.flags.model = target.run_folder;
  Experiment experiment = LoadExperiment(target.task, target.flags);
  PrintNotes(experiment.notes);
  const Task& task = experiment.task;
  const std::string& planner_name = experiment.run.planner;
  const fs::path folder = request.out.empty()
                              ? fs::path(fmt::format("plan-{}-{}", task.name(), planner_name))
                              : fs::path(request.out);
  const std::stop_token stop = CatchInterrupts();
  const auto system = task.MakeSystem();
  const auto executor = std::make_shared<ThreadPool>(request.threads);
  const std::unique_ptr<LearnedModel> learned = LoadLearnedModel(experiment, executor);
  const std::shared_ptr<const Dynamics> dynamics =
      learned ? learned->snapshot() : DynamicsOf(*system);
  const auto planner =
      MakePlanner(planner_name, experiment.config,
                  {dynamics, task.shared_planning_reward(), task.spec(), executor});
  const Key key{.seed = static_cast<uint64_t>(experiment.run.seed), .stream = 0};
  system->Reset(key.Fold(0));
  std::vector<double> state(static_cast<size_t>(dynamics->state_dim()));
  dynamics->observation_is_state() ? system->Observe(state) : system->GetState(state);
  StatusLine line;
  line.ShowNow([](int) { return "planning"; });
  const Plan& plan = planner->MakePlan(
      {.state = state, .step = 0, .key = key.Fold(1), .budget = {}, .stop = stop});
  line.Clear();
  if (stop.stop_requested()) throw Interrupted("interrupted; nothing is written");
  if (plan.status == PlanStatus::kAllInvalid) {
    const std::string fault = Execute(task, &task.planning_reward(), *system, plan.actions).fault;
    throw RunError(fmt::format("plan: the model can follow none of the planner's trajectories{}",
                               fault.empty() ? "" : "; the system itself " + fault));
  }
  const auto [trajectory, fault] =
      Execute(task, task.environment_pays() ? nullptr : &task.reward(), *system, plan.actions);
  if (!fault.empty()) throw RunError("plan: the system " + fault);
  NoteNewFolders(folder);
  WriteTrajectory(experiment, trajectory, folder);
  PrintPlan(experiment, plan, trajectory, learned != nullptr, IsImagined(task), folder,
            request.json);
}

}  // namespace

void AddPlanCommand(CLI::App& app) {
  auto request = std::make_shared<PlanCommandRequest>();
  request->flags.planner = "ilqr";
  CLI::App& command =
      *app.add_subcommand("plan", "plan one trajectory, on the true system or a learned model");
  command
      .add_option("task", request->task,
                  "name or file of a task, or the folder of a run or a fit; with --model alone the "
                  "model is the system")
      ->type_name("TASK");
  AddModelFlag(command, request->flags);
  AddPlannerFlag(command, request->flags);
  command.add_option("--seed", request->flags.seed, "of start state and planner; default: 0")
      ->check(IntegerFrom(0, 2147483647));
  command.add_option("--out", request->out, "folder; default: plan-TASK-PLANNER")->type_name("DIR");
  AddSetFlag(command, request->flags);
  AddThreadsFlag(command, request->threads);
  AddJsonFlag(command, request->json);
  command.callback([request] { MakePlanOf(*request); });
}

}  // namespace foreplan::apps
