// Whole plans: made once, executed to their end.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "foreplan/control/model_source.h"
#include "foreplan/control/mpc_controller.h"
#include "foreplan/planners/planner.h"
#include "foreplan/policies/linear_gaussian.h"
#include "foreplan/trajopt/dynamics_problem.h"
#include "foreplan/trajopt/ilqr.h"

namespace foreplan {

struct WholePlanControl {
  bool track = false;         // with the gains of TrackTrajectory; else open loop
  int polish = 0;             // iterations of iLQR on the model that improve a plan, 0 ... 100000
  int period = 0;             // steps between plans; 0: each is used up
  std::stop_token stop = {};  // a decision under way throws Interrupted
};

/// Plans from the first state, for as many steps as the planner's horizon, executes the plan, and
/// plans anew when it is used up, or after `period` steps; then the planner's warm start is what is
/// left of its last plan. Open loop, or tracked with time-varying feedback gains,
/// u = u^_t + K_t (x - x^_t).
class WholePlanController : public PlanningPolicy {
 public:
  /// Plans with the model that `source` has at every plan, first with that of the problem. Throws
  /// InputError to polish with a reward without derivatives.
  WholePlanController(std::shared_ptr<Planner> planner, PlanningProblem problem, ModelSource source,
                      const WholePlanControl& control);

  void Reset(Key key) override;
  void Act(const Situation& situation, std::span<double> action) override;
  [[nodiscard]] const Plan* new_plan() const override { return made_now_ ? &plan_ : nullptr; }
  [[nodiscard]] MadePlan made_plan() const override {
    return {plan_, *planner_, start_, {problem_.dynamics, problem_.reward}};
  }

 private:
  void MakeSolver();
  void TakeModel();
  [[nodiscard]] bool IsPlanDue() const;
  void MakePlan(const Situation& situation);
  void Polish(std::span<const double> x);

  std::shared_ptr<Planner> planner_;
  PlanningProblem problem_;
  ModelSource source_;
  int horizon_;  // steps of a plan
  WholePlanControl control_;
  std::optional<DynamicsProblem> trajectory_problem_;  // of the solver
  std::optional<IlqrSolver> solver_;                   // none: plans are not polished
  LinearGaussianPolicy tracking_;
  Plan plan_;
  std::vector<double> start_;  // where it begins: [state_dim]
  int next_ = 0;               // step of the plan that is due
  bool made_now_ = false;
};

}  // namespace foreplan
