#include "foreplan/learners/fit_then_plan.h"

#include <utility>

namespace foreplan {

FitThenPlanLearner::FitThenPlanLearner(Config& config, const LearnerContext& context)
    : WholePlanLearner("fit_then_plan", config, context) {}

FitThenPlanLearner::FitThenPlanLearner(const LearnerContext& context,
                                       const WholePlanOptions& options, ModelLearnerParts parts)
    : WholePlanLearner(context, options, std::move(parts)) {}

bool FitThenPlanLearner::Step() {
  const bool has_base = episodes() >= BaseEpisodes(options().base_episodes);
  // The episode is saved by now: a run that stops in its fit goes on here.
  if (fits() == 0 && has_base) Fit();
  if (JudgeNewData()) Checkpoint();  // on the states that the plan visited
  if (Done()) return false;
  if (has_base) {
    PlayEpisode("plan", planning_policy());
  } else {
    PlayBaseEpisode();
  }
  return true;
}

}  // namespace foreplan
