// Trajectory optimisation with constraints on states: goals, obstacles, limits.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/options.h"
#include "foreplan/trajopt/ilqr.h"
#include "foreplan/trajopt/trajectory_constraints.h"

namespace foreplan {

enum class ConstrainedStatus {
  kConverged,       // constraints hold to the tolerance and no step promises a decrease
  kViolated,        // the largest penalty did not make the constraints hold: there may be no way
  kIterationLimit,  // rounds used up while the violation still shrank
  kFailed,          // iLQR could not go on, see ConstrainedResult::inner, or a constraint is NaN
};
std::string_view Name(ConstrainedStatus status);

struct AugmentedLagrangianOptions {
  int max_rounds = 30;          // of multipliers, 1 ... 1000
  double tolerance = 1e-6;      // largest violation of a solution, and of complementarity
  double initial_penalty = 10;  // rho
  double penalty_factor = 10;   // growth of rho when a round did not quarter the violation
  double max_penalty = 1e8;
  IlqrOptions solver = {};

  void Visit(OptionsVisitor& visitor);
};

struct ConstrainedResult {
  ConstrainedStatus status = ConstrainedStatus::kFailed;
  int rounds = 0;
  int iterations = 0;    // of iLQR, in all rounds
  double cost = 0;       // J, without multipliers and penalties
  double violation = 0;  // largest |g| of an equality, g of an inequality; NaN where one is
  double penalty = 0;    // rho at the end
  IlqrResult inner;      // of the last round; its cost holds multipliers and penalties
};

/// min J subject to g = 0, g <= 0, by the method of multipliers (Hestenes 1969; Powell 1969;
/// Rockafellar 1973) around iLQR (as Howell, Jackson and Manchester 2019):
///
///   L = J + sum (m^2 - lambda^2) / (2 rho),  m = lambda + rho g, not below 0 for inequalities
///
/// is minimised from the solution of the round before; then lambda <- m, and rho grows where the
/// violation did not shrink enough. The penalty's Hessian is Gauss-Newton: rho g' g'^T where m > 0.
class AugmentedLagrangianSolver {
 public:
  /// References must outlive the solver. Throws InputError for options out of range, for counts of
  /// constraints that make no sense, and for what IlqrSolver refuses.
  AugmentedLagrangianSolver(const TrajectoryProblem& problem,
                            const TrajectoryConstraints& constraints,
                            AugmentedLagrangianOptions options, Executor* executor = nullptr);
  ~AugmentedLagrangianSolver();

  /// As IlqrSolver::Solve; multipliers start at 0.
  ConstrainedResult Solve(std::span<const double> x0, std::span<const double> actions,
                          std::span<const double> states = {});

  /// Trajectory, gains and tracking policy of the last Solve.
  [[nodiscard]] IlqrSolver& solver() { return *solver_; }
  /// lambda of the constraints at knot t: [count].
  [[nodiscard]] std::span<const double> multipliers(int t) const;

 private:
  class Lagrangian;

  AugmentedLagrangianOptions options_;
  std::unique_ptr<Lagrangian> lagrangian_;
  std::unique_ptr<IlqrSolver> solver_;
  std::vector<double> actions_;
};

}  // namespace foreplan
