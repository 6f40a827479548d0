// Model-based reinforcement learning v1.0: data aggregation, round by round.
#pragma once

#include "foreplan/learners/whole_plans.h"

namespace foreplan {

/// The v1.0 loop, as Ross, Gordon and Bagnell 2011 aggregate data for imitation: base policy -> fit
/// -> repeat (plan a whole episode, execute it, add its transitions, refit).
class AggregateLearner final : public WholePlanLearner {
 public:
  /// Reads sections aggregate, model, fit and planner.<name> of `config`.
  AggregateLearner(Config& config, const LearnerContext& context);
  AggregateLearner(const LearnerContext& context, const WholePlanOptions& options,
                   ModelLearnerParts parts);
  bool Step() override;
};

}  // namespace foreplan
