// Model-based reinforcement learning v0.5: collect with a base policy, fit once, plan.
#pragma once

#include "foreplan/learners/whole_plans.h"

namespace foreplan {

/// The v0.5 loop: base policy (or a file of data) -> fit -> plan through the model, which never
/// changes again. The distribution of states under the plan is not the one that the model was
/// fitted to; the metrics show its error on both.
class FitThenPlanLearner final : public WholePlanLearner {
 public:
  /// Reads sections fit_then_plan, model, fit and planner.<name> of `config`.
  FitThenPlanLearner(Config& config, const LearnerContext& context);
  FitThenPlanLearner(const LearnerContext& context, const WholePlanOptions& options,
                     ModelLearnerParts parts);
  bool Step() override;
};

}  // namespace foreplan
