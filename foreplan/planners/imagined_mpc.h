// Long plans by a planner that looks only a few steps ahead.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "foreplan/planners/planner.h"

namespace foreplan {

/// Model-predictive control of the model itself: from x^_0, for t = 0 ... steps - 1,
///   u^_t = first action of another planner's plan from x^_t,   x^_{t+1} = E[f(x^_t, u^_t)].
/// Where a search over all steps at once finds no way to balance, a search over a few of them does,
/// step after step. Past a predicted termination, or where a prediction is not finite, the last
/// action is repeated and nothing more is earned.
///
/// A decision costs `steps` decisions of the other planner. Its budget goes to them: past the
/// deadline each does nothing, so the plan is the warm start's. Allocates only when
/// it is made, and when it gets another model.
class ImaginedMpc final : public Planner {
 public:
  /// Throws InputError when `steps` is not positive.
  ImaginedMpc(std::shared_ptr<Planner> planner, const PlanningProblem& problem, int steps);

  [[nodiscard]] int horizon() const override { return steps_; }
  void Reset() override { planner_->Reset(); }
  void set_model(const ModelVersion& version) override;
  /// Forgets the other planner's warm start, which belongs to the end of the last plan.
  /// The expected (and best) return is the sum of the rewards along x^ and the terminal value,
  /// where nothing ended before.
  const Plan& MakePlan(const PlanRequest& request) override;

 private:
  /// Replaces state_ and observation_ by what is expected next; false when the plan ends here.
  bool Step(const double* action, int time);

  std::shared_ptr<Planner> planner_;
  std::shared_ptr<const Dynamics> dynamics_;
  std::shared_ptr<const Reward> reward_;
  std::shared_ptr<const TerminalValue> terminal_value_;  // or null
  int steps_;
  std::unique_ptr<Dynamics::Workspace> workspace_;
  std::vector<double> state_, next_state_;              // [state_dim]
  std::vector<double> observation_, next_observation_;  // [no]
  Plan plan_;
};

}  // namespace foreplan
