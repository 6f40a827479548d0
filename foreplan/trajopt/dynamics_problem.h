// Any model with any reward as a trajectory problem.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "foreplan/models/dynamics.h"
#include "foreplan/systems/action_bounds.h"
#include "foreplan/systems/rewards/reward.h"
#include "foreplan/trajopt/trajectory_problem.h"

namespace foreplan {

/// l_t(x, u) = -r(o(x), u, o(f(x, u))), no terminal cost, the system's action bounds. The cost's
/// Hessian is that of -r, made positive semidefinite (Reward::ExpandConcave), pulled back through
/// the first derivatives of observation and dynamics (Gauss-Newton). The end of an episode is not
/// seen: a reward goes on.
class DynamicsProblem final : public TrajectoryProblem {
 public:
  /// Throws InputError when the reward has no derivatives.
  DynamicsProblem(std::shared_ptr<const Dynamics> dynamics, std::shared_ptr<const Reward> reward,
                  ActionBounds bounds, int horizon);

  [[nodiscard]] int horizon() const override { return horizon_; }
  [[nodiscard]] int state_dim() const override { return dynamics_->state_dim(); }
  [[nodiscard]] int tangent_dim() const override { return dynamics_->tangent_dim(); }
  [[nodiscard]] int action_dim() const override { return dynamics_->action_dim(); }
  [[nodiscard]] std::span<const double> action_low() const override { return bounds_.low; }
  [[nodiscard]] std::span<const double> action_high() const override { return bounds_.high; }
  [[nodiscard]] std::unique_ptr<Workspace> MakeWorkspace() const override;
  double Step(int t, const double* x, const double* u, double* next,
              Workspace& workspace) const override;
  double TerminalCost(const double* /*x*/, Workspace& /*workspace*/) const override { return 0; }
  void Expand(int first, int last, const double* xs, const double* us, const Knot* knots,
              Workspace& workspace) const override;
  void ExpandTerminal(const double* /*x*/, const Knot& /*knot*/,
                      Workspace& /*workspace*/) const override {}
  void Difference(const double* x, const double* reference, double* dx) const override {
    dynamics_->Difference(x, reference, dx);
  }

 private:
  struct Buffers;
  void ExpandReward(const double* x, const double* u, const double* next, const Knot& knot,
                    Buffers& b) const;

  std::shared_ptr<const Dynamics> dynamics_;
  std::shared_ptr<const Reward> reward_;
  int horizon_;
  ActionBounds bounds_;
};

}  // namespace foreplan
