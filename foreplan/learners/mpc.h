// Model-based reinforcement learning v1.5: plan at every step through a learned model, execute the
// first action, refit every N steps.
#pragma once

#include <string>

#include "foreplan/control/mpc_controller.h"
#include "foreplan/learners/model_learner.h"

namespace foreplan {

/// Section [mpc].
struct MpcOptions {
  int refit_every = 0;  // steps between fits; 0: at the end of each episode
  std::string base_policy = "uniform";
  int base_episodes = 1;   // episodes of the base policy before the first fit
  double deadline_ms = 0;  // a decision takes no longer [ms]; 0: as long as its planner wants
  int period = 1;          // steps between two plans, 1 ... 10000

  void Visit(OptionsVisitor& visitor);
};

/// The v1.5 loop (Chua et al. 2018, algorithm 1, with a choice of when to refit):
///   base policy -> fit -> repeat (plan, execute the first action, observe, add), refit every N.
class MpcLearner final : public ModelLearner {
 public:
  MpcLearner(const LearnerContext& context, const MpcOptions& options, ModelLearnerParts parts);
  /// Reads sections mpc, environment, model, fit and planner.<name> of `config`.
  MpcLearner(Config& config, const LearnerContext& context);

  bool Step() override;
  Policy& controller() override { return controller_; }

 private:
  [[nodiscard]] bool IsRefitDue() const;

  MpcOptions options_;
  MpcController controller_;
};

}  // namespace foreplan
