#include "foreplan/learners/fit_then_plan.h"

namespace foreplan {

FitThenPlanLearner::FitThenPlanLearner(Config& config, const LearnerContext& context)
    : WholePlanLearner("fit_then_plan", config, context) {}

void FitThenPlanLearner::Run() {
  if (fits() == 0 && options().base_episodes == 0) Fit();  // to the file's data
  while (!Done()) {
    if (episodes() < options().base_episodes) {
      PlayBaseEpisode();
    } else {
      PlayEpisode(planning_policy(), "plan");
      JudgeNewData();  // on the states that the plan visited
    }
    if (fits() == 0 && episodes() >= options().base_episodes) Fit();
    Checkpoint();
  }
}

}  // namespace foreplan
