#include "foreplan/learners/aggregate.h"

namespace foreplan {

AggregateLearner::AggregateLearner(Config& config, const LearnerContext& context)
    : WholePlanLearner("aggregate", config, context) {}

void AggregateLearner::Run() {
  if (fits() == 0 && options().base_episodes == 0) Fit();  // to the file's data
  while (!Done()) {
    if (episodes() < options().base_episodes) {
      PlayBaseEpisode();
    } else {
      PlayEpisode(planning_policy(), "plan");
    }
    if (episodes() >= options().base_episodes) Fit();  // judges the old model on the new data first
    Checkpoint();
  }
}

}  // namespace foreplan
