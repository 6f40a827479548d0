#include "foreplan/learners/aggregate.h"

#include <utility>

namespace foreplan {

AggregateLearner::AggregateLearner(Config& config, const LearnerContext& context)
    : WholePlanLearner("aggregate", config, context) {}

AggregateLearner::AggregateLearner(const LearnerContext& context, const WholePlanOptions& options,
                                   ModelLearnerParts parts)
    : WholePlanLearner(context, options, std::move(parts)) {}

bool AggregateLearner::Step() {
  const bool has_base = episodes() >= BaseEpisodes(options().base_episodes);
  // The episode is saved by now: a run that stops in its fit goes on here. Fit judges the old
  // model on the new data first.
  if (has_base && has_new_data()) Fit();
  if (Done()) return false;
  if (has_base) {
    PlayEpisode("plan", planning_policy());
  } else {
    PlayBaseEpisode();
  }
  return true;
}

}  // namespace foreplan
