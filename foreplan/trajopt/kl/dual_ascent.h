// Dual gradient descent: minimise a Lagrangian, ascend in its multipliers.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "foreplan/core/options.h"

namespace foreplan {

/// How far each ascent goes.
enum class DualStepRule {
  kFixed,         // lambda + alpha C
  kBacktracking,  // alpha doubles, and is halved until the dual rises enough (Armijo)
  kSecant,        // Newton's step with the slope of the last two constraint values; one multiplier
};

struct DualAscentOptions {
  DualStepRule rule = DualStepRule::kBacktracking;
  double step = 1;  // alpha, of the first step for the adaptive rules; (0, 1e12]
  int max_minimisations = 1000;
};

enum class DualAscentStatus {
  kConverged,
  kMinimisations,  // out of minimisations
  kUnbounded,      // the Lagrangian has no minimum at the multipliers reached
  kStalled,        // no step that the rule can take changes the multipliers
};

/// One multiplier per constraint C_i(x). For C_i = 0 without bounds; for C_i <= 0 not below 0 (or
/// whatever positive floor the problem needs).
struct DualConstraint {
  double tolerance;  // |C_i| (C_i for an inequality) counts as fulfilled up to this
  double floor;      // least multiplier; -infinity for an equality
};

/// Minimises L(x, lambda) = f(x) + lambda'C(x) over x, writes C at the minimum, and the dual
/// g(lambda) = L. False when there is no minimum; numbers that are not finite say the same.
using LagrangianMinimiser = std::function<bool(std::span<const double> multipliers,
                                               std::span<double> constraints, double& dual)>;

struct DualAscentResult {
  DualAscentStatus status = DualAscentStatus::kMinimisations;
  std::vector<double> multipliers;  // as the last minimisation saw them
  std::vector<double> constraints;  // there
  double dual = 0;                  // there
  int minimisations = 0;
};

/// Repeats x = argmin L(x, lambda); lambda <- max(floor, lambda + alpha C(x)), as dg/dlambda = C(x)
/// (Boyd and Vandenberghe 2004, section 5; Boyd et al. 2011, section 2.1), until every constraint
/// is fulfilled, and every inequality tight or its multiplier at the floor. Throws InputError when
/// the secant rule is asked for more than one multiplier, or sizes do not fit.
[[nodiscard]] DualAscentResult AscendDual(const LagrangianMinimiser& minimise,
                                          std::span<const DualConstraint> constraints,
                                          std::span<const double> start,
                                          const DualAscentOptions& options);

}  // namespace foreplan
