#include "foreplan/learners/aggregate.h"

namespace foreplan {

AggregateLearner::AggregateLearner(Config& config, const LearnerContext& context)
    : WholePlanLearner("aggregate", config, context) {}

void AggregateLearner::Run() {
  const int base = BaseEpisodes(options().base_episodes);
  for (;;) {
    // The episode is saved by now: a run that stops in its fit goes on here. Fit judges the old
    // model on the new data first.
    if (episodes() >= base && has_new_data()) Fit();
    if (Done()) return;
    if (episodes() < base) {
      PlayBaseEpisode();
    } else {
      PlayEpisode(planning_policy(), "plan");
    }
  }
}

}  // namespace foreplan
