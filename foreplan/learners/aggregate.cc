#include "foreplan/learners/aggregate.h"

namespace foreplan {

AggregateLearner::AggregateLearner(Config& config, const LearnerContext& context)
    : WholePlanLearner("aggregate", config, context) {}

void AggregateLearner::Run() {
  const int base = BaseEpisodes(options().base_episodes);
  if (fits() == 0 && base == 0) Fit();  // to the file's data
  while (!Done()) {
    if (episodes() < base) {
      PlayBaseEpisode();
    } else {
      PlayEpisode(planning_policy(), "plan");
    }
    if (episodes() >= base) Fit();  // judges the old model on the new data first
    Checkpoint();
  }
}

}  // namespace foreplan
