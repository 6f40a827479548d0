#include "foreplan/trajopt/trajectory_problem.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <span>
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

/// Compares the derivatives of one knot with central differences. z = (u, x).
class DerivativeCheck {
 public:
  DerivativeCheck(const TrajectoryProblem& problem, int t, std::span<const double> x,
                  std::span<const double> u, double step)
      : problem_(problem),
        t_(t),
        step_(step),
        layout_{problem.tangent_dim(), problem.action_dim()},
        nx_(static_cast<size_t>(layout_.nx)),
        nu_(static_cast<size_t>(layout_.nu)),
        workspace_(problem.MakeWorkspace()),
        z_(u.begin(), u.end()),
        // Expand reads the rows of knot t.
        xs_((static_cast<size_t>(t) + 2) * nx_),
        us_((static_cast<size_t>(t) + 1) * nu_) {
    z_.insert(z_.end(), x.begin(), x.end());
    for (int i = 0; i <= t; ++i) owned_.emplace_back(layout_);
    for (int i = 0; i <= t; ++i) {
      knots_.push_back(owned_[static_cast<size_t>(i)].knot());
      problem.Bind(i, knots_.back());
    }
  }

  DerivativeErrors Run() {
    CheckCostAndDynamics();
    if (problem_.has_second_derivatives()) CheckCurvature();
    CheckTerminal();
    return errors_;
  }

 private:
  [[nodiscard]] const double* x() const { return z_.data() + nu_; }
  [[nodiscard]] const double* u() const { return z_.data(); }
  /// Of entry j of z, in rows of the layout.
  [[nodiscard]] size_t Column(size_t j) const {
    return j < nu_ ? j : static_cast<size_t>(layout_.ldu()) + j - nu_;
  }

  /// The knot at z.
  const Knot& Expand() {
    std::copy_n(x(), nx_, xs_.data() + t_ * layout_.nx);
    std::copy_n(u(), nu_, us_.data() + t_ * layout_.nu);
    problem_.Expand(t_, t_ + 1, xs_.data(), us_.data(), knots_.data(), *workspace_);
    return knots_.back();
  }

  /// (evaluate(z + step e_j) - evaluate(z - step e_j)) / (2 step), of several numbers.
  template <typename Evaluate>
  std::vector<double> Difference(size_t j, Evaluate evaluate) {
    const double kept = z_[j];
    z_[j] = kept + step_;
    std::vector<double> difference = evaluate();
    z_[j] = kept - step_;
    const std::vector<double> below = evaluate();
    z_[j] = kept;
    for (size_t i = 0; i < below.size(); ++i) {
      difference[i] = (difference[i] - below[i]) / (2 * step_);
    }
    return difference;
  }

  void CheckCostAndDynamics() {
    const Knot& knot = Expand();
    for (size_t j = 0; j < nu_ + nx_; ++j) {
      const std::vector<double> expected = Difference(j, [&] {  // next state, cost
        std::vector<double> values(nx_ + 1);
        values[nx_] = problem_.Step(t_, x(), u(), values.data(), *workspace_);
        return values;
      });
      Raise(errors_.gradient, Error(knot.gradient[Column(j)], expected[nx_]));
      for (size_t i = 0; i < nx_; ++i) {
        const double found = knot.jacobian[i * static_cast<size_t>(layout_.ldz()) + Column(j)];
        Raise(errors_.jacobian, Error(found, expected[i]));
      }
    }
  }

  /// The Hessian of sum_i f_i against differences of its gradient.
  void CheckCurvature() {
    OwnedKnot curvature(layout_);
    const std::vector<double> multiplier(nx_, 1.0);
    problem_.AddDynamicsHessian(t_, x(), u(), multiplier.data(), curvature.knot());
    const auto ldx = static_cast<size_t>(layout_.ldx());
    const auto ldz = static_cast<size_t>(layout_.ldz());
    for (size_t j = 0; j < nu_ + nx_; ++j) {
      const std::vector<double> expected = Difference(j, [&] {
        const Knot& knot = Expand();
        std::vector<double> gradient(nu_ + nx_);
        for (size_t k = 0; k < gradient.size(); ++k) {
          for (size_t i = 0; i < nx_; ++i) gradient[k] += knot.jacobian[i * ldz + Column(k)];
        }
        return gradient;
      });
      for (size_t i = 0; i < nu_ + nx_; ++i) {
        const double found = i < nu_   ? curvature.hessian_u[i * ldz + Column(j)]
                             : j < nu_ ? curvature.hessian_u[j * ldz + Column(i)]
                                       : curvature.hessian_x[(i - nu_) * ldx + j - nu_];
        Raise(errors_.dynamics_hessian, Error(found, expected[i]));
      }
    }
  }

  void CheckTerminal() {
    OwnedKnot owned(layout_);
    Knot terminal = owned.knot();
    problem_.Bind(problem_.horizon(), terminal);
    problem_.ExpandTerminal(x(), terminal, *workspace_);
    for (size_t j = nu_; j < nu_ + nx_; ++j) {
      const std::vector<double> expected =
          Difference(j, [&] { return std::vector{problem_.TerminalCost(x(), *workspace_)}; });
      Raise(errors_.terminal_gradient, Error(terminal.gradient[Column(j)], expected[0]));
    }
  }

  const TrajectoryProblem& problem_;
  const int t_;
  const double step_;
  const KnotLayout layout_;
  const size_t nx_;
  const size_t nu_;
  const std::unique_ptr<TrajectoryProblem::Workspace> workspace_;
  std::vector<double> z_;
  std::vector<double> xs_, us_;  // of knots 0 ... t
  std::vector<OwnedKnot> owned_;
  std::vector<Knot> knots_;
  DerivativeErrors errors_;
};

}  // namespace

void TrajectoryProblem::Difference(const double* x, const double* reference, double* dx) const {
  for (int i = 0; i < state_dim(); ++i) dx[i] = x[i] - reference[i];
}

DerivativeErrors CheckDerivatives(const TrajectoryProblem& problem, int t,
                                  std::span<const double> x, std::span<const double> u,
                                  double step) {
  return DerivativeCheck(problem, t, x, u, step).Run();
}

}  // namespace foreplan
