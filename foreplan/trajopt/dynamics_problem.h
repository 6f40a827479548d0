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

class TerminalValue;

/// l_t(x, u) = -r(o(x), u, o(f(x, u))), l_N(x) = -V(o(x)), the system's action bounds. The cost's
/// Hessian is that of -r, made positive semidefinite (Reward::ExpandConcave), pulled back through
/// the first derivatives of observation and dynamics (Gauss-Newton). The end of an episode is not
/// seen: a reward goes on.
class DynamicsProblem final : public TrajectoryProblem {
 public:
  /// terminal_value: V; null: none. Throws InputError when reward or value have no derivatives, and
  /// for a value of observations of another size.
  DynamicsProblem(std::shared_ptr<const Dynamics> dynamics, std::shared_ptr<const Reward> reward,
                  ActionBounds bounds, int horizon,
                  std::shared_ptr<const TerminalValue> terminal_value = nullptr);

  [[nodiscard]] int horizon() const override { return horizon_; }
  [[nodiscard]] int state_dim() const override { return dynamics_->state_dim(); }
  [[nodiscard]] int tangent_dim() const override { return dynamics_->tangent_dim(); }
  [[nodiscard]] int action_dim() const override { return dynamics_->action_dim(); }
  [[nodiscard]] std::span<const double> action_low() const override { return bounds_.low; }
  [[nodiscard]] std::span<const double> action_high() const override { return bounds_.high; }
  [[nodiscard]] std::unique_ptr<Workspace> MakeWorkspace() const override;
  double Step(int t, const double* x, const double* u, double* next,
              Workspace& workspace) const override;
  double TerminalCost(const double* x, Workspace& workspace) const override;
  void Expand(int first, int last, const double* xs, const double* us, const Knot* knots,
              Workspace& workspace) const override;
  void ExpandTerminal(const double* x, const Knot& knot, Workspace& workspace) const override;
  void Difference(const double* x, const double* reference, double* dx) const override {
    dynamics_->Difference(x, reference, dx);
  }

 private:
  struct Buffers;
  /// o(x): [no].
  [[nodiscard]] const double* Observation(const double* x, Buffers& b) const;
  void ExpandReward(const double* x, const double* u, const double* next, const Knot& knot,
                    Buffers& b) const;
  void SetChain(const Knot& knot, Buffers& b) const;
  void SetCost(const Knot& knot, Buffers& b) const;

  std::shared_ptr<const Dynamics> dynamics_;
  std::shared_ptr<const Reward> reward_;
  std::shared_ptr<const TerminalValue> terminal_value_;  // or null
  int horizon_;
  ActionBounds bounds_;
};

}  // namespace foreplan
