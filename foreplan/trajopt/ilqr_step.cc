// What a step of iLQR promises, and the search of its length.
#include <algorithm>
#include <cmath>
#include <limits>

#include "foreplan/core/row_kernels.h"
#include "foreplan/core/size.h"
#include "foreplan/trajopt/ilqr.h"

namespace foreplan {

// With gaps the change of the cost along the step is that of the linearised trajectory
//   dx_{t+1} = A dx + B du + gap, du = k + K dx:
// linear = sum l_z'dz, quadratic = sum dz'l_zz dz, as du and dx scale with alpha.
void IlqrSolver::LinearRollout() {
  const int nu = layout_.nu;
  const int ldu = layout_.ldu();
  const int ldx = layout_.ldx();
  const int ldz = layout_.ldz();
  double* dz = linear_state_.data();
  double* next = linear_state_.data() + ldz;
  std::fill_n(dz, 2 * ldz, 0.0);
  linear_ = quadratic_ = 0;
  for (int t = 0; t <= horizon_; ++t) {
    const Knot& knot = knots_[static_cast<size_t>(t)];
    double* dx = dz + ldu;
    if (t < horizon_) {
      for (int i = 0; i < nu; ++i) {
        dz[i] = backward_.feedforward(t)[i] +
                row_kernels::Dot(ldx, backward_.feedback(t) + i * ldx, dx);
      }
      for (int i = 0; i < nu; ++i) {
        // u'(luu u + 2 lux x)
        const double* row = knot.hessian_u + i * ldz;
        quadratic_ +=
            dz[i] * (row_kernels::Dot(ldu, row, dz) + 2 * row_kernels::Dot(ldx, row + ldu, dx));
        linear_ += knot.gradient[i] * dz[i];
      }
      for (int i = 0; i < layout_.nx; ++i) {
        next[ldu + i] = row_kernels::Dot(ldz, knot.jacobian + i * ldz, dz) +
                        gaps_.data()[Size(t, ldx) + static_cast<size_t>(i)];
      }
    }
    for (int i = 0; i < layout_.nx; ++i) {
      quadratic_ += dx[i] * row_kernels::Dot(ldx, knot.hessian_x + i * ldx, dx);
      linear_ += knot.gradient[ldu + i] * dx[i];
    }
    std::copy_n(next + ldu, ldx, dx);
  }
}

// The weight of gaps in the merit function: large enough for the full step to be a descent.
void IlqrSolver::UpdateGapWeight() {
  const double rise = std::max(0.0, linear_ + 0.5 * std::max(0.0, quadratic_));
  gap_weight_ = std::max(gap_weight_, 2 * rise / gap_sum_);
}

double IlqrSolver::ExpectedChange(double alpha) const {
  return alpha * linear_ + 0.5 * alpha * alpha * quadratic_ - gap_weight_ * alpha * gap_sum_;
}

// Takes the longest of the steps 1, 1/2, 1/4, ... that the acceptance rule allows. With several
// threads as many lengths are tried at once, and the longest acceptable one is taken all the same.
bool IlqrSolver::LineSearch(IlqrIteration& iteration) {
  const int batch = static_cast<int>(trials_.size());
  for (double longest = 1; longest >= options_.min_step && !EndsLate();) {
    if (batch == 1) {
      (this->*rollout_)(longest, trials_[0], *workspaces_[0]);
    } else {
      executor_->ParallelFor(batch, [&](int task, int worker) {
        (this->*rollout_)(std::ldexp(longest, -task), trials_[static_cast<size_t>(task)],
                          *workspaces_[static_cast<size_t>(worker)]);
      });
    }
    for (int i = 0; i < batch && longest >= options_.min_step; ++i, longest *= 0.5) {
      Trial& trial = trials_[static_cast<size_t>(i)];
      if (!Accepts(longest, trial, iteration)) continue;
      std::swap(current_, trial.trajectory);
      if (!feasible()) {
        const double left = 1 - longest;
        gap_sum_ *= left;
        gap_largest_ *= left;
        for (size_t j = 0; j < Size(horizon_, layout_.ldx()); ++j) gaps_.data()[j] *= left;
      }
      return true;
    }
  }
  return false;
}

bool IlqrSolver::Accepts(double alpha, const Trial& trial, IlqrIteration& iteration) const {
  const double expected = ExpectedChange(alpha);
  const double actual = trial.trajectory.cost - current_.cost - gap_weight_ * alpha * gap_sum_;
  iteration.step = alpha;
  iteration.expected_change = expected;
  iteration.actual_change = actual;
  if (!std::isfinite(actual) || !(expected < 0)) return false;
  const double ratio = actual / expected;
  return ratio >= options_.min_ratio && ratio <= options_.max_ratio;
}

// x_{t+1} = f(x_t, u_t) - (1 - alpha) gap_t, u_t = clamp(u^_t + alpha k_t + K_t (x_t - x^_t)).
template <int FixedNx, int FixedNu>
void IlqrSolver::RolloutSized(double alpha, Trial& trial,
                              TrajectoryProblem::Workspace& workspace) const {
  const int nx = FixedNx > 0 ? FixedNx : layout_.nx;
  const int nu = FixedNu > 0 ? FixedNu : layout_.nu;
  const int ldx = KnotLayout::Padded(nx);
  const int ldu = KnotLayout::Padded(nu);
  const bool flat = nx == state_dim_;
  const bool has_gaps = !feasible();
  const double left = 1 - alpha;
  double* dx = trial.difference.data();
  double* x = trial.trajectory.xs.data();
  double* u = trial.trajectory.us.data();
  const double* x_nominal = current_.xs.data();
  const double* u_nominal = current_.us.data();
  const double* gap = gaps_.data();
  const double* K = backward_.feedback(0);
  const double* k = backward_.feedforward(0);
  const double* low = low_.data();
  const double* high = high_.data();
  std::copy_n(x_nominal, state_dim_, x);
  double cost = 0;
  for (int t = 0; t < horizon_; ++t) {
    if (flat) {
      for (int i = 0; i < nx; ++i) dx[i] = x[i] - x_nominal[i];
    } else {
      problem_.Difference(x, x_nominal, dx);
    }
    row_kernels::MultiplyVector(nu, ldx, {K, ldx}, dx, u);
    for (int i = 0; i < nu; ++i) u[i] += u_nominal[i] + alpha * k[i];
    if (bounded_) {
      for (int i = 0; i < nu; ++i) u[i] = std::min(std::max(u[i], low[i]), high[i]);
      low += nu;
      high += nu;
    }
    if (IsLate()) {
      trial.trajectory.cost = std::numeric_limits<double>::infinity();  // no step to accept
      return;
    }
    double* next = x + state_dim_;
    cost += problem_.Step(t, x, u, next, workspace);
    if (has_gaps) {
      for (int i = 0; i < nx; ++i) next[i] -= left * gap[i];
      gap += ldx;
    }
    x = next;
    u += nu;
    x_nominal += state_dim_;
    u_nominal += nu;
    K += nu * ldx;
    k += ldu;
  }
  trial.trajectory.cost = cost + problem_.TerminalCost(x, workspace);
}

void IlqrSolver::ChooseRollout() {
  rollout_ = &IlqrSolver::RolloutSized<0, 0>;
  if (layout_.nx == 4 && layout_.nu == 1) rollout_ = &IlqrSolver::RolloutSized<4, 1>;
  if (layout_.nx == 3 && layout_.nu == 2) rollout_ = &IlqrSolver::RolloutSized<3, 2>;
  if (layout_.nx == 12 && layout_.nu == 4) rollout_ = &IlqrSolver::RolloutSized<12, 4>;
}

}  // namespace foreplan
