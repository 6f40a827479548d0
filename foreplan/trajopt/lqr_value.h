// The exact value of linear-quadratic problems, as what lies beyond a horizon.
#pragma once

#include <Eigen/Core>
#include <memory>

#include "foreplan/models/terminal_value.h"
#include "foreplan/trajopt/lqr.h"

namespace foreplan {

/// What optimal control of x' = A x + B u, in distances from `target`, still earns where every step
/// costs 1/2 x'Q x + u'S x + 1/2 u'R u, for ever: V(o) = -1/2 (o - target)' V (o - target) with V
/// of SolveStationaryLqr. A planner with this value at the horizon acts, on that problem, as if the
/// horizon were infinite. Throws InputError where it has no solution, and for affine terms (c, q,
/// r).
[[nodiscard]] std::shared_ptr<const QuadraticValue> StationaryLqrValue(
    const LqrStage& stage, const Eigen::VectorXd& target);

/// The same of a finite, possibly time-varying problem from its first step on, terminal cost
/// included.
[[nodiscard]] std::shared_ptr<const QuadraticValue> LqrValue(const LqrProblem& problem,
                                                             const Eigen::VectorXd& target);

}  // namespace foreplan
