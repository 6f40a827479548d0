#include "foreplan/experiments/comparison/measure.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "foreplan/control/episode.h"
#include "foreplan/control/mpc_controller.h"
#include "foreplan/control/plan_log.h"
#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/experiments/evaluation.h"
#include "foreplan/runs/summary.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

/// Starts of episodes that are only measured are those of `foreplan eval`; the base data's come
/// after.
constexpr int kBaseEpisodes = 2;
constexpr int kFirstBaseEpisode = 1000;

void Add(const EpisodeStep& step, Dataset& data) {
  data.Add(step.observation, step.action, step.next_observation, 1);
}

}  // namespace

Finding KeptFinding(const fs::path& file, const std::function<Finding()>& measure) {
  if (fs::exists(file)) {
    Finding kept = Finding::parse(ReadFile(file), nullptr, false);
    if (kept.is_discarded()) {
      throw InputError(file.string() + ": found no JSON, expected what was measured before");
    }
    return kept;
  }
  Finding finding = measure();
  static_cast<void>(MakeFolderDurably(file.parent_path()));  // else writing says what is wrong
  WriteFileAtomically(file, finding.dump(2));
  return finding;
}

Finding MeasureController(const MeasureContext& context, Policy& policy, int episodes,
                          Dataset* visited) {
  const Task& task = context.task;
  const auto* planning = dynamic_cast<const PlanningPolicy*>(&policy);
  std::vector<PlanLog> logs;  // one per episode
  const auto observe = [&](const EpisodeStep& step) {
    if (visited != nullptr) Add(step, *visited);
    if (planning == nullptr) return;
    if (step.time == 0) logs.emplace_back();
    logs.back().AddStep(planning->new_plan(), task.spec().action_dim(), PlanningReward(task, step));
  };
  const Evaluation evaluation =
      Evaluate(kLearned, task, policy, {.episodes = episodes, .first = 0, .seed = context.seed},
               context.stop, observe);
  Finding finding = {{"final_returns", evaluation.returns},
                     {"ms_per_decision", evaluation.ms_per_decision},
                     {"imagined_return", nullptr},
                     {"realised_return", nullptr}};
  if (logs.empty()) return finding;
  PlanLog::Outcome sum;
  for (const PlanLog& log : logs) {
    const PlanLog::Outcome outcome = log.MeanOutcome();
    sum.imagined += outcome.imagined;
    sum.realised += outcome.realised;
  }
  finding["imagined_return"] = sum.imagined / static_cast<double>(logs.size());
  finding["realised_return"] = sum.realised / static_cast<double>(logs.size());
  return finding;
}

Dataset BaseData(const MeasureContext& context) {
  Dataset data(context.task.spec().observation_dim(), context.task.spec().action_dim());
  const auto policy = MakeBasePolicy("uniform", context.task.spec());
  Evaluate("uniform", context.task, *policy,
           {.episodes = kBaseEpisodes, .first = kFirstBaseEpisode, .seed = context.seed},
           context.stop, [&](const EpisodeStep& step) { Add(step, data); });
  return data;
}

std::vector<double> ChangeScale(const Dataset& data) {
  const auto no = static_cast<size_t>(data.observation_dim());
  std::vector<double> sum(no);
  std::vector<double> squares(no);
  for (int64_t row = 0; row < data.size(); ++row) {
    for (size_t i = 0; i < no; ++i) {
      const double change = data.next_observation(row)[i] - data.observation(row)[i];
      sum[i] += change;
      squares[i] += change * change;
    }
  }
  const auto rows = static_cast<double>(data.size());
  std::vector<double> scale(no);
  for (size_t i = 0; i < no; ++i) {
    scale[i] = std::sqrt(std::max(0.0, squares[i] / rows - std::pow(sum[i] / rows, 2)));
  }
  return scale;
}

double MedianOneStepError(const Dynamics& model, const Dataset& data,
                          std::span<const double> scale) {
  const auto workspace = model.MakeDerivativeWorkspace(1);
  std::vector<double> next(scale.size());
  std::vector<double> errors;  // of each row
  for (int64_t row = 0; row < data.size(); ++row) {
    model.StepMean({.rows = 1,
                    .state = data.observation(row).data(),
                    .action = data.action(row).data(),
                    .next_state = next.data(),
                    .next_observation = next.data(),
                    .key = {}},
                   *workspace);
    double squares = 0;
    int components = 0;
    for (size_t i = 0; i < scale.size(); ++i) {
      if (scale[i] <= 0) continue;
      squares += std::pow((next[i] - data.next_observation(row)[i]) / scale[i], 2);
      ++components;
    }
    errors.push_back(std::sqrt(squares / components));
  }
  return Median(std::move(errors));
}

}  // namespace foreplan
