// Whole plans: made once, executed to their end.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "foreplan/control/mpc_controller.h"
#include "foreplan/planners/dynamics_problem.h"
#include "foreplan/planners/ilqr.h"
#include "foreplan/planners/planner.h"
#include "foreplan/policies/linear_gaussian.h"

namespace foreplan {

/// Plans from the first state, for as many steps as the planner's horizon, executes the plan, and
/// plans anew only when it is used up. Open loop, or tracked: the plan is polished by iLQR on the
/// model, whose time-varying gains then pull the system to it,
///   u = u^_t + K_t (x - x^_t).
class WholePlanController final : public PlanningPolicy {
 public:
  /// References must outlive the controller.
  WholePlanController(Planner& planner, const Dynamics& dynamics)
      : planner_(planner), sees_state_(!dynamics.observation_is_state()) {}

  /// From now on plans of `horizon` steps are tracked. Throws InputError for rewards without
  /// derivatives, and for models whose tangent space is not their state.
  void Track(const PlanningProblem& problem, int horizon);

  void Reset(Key key) override;
  void Act(const Situation& situation, std::span<double> action) override;
  [[nodiscard]] const Plan* new_plan() const override { return made_now_ ? plan_ : nullptr; }

 private:
  void MakePlan(std::span<const double> x, Key key);

  Planner& planner_;
  bool sees_state_;
  std::unique_ptr<DynamicsProblem> problem_;  // of the tracker; null: open loop
  std::unique_ptr<IlqrSolver> tracker_;
  LinearGaussianPolicy tracking_;
  const Plan* plan_ = nullptr;
  size_t next_ = 0;  // step of the plan that is due
  bool made_now_ = false;
};

}  // namespace foreplan
