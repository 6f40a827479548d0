#include "foreplan/experiments/comparison/replanning.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "foreplan/control/mpc_controller.h"
#include "foreplan/control/whole_plan_controller.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/experiments/evaluation.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/models/physics/physics_model.h"
#include "foreplan/planners/imagined_mpc.h"
#include "foreplan/planners/planner.h"
#include "foreplan/runs/summary.h"

namespace foreplan {
namespace {

/// What executes so many steps of each of a planner's plans. One controller whatever the period, so
/// that nothing else differs; the warm start is what is left of the last plan.
WholePlanController MakePeriodic(std::shared_ptr<Planner> planner, const PlanningProblem& problem,
                                 int period) {
  if (period > planner->horizon()) {
    planner = std::make_shared<ImaginedMpc>(std::move(planner), problem, period);
  }
  return {std::move(planner), problem, problem.dynamics, {.period = period}};
}

Experiment LoadWith(const Comparison& comparison, std::vector<std::string> assignments,
                    const std::string& planner = "icem") {
  RunFlags flags;
  flags.planner = planner;
  flags.assignments = comparison.settings;
  flags.assignments.insert(flags.assignments.end(), assignments.begin(), assignments.end());
  return LoadExperiment(comparison.task, flags);
}

double MeanReturn(const Finding& finding) {
  return Summarize(finding["final_returns"].get<std::vector<double>>()).mean;
}

}  // namespace

Finding MeasureReplanning(const Comparison& comparison, const Cell& learned, int seed,
                          const std::stop_token& stop) {
  constexpr std::array kHorizons = {10, 25, 50};
  constexpr std::array kPopulations = {16, 64};
  const LearnedCell cell(CellFolder(comparison, learned, seed));
  const auto executor = std::make_shared<ThreadPool>(comparison.threads);
  Finding rows = Finding::array();
  for (const int horizon : kHorizons) {
    for (const int population : kPopulations) {
      Experiment experiment = LoadWith(
          comparison, {fmt::format("planner.icem.horizon={}", horizon),
                       fmt::format("planner.icem.population={}", population),
                       fmt::format("planner.icem.elites={}", std::max(2, population / 6))});
      const Task& task = experiment.task;
      const PlanningProblem problem{cell.model(), task.shared_planning_reward(), task.spec(),
                                    executor};
      for (const int period : {1, 5, 25, task.episode_length()}) {
        WholePlanController periodic =
            MakePeriodic(MakePlanner("icem", experiment.config, problem), problem, period);
        const Finding finding = MeasureController({task, seed, *executor, stop}, periodic,
                                                  comparison.study_episodes, nullptr);
        rows.push_back({{"replan_every", period},
                        {"horizon", horizon},
                        {"population", population},
                        {"final_return", MeanReturn(finding)},
                        {"ms_per_step", finding["ms_per_decision"]}});
      }
    }
  }
  return rows;
}

Finding MeasurePlanners(const Comparison& comparison, const Cell& learned, int seed,
                        const std::stop_token& stop) {
  struct Row {
    std::string label;
    std::string planner;
    std::vector<std::string> settings;
  };
  // About 170 sequences a decision, as iCEM with its settings.
  const std::vector<Row> kRows = {
      {"random shooting", "random_shooting", {"planner.random_shooting.population=170"}},
      {"CEM",
       "cem",
       {"planner.cem.population=57", "planner.cem.iterations=3", "planner.cem.elites=10"}},
      {"iCEM", "icem", {}},
      {"MPPI", "mppi", {"planner.mppi.population=170"}},
      {"iLQR", "ilqr", {}},
      {"iLQR without trust region", "ilqr", {"planner.ilqr.trust_region=0"}}};
  const LearnedCell cell(CellFolder(comparison, learned, seed));
  const auto executor = std::make_shared<ThreadPool>(comparison.threads);
  Finding rows = Finding::array();
  for (const Row& row : kRows) {
    Experiment experiment = LoadWith(comparison, row.settings, row.planner);
    const Task& task = experiment.task;
    MpcController controller(
        MakePlanner(row.planner, experiment.config,
                    {cell.model(), task.shared_planning_reward(), task.spec(), executor}),
        cell.model());
    const Finding finding = MeasureController({task, seed, *executor, stop}, controller,
                                              comparison.study_episodes, nullptr);
    rows.push_back({{"planner", row.label},
                    {"final_return", MeanReturn(finding)},
                    {"imagined_return", finding["imagined_return"]},
                    {"realised_return", finding["realised_return"]},
                    {"ms_per_decision", finding["ms_per_decision"]}});
  }
  return rows;
}

Finding MeasureDriftingCar(int seed, int threads, const std::stop_token& stop) {
  constexpr std::array kDrifts = {0, 1, 2, 4};  // [deg]
  auto [task, config] = Task::Load("lane_keeping");
  const int length = task.episode_length();
  const auto executor = std::make_shared<ThreadPool>(threads);
  Finding rows = Finding::array();
  for (const int drift : kDrifts) {
    const std::vector<std::string> belief = {fmt::format("system.drift={}", drift)};
    const auto model = std::make_shared<const PhysicsModel>(
        *Task::Load("lane_keeping", belief).first.MakeSystem());
    const PlanningProblem problem{model, task.shared_planning_reward(), task.spec(), executor};
    for (const int period : {length, 25, 5, 1}) {
      WholePlanController periodic =
          MakePeriodic(MakePlanner("icem", config, problem), problem, period);
      double largest = 0;
      const Evaluation evaluation =
          Evaluate(kTrueModel, task, periodic, {.episodes = 1, .first = 0, .seed = seed}, stop,
                   [&](const EpisodeStep& step) {
                     largest = std::max(largest, std::abs(step.next_observation[0]));
                   });
      rows.push_back({{"drift_of_model", drift},
                      {"replan_every", period},
                      {"steps_on_road", evaluation.steps[0]},
                      {"largest_offset", largest},
                      {"final_return", evaluation.returns[0]}});
    }
  }
  return rows;
}

}  // namespace foreplan
