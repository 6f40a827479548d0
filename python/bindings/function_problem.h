// A trajectory problem whose costs, or constraints, are functions of Python.
#pragma once

#include <memory>
#include <span>

#include "foreplan/models/dynamics.h"
#include "foreplan/systems/action_bounds.h"
#include "foreplan/trajopt/trajectory_constraints.h"
#include "foreplan/trajopt/trajectory_problem.h"
#include "python/bindings/callbacks.h"

namespace foreplan::python {

/// What a trajectory costs, of rows; z = (x, u), nz = nx + nu.
struct CostFunctions {
  Shared stage;            // (x [n x nx], u [n x nu], t [n]) -> [n]
  Shared expand;           // the same -> (gradient [n x nz], Hessian [n x nz x nz])
  Shared terminal;         // x [n x nx] -> [n]
  Shared expand_terminal;  // x [n x nx] -> (gradient [n x nx], Hessian [n x nx x nx])
};

/// Costs of the states of any model whose tangent space is its state; one call for all knots of an
/// expansion.
class FunctionProblem final : public TrajectoryProblem {
 public:
  /// Throws InputError for a model with another tangent space.
  FunctionProblem(std::shared_ptr<const Dynamics> dynamics, CostFunctions cost, ActionBounds bounds,
                  int horizon, std::shared_ptr<Raised> raised);

  [[nodiscard]] int horizon() const override { return horizon_; }
  [[nodiscard]] int state_dim() const override { return dynamics_->state_dim(); }
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

 private:
  struct Buffers;

  void ExpandDynamics(int first, int last, const double* xs, const double* us, const Knot* knots,
                      Buffers& buffers) const;

  std::shared_ptr<const Dynamics> dynamics_;
  CostFunctions cost_;
  ActionBounds bounds_;
  int horizon_;
  std::shared_ptr<Raised> raised_;
};

/// What holds along a trajectory, g = 0 first, then g <= 0; z = (x, u).
struct ConstraintFunctions {
  Shared stage;            // (x [1 x nx], u [1 x nu], t [1]) -> [stage_count]
  Shared expand;           // the same -> [stage_count x nz]
  Shared terminal;         // x [1 x nx] -> [end_count]
  Shared expand_terminal;  // x [1 x nx] -> [end_count x nx]
  int stage_equalities = 0, stage_count = 0;
  int end_equalities = 0, end_count = 0;
};

class FunctionConstraints final : public TrajectoryConstraints {
 public:
  FunctionConstraints(ConstraintFunctions functions, const TrajectoryProblem& problem,
                      std::shared_ptr<Raised> raised);

  [[nodiscard]] int count(int t) const override {
    return t < horizon_ ? functions_.stage_count : functions_.end_count;
  }
  [[nodiscard]] int equalities(int t) const override {
    return t < horizon_ ? functions_.stage_equalities : functions_.end_equalities;
  }
  void Evaluate(int t, const double* x, const double* u, double* g) const override;
  void Expand(int t, const double* x, const double* u, double* g, double* jacobian) const override;

 private:
  /// Calls one of the two with the knot's state, and before the end its action and time.
  [[nodiscard]] nb::object Call(const Shared& stage, const Shared& terminal, int t, const double* x,
                                const double* u) const;

  ConstraintFunctions functions_;
  int horizon_;
  int nx_;
  int nu_;
  std::shared_ptr<Raised> raised_;
};

}  // namespace foreplan::python
