#include "foreplan/trajopt/trajectory_problem.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "foreplan/core/finite.h"

namespace foreplan {
namespace {

/// Memory of one knot.
struct OwnedKnot {
  explicit OwnedKnot(KnotLayout layout)
      : jacobian(layout.jacobian_size()),
        hessian_u(layout.hessian_u_size()),
        hessian_x(layout.hessian_x_size()),
        gradient(static_cast<size_t>(layout.ldz())) {}
  Knot knot() { return {jacobian.data(), hessian_u.data(), hessian_x.data(), gradient.data()}; }
  std::vector<double> jacobian, hessian_u, hessian_x, gradient;
};

double Error(double found, double expected) {
  return std::abs(found - expected) / (1 + std::abs(expected));
}

/// Takes the largest, and a NaN when there is one.
void Raise(double& largest, double error) { largest = MaxOrNan(largest, error); }

}  // namespace

void TrajectoryProblem::Difference(const double* x, const double* reference, double* dx) const {
  for (int i = 0; i < state_dim(); ++i) dx[i] = x[i] - reference[i];
}

DerivativeErrors CheckDerivatives(const TrajectoryProblem& problem, int t,
                                  std::span<const double> x, std::span<const double> u,
                                  double step) {
  const KnotLayout layout{problem.tangent_dim(), problem.action_dim()};
  const auto nx = static_cast<size_t>(layout.nx);
  const auto nu = static_cast<size_t>(layout.nu);
  const auto workspace = problem.MakeWorkspace();

  // Expand reads the rows of knot t.
  std::vector<double> xs((static_cast<size_t>(t) + 2) * nx);
  std::vector<double> us((static_cast<size_t>(t) + 1) * nu);
  std::ranges::copy(x, xs.begin() + t * layout.nx);
  std::ranges::copy(u, us.begin() + t * layout.nu);
  std::vector<OwnedKnot> owned;
  std::vector<Knot> knots;
  for (int i = 0; i <= t; ++i) owned.emplace_back(layout);
  for (int i = 0; i <= t; ++i) {
    knots.push_back(owned[static_cast<size_t>(i)].knot());
    problem.Bind(i, knots.back());
  }
  problem.Expand(t, t + 1, xs.data(), us.data(), knots.data(), *workspace);
  const Knot knot = knots.back();

  DerivativeErrors errors;
  std::vector<double> z(u.begin(), u.end());  // (u, x)
  z.insert(z.end(), x.begin(), x.end());
  const std::vector<double> multiplier(nx, 1.0);
  // Cost and next state at z with entry i moved; the Lagrangian's gradient for second derivatives.
  std::vector<double> next_above(nx);
  std::vector<double> next_below(nx);
  const auto lagrangian_gradient = [&](std::vector<double>& out) {
    OwnedKnot moved(layout);
    std::copy_n(z.data() + nu, nx, xs.data() + t * layout.nx);
    std::copy_n(z.data(), nu, us.data() + t * layout.nu);
    problem.Expand(t, t + 1, xs.data(), us.data(), knots.data(), *workspace);
    for (size_t j = 0; j < nu + nx; ++j) {
      const size_t column = j < nu ? j : static_cast<size_t>(layout.ldu()) + j - nu;
      out[j] = 0;
      for (size_t i = 0; i < nx; ++i) {
        out[j] += multiplier[i] * knot.jacobian[i * static_cast<size_t>(layout.ldz()) + column];
      }
    }
  };
  OwnedKnot curvature(layout);
  if (problem.has_second_derivatives()) {
    problem.AddDynamicsHessian(t, x.data(), u.data(), multiplier.data(), curvature.knot());
  }
  const std::vector<double> jacobian(knot.jacobian, knot.jacobian + layout.jacobian_size());
  const std::vector<double> gradient(knot.gradient, knot.gradient + layout.ldz());
  for (size_t j = 0; j < nu + nx; ++j) {
    const size_t column = j < nu ? j : static_cast<size_t>(layout.ldu()) + j - nu;
    const double kept = z[j];
    z[j] = kept + step;
    const double above = problem.Step(t, z.data() + nu, z.data(), next_above.data(), *workspace);
    std::vector<double> gradient_above(nu + nx);
    if (problem.has_second_derivatives()) lagrangian_gradient(gradient_above);
    z[j] = kept - step;
    const double below = problem.Step(t, z.data() + nu, z.data(), next_below.data(), *workspace);
    std::vector<double> gradient_below(nu + nx);
    if (problem.has_second_derivatives()) lagrangian_gradient(gradient_below);
    z[j] = kept;
    Raise(errors.gradient, Error(gradient[column], (above - below) / (2 * step)));
    for (size_t i = 0; i < nx; ++i) {
      Raise(errors.jacobian, Error(jacobian[i * static_cast<size_t>(layout.ldz()) + column],
                                   (next_above[i] - next_below[i]) / (2 * step)));
    }
    for (size_t i = 0; problem.has_second_derivatives() && i < nu + nx; ++i) {
      const double difference = (gradient_above[i] - gradient_below[i]) / (2 * step);
      double found = 0;
      if (i < nu) {
        found = curvature.hessian_u[i * static_cast<size_t>(layout.ldz()) + column];
      } else if (j < nu) {
        found = curvature.hessian_u[j * static_cast<size_t>(layout.ldz()) +
                                    static_cast<size_t>(layout.ldu()) + i - nu];
      } else {
        found = curvature.hessian_x[(i - nu) * static_cast<size_t>(layout.ldx()) + j - nu];
      }
      Raise(errors.dynamics_hessian, Error(found, difference));
    }
  }

  OwnedKnot terminal(layout);
  Knot terminal_knot = terminal.knot();
  problem.Bind(problem.horizon(), terminal_knot);
  problem.ExpandTerminal(x.data(), terminal_knot, *workspace);
  std::vector<double> moved(x.begin(), x.end());
  for (size_t j = 0; j < nx; ++j) {
    moved[j] = x[j] + step;
    const double above = problem.TerminalCost(moved.data(), *workspace);
    moved[j] = x[j] - step;
    const double below = problem.TerminalCost(moved.data(), *workspace);
    moved[j] = x[j];
    Raise(errors.terminal_gradient,
          Error(terminal_knot.gradient[static_cast<size_t>(layout.ldu()) + j],
                (above - below) / (2 * step)));
  }
  return errors;
}

}  // namespace foreplan
