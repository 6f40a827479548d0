#include "foreplan/experiments/comparison/cell.h"

#include <fmt/format.h>

#include <memory>

#include "foreplan/control/mpc_controller.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/experiments/evaluation.h"
#include "foreplan/experiments/run_session.h"
#include "foreplan/runs/message.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

Experiment MakeExperiment(const Comparison& comparison, const Cell& cell, int seed) {
  RunFlags flags;
  if (!cell.algorithm.empty()) flags.algorithm = cell.algorithm;
  flags.seed = seed;
  flags.episodes = comparison.episodes;
  flags.assignments = cell.settings;
  flags.assignments.insert(flags.assignments.end(), comparison.settings.begin(),
                           comparison.settings.end());
  return LoadExperiment(comparison.task, flags);
}

/// A run that is there goes on with its own settings.
std::unique_ptr<RunSession> OpenSession(const Comparison& comparison, const Cell& cell, int seed,
                                        const std::stop_token& stop) {
  const fs::path folder = CellFolder(comparison, cell, seed);
  if (!fs::exists(folder)) {
    auto session = std::make_unique<RunSession>(MakeExperiment(comparison, cell, seed),
                                                comparison.threads, stop);
    session->Create(folder);
    return session;
  }
  const RunDirectory directory = RunDirectory::Open(folder);
  auto session = std::make_unique<RunSession>(LoadExperiment(directory.config_file().string(), {}),
                                              comparison.threads, stop);
  session->Resume(folder);
  return session;
}

/// The planner on the true system.
Finding MeasureTrueModel(const Comparison& comparison, const Cell& cell, int seed,
                         const std::stop_token& stop) {
  Experiment experiment = MakeExperiment(comparison, cell, seed);
  const Task& task = experiment.task;
  const auto executor = std::make_shared<ThreadPool>(comparison.threads);
  const auto controller = MakeTrueModelController(experiment, executor, stop);
  Finding finding = {{"episode_returns", Finding::array()},
                     {"episode_steps", Finding::array()},
                     {"episode_ends", Finding::array()},
                     {"wall_seconds", 0.0},
                     {"model_error_base", 0.0},
                     {"model_error_visited", 0.0}};
  finding.update(MeasureController({task, seed, *executor, stop}, *controller,
                                   comparison.final_episodes, nullptr));
  return finding;
}

Finding MeasureRun(const Comparison& comparison, const Cell& cell, int seed,
                   const std::stop_token& stop) {
  const std::unique_ptr<RunSession> session = OpenSession(comparison, cell, seed, stop);
  session->Run();
  const Finding result = session->Result();
  Finding finding;
  for (const char* key : {"episode_returns", "episode_steps", "episode_ends", "wall_seconds"}) {
    finding[key] = result[key];
  }
  finding["model_error_base"] = nullptr;
  finding["model_error_visited"] = nullptr;

  const fs::path folder = CellFolder(comparison, cell, seed);
  Experiment experiment =
      LoadExperiment(RunDirectory::Open(folder).config_file().string(), RunFlags{});
  ThreadPool executor(comparison.threads);
  const MeasureContext context{experiment.task, seed, executor, stop};
  Dataset visited(experiment.task.spec().observation_dim(), experiment.task.spec().action_dim());
  finding.update(MeasureController(context, session->learner().controller(),
                                   comparison.final_episodes, &visited));
  if (cell.algorithm == "local_models") return finding;  // no model of the whole state space
  const LearnedCell learned(folder);
  const Dataset base = BaseData(context);
  const std::vector<double> scale = ChangeScale(base);
  finding["model_error_base"] = MedianOneStepError(*learned.model(), base, scale);
  finding["model_error_visited"] = MedianOneStepError(*learned.model(), visited, scale);
  return finding;
}

Experiment ExperimentOf(const fs::path& run) {
  Experiment experiment =
      LoadExperiment(RunDirectory::Open(run).config_file().string(), RunFlags{});
  experiment.run.model = run.string();
  return experiment;
}

}  // namespace

LearnedCell::LearnedCell(const fs::path& run)
    : experiment_(ExperimentOf(run)),
      model_(LoadLearnedModel(experiment_, std::make_shared<SerialExecutor>())) {}

fs::path CellFolder(const Comparison& comparison, const Cell& cell, int seed) {
  return comparison.folder / cell.name / fmt::format("seed-{}", seed);
}

Finding RunCell(const Comparison& comparison, const Cell& cell, int seed,
                const std::stop_token& stop) {
  const fs::path folder = CellFolder(comparison, cell, seed);
  return KeptFinding(folder.string() + ".json", [&] {
    WriteToStderr(fmt::format("{}, seed {}\n", cell.label, seed));
    return cell.algorithm.empty() ? MeasureTrueModel(comparison, cell, seed, stop)
                                  : MeasureRun(comparison, cell, seed, stop);
  });
}

}  // namespace foreplan
