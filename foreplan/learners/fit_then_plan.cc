#include "foreplan/learners/fit_then_plan.h"

namespace foreplan {

FitThenPlanLearner::FitThenPlanLearner(Config& config, const LearnerContext& context)
    : WholePlanLearner("fit_then_plan", config, context) {}

void FitThenPlanLearner::Run() {
  const int base = BaseEpisodes(options().base_episodes);
  if (fits() == 0 && base == 0) Fit();  // to the file's data
  while (!Done()) {
    if (episodes() < base) {
      PlayBaseEpisode();
    } else {
      PlayEpisode(planning_policy(), "plan");
      JudgeNewData();  // on the states that the plan visited
    }
    if (fits() == 0 && episodes() >= base) Fit();
    Checkpoint();
  }
}

}  // namespace foreplan
