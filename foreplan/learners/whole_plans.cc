#include "foreplan/learners/whole_plans.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/log_section.h"

namespace foreplan {
namespace {

WholePlanOptions ReadWholePlanOptions(const std::string& section, const RunOptions& run,
                                      Config& config) {
  auto options = ReadOptions<WholePlanOptions>(config, section);
  options.log = ReadLogSection(config).options();
  if (options.base_episodes == 0 && options.data.empty()) {
    throw InputError(fmt::format(
        "{}: {}.base_episodes: found 0 and no {}.data, expected something to fit the model to",
        config.name(), section, section));
  }
  if (!run.model.empty() && !options.data.empty()) {
    throw InputError(
        fmt::format("{}: {}.data: found '{}' beside run.model = '{}', which begins "
                    "with data of its own; expected one of them",
                    config.name(), section, options.data, run.model));
  }
  return options;
}

int PlanHorizon(const WholePlanOptions& options, const Task& task) {
  return options.horizon > 0 ? options.horizon : task.episode_length();
}

/// Steps that the planner itself searches, where they are not those of its options.
std::optional<int> SearchHorizon(const WholePlanOptions& options, const Task& task) {
  if (options.execution == PlanExecution::kReplanned || options.search != PlanSearch::kAtOnce) {
    return {};
  }
  return PlanHorizon(options, task);
}

void CheckHorizon(const WholePlanOptions& options, const Task& task, const Planner& planner) {
  const std::optional<int> expected = SearchHorizon(options, task);
  if (!expected || *expected == planner.horizon()) return;
  throw InputError(fmt::format(
      "learner: found a planner of {} steps, expected one of {}, the whole plan that it "
      "searches at once",
      planner.horizon(), *expected));
}

}  // namespace

void WholePlanOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, PlanExecution>> kExecutions = {
      {"open_loop", PlanExecution::kOpenLoop},
      {"tracked", PlanExecution::kTracked},
      {"replanned", PlanExecution::kReplanned}};
  static const std::vector<std::pair<std::string, PlanSearch>> kSearches = {
      {"imagined_mpc", PlanSearch::kImaginedMpc}, {"at_once", PlanSearch::kAtOnce}};
  visitor.Choice("execution", execution, std::span(kExecutions),
                 "of plans: open_loop, tracked (feedback gains), replanned (at every step)");
  visitor.Field("horizon", horizon, {0, 10000}, "steps of open-loop and tracked plans; 0: episode");
  visitor.Choice("search", search, std::span(kSearches),
                 "of such plans: imagined_mpc (step by step), at_once (all steps)");
  visitor.Field("polish", polish, {0, 100000}, "iterations of iLQR that improve such a plan");
  visitor.Choice("base_policy", base_policy, BasePolicyNames(), "acts before the first fit");
  visitor.Field("base_episodes", base_episodes, {0, 1e6}, "episodes of the base policy");
  visitor.Field("data", data, "transitions to begin with: a log of others, or the folder of a run");
}

WholePlanLearner::WholePlanLearner(const std::string& section, Config& config,
                                   const LearnerContext& context)
    : WholePlanLearner(config, context, ReadWholePlanOptions(section, context.run, config)) {}

WholePlanLearner::WholePlanLearner(Config& config, const LearnerContext& context,
                                   const WholePlanOptions& options)
    : WholePlanLearner(
          context, options,
          ReadModelLearnerParts(config, context, true, SearchHorizon(options, context.task))) {}

WholePlanLearner::WholePlanLearner(const LearnerContext& context, const WholePlanOptions& options,
                                   ModelLearnerParts parts)
    : ModelLearner(context, std::move(parts), options.base_policy), options_(options) {
  CheckHorizon(options, context.task, *planner());
  if (!options.data.empty()) LoadData(options.data, options.log);
  if (options.execution == PlanExecution::kReplanned) {
    controller_ =
        std::make_unique<MpcController>(planner(), model(), MpcControl{.stop = context.stop});
    return;
  }
  const int horizon = PlanHorizon(options, context.task);
  std::shared_ptr<Planner> whole = planner();
  if (options.search == PlanSearch::kImaginedMpc) {
    whole = std::make_shared<ImaginedMpc>(planner(), problem(), horizon);
  }
  controller_ = std::make_unique<WholePlanController>(
      std::move(whole), problem(), model(),
      WholePlanControl{.track = options.execution == PlanExecution::kTracked,
                       .polish = options.polish,
                       .stop = context.stop});
}

void WholePlanLearner::Fit() {
  Refit();
  JudgeBasePolicy();
  Checkpoint();
}

}  // namespace foreplan
