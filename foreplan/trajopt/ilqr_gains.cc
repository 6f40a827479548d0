// Feedback around the solution of iLQR.
#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/size.h"
#include "foreplan/trajopt/ilqr.h"

namespace foreplan {

const double* IlqrSolver::feedback(int t) {
  UpdateGains();
  return backward_.feedback(t);
}

void IlqrSolver::UpdateGains() {
  if (gains_are_current_) return;
  if (!has_trajectory_) {
    throw RunError("ilqr: gains: found no valid trajectory, expected one from Solve");
  }
  IlqrStatus reason;
  {
    // No cutoff of Solve's is one for this pass, and Solve may go on with its own regularisation;
    // given back also where a model throws.
    struct OfSolve {
      IlqrSolver& solver;
      Cutoff cutoff = std::exchange(solver.cutoff_, {});
      IlqrStatus status = solver.status_;
      double mu = std::exchange(solver.mu_, 0.0);
      double mu_step = std::exchange(solver.mu_step_, 1.0);

      ~OfSolve() {
        solver.cutoff_ = cutoff;
        solver.status_ = status;
        solver.mu_ = mu;
        solver.mu_step_ = mu_step;
      }
    } const kept{*this};
    Expand();
    gains_are_current_ = BackwardRegularised();
    gains_mu_ = mu_;
    reason = status_;
  }
  if (!gains_are_current_) {
    throw RunError(
        fmt::format("ilqr: gains: knot {}: found {}, expected finite derivatives and a "
                    "minimum",
                    backward_.failed_knot(),
                    reason == IlqrStatus::kInvalidDerivatives ? "derivatives that are not finite"
                                                              : "no minimum"));
  }
}

LinearGaussianPolicy IlqrSolver::TrackingPolicy(double temperature) {
  if (!(temperature >= 0) || !std::isfinite(temperature)) {
    throw InputError(
        fmt::format("ilqr: tracking policy: temperature: found {}, expected a finite number >= 0",
                    temperature));
  }
  UpdateGains();
  if (layout_.nx != state_dim_) {
    throw InputError(fmt::format(
        "ilqr: tracking policy: found {} tangent dimensions and {} state numbers, expected as many "
        "of both",
        layout_.nx, state_dim_));
  }
  std::optional<BackwardPass> noisy;  // the pass again, with what it leaves behind
  if (temperature > 0) {
    noisy.emplace(layout_, horizon_, bounded_, /*keep_values=*/true);
    noisy->Run(Input(gains_mu_));
  }
  std::vector<LinearGaussianStep> steps(static_cast<size_t>(horizon_));
  for (int t = 0; t < horizon_; ++t) {
    LinearGaussianStep& step = steps[static_cast<size_t>(t)];
    step.action =
        Eigen::Map<const Eigen::VectorXd>(current_.us.data() + Size(t, layout_.nu), layout_.nu);
    step.state =
        Eigen::Map<const Eigen::VectorXd>(current_.xs.data() + Size(t, state_dim_), state_dim_);
    step.feedforward = Eigen::VectorXd::Zero(layout_.nu);
    step.feedback.resize(layout_.nu, layout_.nx);
    for (int i = 0; i < layout_.nu; ++i) {
      const double* row = backward_.feedback(t) + i * layout_.ldx();
      for (int j = 0; j < layout_.nx; ++j) step.feedback(i, j) = row[j];
    }
    step.covariance = Eigen::MatrixXd::Zero(layout_.nu, layout_.nu);
    if (noisy) step.covariance = temperature * noisy->InverseActionHessian(t);
  }
  LinearGaussianPolicy policy(std::move(steps));
  if (bounded_) policy.set_bounds(problem_.action_low(), problem_.action_high());
  return policy;
}

}  // namespace foreplan
