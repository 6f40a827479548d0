#include "foreplan/learners/fit_then_plan.h"

namespace foreplan {

FitThenPlanLearner::FitThenPlanLearner(Config& config, const LearnerContext& context)
    : WholePlanLearner("fit_then_plan", config, context) {}

void FitThenPlanLearner::Run() {
  const int base = BaseEpisodes(options().base_episodes);
  for (;;) {
    // The episode is saved by now: a run that stops in its fit goes on here.
    if (fits() == 0 && episodes() >= base) Fit();
    if (JudgeNewData()) Checkpoint();  // on the states that the plan visited
    if (Done()) return;
    if (episodes() < base) {
      PlayBaseEpisode();
    } else {
      PlayEpisode(planning_policy(), "plan");
    }
  }
}

}  // namespace foreplan
