#include "foreplan/trajopt/kl/kl_lqr_pass.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/core/row_kernels.h"
#include "foreplan/trajopt/kl/kl_divergence.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::Map<RowMajor, 0, Eigen::OuterStride<>>;
using ConstStrided = Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>>;
using row_kernels::Accumulate;
using row_kernels::View;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::ptrdiff_t Offset(int t, size_t size) { return t * static_cast<std::ptrdiff_t>(size); }

void Check(const char* what, int t, const MatrixXd& found, Eigen::Index rows,
           Eigen::Index columns) {
  if (found.rows() != rows || found.cols() != columns) {
    throw InputError(fmt::format("KL-constrained LQR: step {}: {}: found {} x {}, expected {} x {}",
                                 t, what, found.rows(), found.cols(), rows, columns));
  }
  if (AllFinite(found)) return;
  throw RunError(fmt::format(
      "KL-constrained LQR: step {}: {}: found NaN or infinity, expected finite numbers", t, what));
}

void CheckCount(const char* what, int found, int expected) {
  if (found == expected) return;
  throw InputError(
      fmt::format("KL-constrained LQR: {}: found {}, expected {}", what, found, expected));
}

}  // namespace

KlLqrPass::KlLqrPass(int nx, int nu, int horizon)
    : layout_{nx, nu},
      horizon_(horizon),
      backward_(layout_, horizon, /*bounded=*/false, /*keep_values=*/true),
      knots_(static_cast<size_t>(horizon) + 1),
      state_mean_(static_cast<size_t>(horizon)),
      action_mean_(static_cast<size_t>(horizon)),
      feedback_(static_cast<size_t>(horizon)),
      root_(static_cast<size_t>(horizon)),
      multipliers_(static_cast<size_t>(horizon)),
      kl_per_step_(static_cast<size_t>(horizon)) {
  const auto rows = [](int count, int stride) {
    return static_cast<size_t>(count) * static_cast<size_t>(stride);
  };
  const size_t xx = rows(nx, layout_.ldx());
  const size_t ux = rows(nu, layout_.ldx());
  const size_t uu = rows(nu, layout_.ldu());
  const auto steps = static_cast<size_t>(horizon);
  memory_.resize((steps + 1) * layout_.knot_size() + steps * (uu + ux + 3 * xx) + 4 * xx + ux +
                 rows(nu + 1, layout_.ldz()) + 2 * uu +
                 static_cast<size_t>(layout_.ldx() + layout_.ldu()));
  double* at = memory_.data();
  const auto take = [&at](size_t size) { return std::exchange(at, at + size); };
  for (Knot& knot : knots_) knot = Knot::Take(layout_, at);
  action_hessian_ = take(steps * uu);
  transposed_B_ = take(steps * ux);
  transposed_A_ = take(steps * xx);
  noise_ = take(steps * xx);
  state_covariance_ = take(steps * xx);
  initial_covariance_ = take(xx);
  covariance_ = take(xx);
  closed_loop_ = take(xx);
  product_ = take(xx);
  gain_product_ = take(ux);
  factor_ = take(rows(nu, layout_.ldz()));
  z_ = take(static_cast<size_t>(layout_.ldz()));
  shape_ = take(uu);
  inverse_ = take(uu);
  next_ = take(static_cast<size_t>(layout_.ldx()));
  diagonal_ = take(static_cast<size_t>(layout_.ldu()));
}

void KlLqrPass::SetProblem(const LinearGaussianDynamics& dynamics,
                           const std::vector<QuadraticCost>& costs,
                           const LinearGaussianPolicy& previous) {
  CheckProblem(dynamics, costs, previous);
  SetChecked(dynamics, costs, previous, PropagateDistribution(dynamics, previous));
}

void KlLqrPass::SetProblem(const LinearGaussianDynamics& dynamics,
                           const std::vector<QuadraticCost>& costs,
                           const LinearGaussianPolicy& previous,
                           const TrajectoryDistribution& of_previous) {
  CheckProblem(dynamics, costs, previous);
  CheckCount("state means of the previous policy", static_cast<int>(of_previous.state_mean.size()),
             horizon_);
  SetChecked(dynamics, costs, previous, of_previous);
}

void KlLqrPass::CheckProblem(const LinearGaussianDynamics& dynamics,
                             const std::vector<QuadraticCost>& costs,
                             const LinearGaussianPolicy& previous) const {
  const int nx = layout_.nx;
  const int nu = layout_.nu;
  CheckCount("transitions", static_cast<int>(dynamics.steps.size()), horizon_ - 1);
  CheckCount("costs", static_cast<int>(costs.size()), horizon_);
  CheckCount("steps of the previous policy", previous.horizon(), horizon_);
  Check("initial mean", 0, dynamics.initial_mean, nx, 1);
  Check("initial covariance", 0, dynamics.initial_covariance, nx, nx);
  for (int t = 0; t < horizon_; ++t) {
    const QuadraticCost& cost = costs[static_cast<size_t>(t)];
    Check("Q", t, cost.Q, nx, nx);
    Check("S", t, cost.S, nu, nx);
    Check("R", t, cost.R, nu, nu);
    Check("q", t, cost.q, nx, 1);
    Check("r", t, cost.r, nu, 1);
    Check("previous feedback", t, previous.step(t).feedback, nu, nx);
    if (t + 1 == horizon_) break;
    const LinearGaussianTransition& f = dynamics.steps[static_cast<size_t>(t)];
    Check("A", t, f.A, nx, nx);
    Check("B", t, f.B, nx, nu);
    Check("c", t, f.c, nx, 1);
    Check("covariance", t, f.covariance, nx, nx);
  }
}

void KlLqrPass::SetChecked(const LinearGaussianDynamics& dynamics,
                           const std::vector<QuadraticCost>& costs,
                           const LinearGaussianPolicy& previous,
                           const TrajectoryDistribution& of_previous) {
  Strided(initial_covariance_, layout_.nx, layout_.nx, Eigen::OuterStride<>(layout_.ldx())) =
      dynamics.initial_covariance;
  for (int t = 0; t < horizon_; ++t) {
    const auto at = static_cast<size_t>(t);
    SetPrevious(t, previous.step(t), of_previous);
    SetCost(t, costs[at]);
    if (t + 1 < horizon_) SetTransition(t, dynamics.steps[at]);
  }
}

// The previous policy and its mean trajectory, around which all is written.
void KlLqrPass::SetPrevious(int t, const LinearGaussianStep& step,
                            const TrajectoryDistribution& of_previous) {
  const auto at = static_cast<size_t>(t);
  const Eigen::LLT<MatrixXd> root(step.covariance);
  if (root.info() != Eigen::Success) {
    throw RunError(
        fmt::format("KL-constrained LQR: step {}: previous covariance: found a singular one, "
                    "expected positive definite",
                    t));
  }
  state_mean_[at] = of_previous.state_mean[at];
  action_mean_[at] = of_previous.action_mean[at];
  const int nx = layout_.nx;
  Strided(state_covariance_ + Offset(t * nx, static_cast<size_t>(layout_.ldx())), nx, nx,
          Eigen::OuterStride<>(layout_.ldx())) = of_previous.state_covariance[at];
  feedback_[at] = step.feedback;
  root_[at] = root.matrixL();
}

// In units of the previous policy's noise -log p' = delta'delta / 2 + constant, so c / lambda - log
// p' is the cost below with lambda I added to luu, all of it over lambda.
//
// The cost at u = u_mean + K'dx + L'delta:
//   lxx = Q + K'S + S'K + K'R K, lux = L'(S + R K), luu = L'R L, lx = gx + K'gu, lu = L'gu
// with K, L of the previous policy and the gradients gx, gu at its mean.
void KlLqrPass::SetCost(int t, const QuadraticCost& cost) {
  const int nx = layout_.nx;
  const int nu = layout_.nu;
  const auto at = static_cast<size_t>(t);
  const MatrixXd& K = feedback_[at];
  const MatrixXd& L = root_[at];
  const VectorXd& x = state_mean_[at];
  const VectorXd& u = action_mean_[at];
  const VectorXd gx = cost.Q * x + cost.S.transpose() * u + cost.q;
  const VectorXd gu = cost.R * u + cost.S * x + cost.r;
  const MatrixXd SRK = cost.S + cost.R * K;
  const MatrixXd lxx = cost.Q + K.transpose() * SRK + cost.S.transpose() * K;

  const Eigen::OuterStride<> ldz(layout_.ldz());
  const Knot& knot = knots_[at];
  const MatrixXd luu = L.transpose() * cost.R * L;
  Strided(knot.hessian_x, nx, nx, Eigen::OuterStride<>(layout_.ldx())) =
      0.5 * (lxx + lxx.transpose());
  Strided(knot.hessian_u, nu, nu, ldz) = 0.5 * (luu + luu.transpose());
  Strided(knot.hessian_u + layout_.ldu(), nu, nx, ldz) = L.transpose() * SRK;
  Eigen::Map<VectorXd>(knot.gradient, nu) = L.transpose() * gu;
  Eigen::Map<VectorXd>(knot.gradient + layout_.ldu(), nx) = gx + K.transpose() * gu;
  double* kept = action_hessian_ + Offset(t * nu, static_cast<size_t>(layout_.ldu()));
  for (int i = 0; i < nu; ++i) {
    std::copy_n(knot.hessian_u + i * layout_.ldz(), layout_.ldu(), kept + i * layout_.ldu());
  }
}

// dx' = (A + B K) dx + B L delta, K, L of the previous policy.
void KlLqrPass::SetTransition(int t, const LinearGaussianTransition& transition) {
  const int nx = layout_.nx;
  const int nu = layout_.nu;
  const auto at = static_cast<size_t>(t);
  const Eigen::OuterStride<> ldz(layout_.ldz());
  const Eigen::OuterStride<> ldx(layout_.ldx());
  const MatrixXd A = transition.A + transition.B * feedback_[at];
  const MatrixXd B = transition.B * root_[at];
  Strided(knots_[at].jacobian, nx, nu, ldz) = B;
  Strided(knots_[at].jacobian + layout_.ldu(), nx, nx, ldz) = A;
  const auto xx = Offset(t * nx, static_cast<size_t>(layout_.ldx()));
  Strided(transposed_A_ + xx, nx, nx, ldx) = A.transpose();
  Strided(transposed_B_ + Offset(t * nu, static_cast<size_t>(layout_.ldx())), nu, nx, ldx) =
      B.transpose();
  Strided(noise_ + xx, nx, nx, ldx) =
      0.5 * (transition.covariance + transition.covariance.transpose());
}

KlLqrEvaluation KlLqrPass::Evaluate(double lambda, double entropy_weight, double enough) {
  std::ranges::fill(multipliers_, lambda);
  return EvaluateMultipliers(entropy_weight, enough);
}

KlLqrEvaluation KlLqrPass::EvaluateEach(std::span<const double> multipliers,
                                        double entropy_weight) {
  CheckCount("multipliers", static_cast<int>(multipliers.size()), horizon_);
  std::ranges::copy(multipliers, multipliers_.begin());
  return EvaluateMultipliers(entropy_weight, kInfinity);
}

KlLqrEvaluation KlLqrPass::EvaluateMultipliers(double entropy_weight, double enough) {
  const int nx = layout_.nx;
  const int nu = layout_.nu;
  const int ldx = layout_.ldx();
  const int ldu = layout_.ldu();
  const int ldz = layout_.ldz();
  entropy_weight_ = entropy_weight;
  for (int t = 0; t < horizon_; ++t) {
    const double lambda = multipliers_[static_cast<size_t>(t)];
    double* luu = knots_[static_cast<size_t>(t)].hessian_u;
    const double* without = action_hessian_ + Offset(t * nu, static_cast<size_t>(ldu));
    for (int i = 0; i < nu; ++i) luu[i * ldz + i] = without[i * ldu + i] + lambda;
  }
  KlLqrEvaluation result;
  result.status = backward_.Run({.knots = knots_.data()});
  if (result.status != BackwardStatus::kOk) return result;

  std::copy_n(initial_covariance_, nx * ldx, covariance_);
  std::fill_n(z_, ldz, 0.0);
  for (int t = 0; t < horizon_ && result.kl <= enough; ++t) {
    const double* K = backward_.feedback(t);
    double log_det = 0;
    const double shape = ShapeDivergence(t, log_det);
    // Mean of delta, and K X.
    double kl = shape;
    for (int i = 0; i < nu; ++i) {
      z_[i] = backward_.feedforward(t)[i] + row_kernels::Dot(ldx, K + i * ldx, z_ + ldu);
      double* row = gain_product_ + i * ldx;
      std::fill_n(row, ldx, 0.0);
      row_kernels::AddRows(nx, ldx, K + i * ldx, {covariance_, ldx}, row);
      // The same number as KlDivergences of kl_divergence.h gives for the finished policy, in units
      // of the previous policy's noise, where S' = I and K is the difference of the gains:
      //   tr(S) - nu - log|S| + |mean|^2 + tr(K X K')
      kl += z_[i] * z_[i] + row_kernels::Dot(ldx, row, K + i * ldx);
    }
    kl_per_step_[static_cast<size_t>(t)] = 0.5 * kl;
    result.kl += 0.5 * kl;
    result.entropy_change += 0.5 * log_det;
    AddCostChange(t, result);
    if (t + 1 < horizon_) PropagateState(t);
  }
  if (!std::isfinite(result.kl + result.cost_change)) result.status = BackwardStatus::kNotFinite;
  return result;
}

// tr(S) - nu - log|S| of S = (lambda + nu) M^-1, where M / (lambda + nu) = I + D. With
// I + D = L diag(1 + s) L', unit L: the sum over i of
//   r - log(1 + r), r = 1 / (1 + s_i) - 1, and (L^-1)_ij^2 / (1 + s_i) for j < i.
// Leaves S^-1's L^-1 and 1 + s for AddCostChange.
double KlLqrPass::ShapeDivergence(int t, double& log_det) {
  const int nu = layout_.nu;
  const int ldu = layout_.ldu();
  const double* M = backward_.action_hessian(t);
  const double scale = Scale(t);
  double sum = 0;
  for (int j = 0; j < nu; ++j) {
    for (int i = j; i < nu; ++i) {
      double value = M[i * ldu + j];
      if (i == j) value -= scale;
      value /= scale;
      for (int k = 0; k < j; ++k) value -= shape_[i * ldu + k] * shape_[j * ldu + k] * diagonal_[k];
      if (i == j) {
        diagonal_[j] = 1 + value;
        log_det -= std::log1p(value);
        sum += ExcessOverLog(-value / (1 + value));
      } else {
        shape_[i * ldu + j] = value / diagonal_[j];
      }
    }
  }
  // X = L^-1, row by row: X_ij = -l_ij - sum_{j<k<i} l_ik X_kj.
  for (int i = 0; i < nu; ++i) {
    inverse_[i * ldu + i] = 1;
    for (int j = 0; j < i; ++j) {
      double value = shape_[i * ldu + j];
      for (int k = j + 1; k < i; ++k) value += shape_[i * ldu + k] * inverse_[k * ldu + j];
      inverse_[i * ldu + j] = -value;
      sum += value * value / diagonal_[i];
    }
  }
  return sum;
}

// E[cost_t] of the new policy minus that of the previous one, in (delta, dx).
void KlLqrPass::AddCostChange(int t, KlLqrEvaluation& result) const {
  const int nx = layout_.nx;
  const int nu = layout_.nu;
  const int ldx = layout_.ldx();
  const int ldu = layout_.ldu();
  const int ldz = layout_.ldz();
  const Knot& knot = knots_[static_cast<size_t>(t)];
  const double* luu = action_hessian_ + Offset(t * nu, static_cast<size_t>(ldu));
  const double* K = backward_.feedback(t);
  const double* mean_x = z_ + ldu;
  const double* before = state_covariance_ + Offset(t * nx, static_cast<size_t>(ldx));
  double change = row_kernels::Dot(ldz, knot.gradient, z_);
  for (int i = 0; i < nu; ++i) {
    const double* lux = knot.hessian_u + i * ldz + ldu;
    change += z_[i] * row_kernels::Dot(ldx, lux, mean_x) +
              row_kernels::Dot(ldx, lux, gain_product_ + i * ldx);
    for (int j = 0; j < nu; ++j) {
      // S_ij = sum_k X_ki X_kj / (1 + s_k)
      double covariance = i == j ? -1 : 0;
      for (int k = std::max(i, j); k < nu; ++k) {
        covariance += inverse_[k * ldu + i] * inverse_[k * ldu + j] / diagonal_[k];
      }
      covariance += row_kernels::Dot(ldx, gain_product_ + i * ldx, K + j * ldx);
      change += 0.5 * luu[i * ldu + j] * (z_[i] * z_[j] + covariance);
    }
  }
  for (int i = 0; i < nx; ++i) {
    const double* lxx = knot.hessian_x + i * ldx;
    change += 0.5 * mean_x[i] * row_kernels::Dot(ldx, lxx, mean_x);
    change += 0.5 * row_kernels::DotDifference(ldx, lxx, covariance_ + i * ldx, before + i * ldx);
  }
  result.cost_change += change;
}

// X <- M X M' + B S B' + noise, M = A + B K; the mean follows.
void KlLqrPass::PropagateState(int t) {
  const double scale = Scale(t);
  const int nx = layout_.nx;
  const int nu = layout_.nu;
  const int ldx = layout_.ldx();
  const int ldu = layout_.ldu();
  const int ldz = layout_.ldz();
  const auto xx = Offset(t * nx, static_cast<size_t>(ldx));
  const double* transposed_B = transposed_B_ + Offset(t * nu, static_cast<size_t>(ldx));
  row_kernels::MultiplyTransposed<Accumulate::kAdd>(nx, ldx, nu, {backward_.feedback(t), ldx},
                                                    {transposed_B, ldx}, {transposed_A_ + xx, ldx},
                                                    closed_loop_, ldx, false);
  row_kernels::MultiplyTransposed<Accumulate::kOverwrite>(
      nx, ldx, nx, {covariance_, ldx}, {closed_loop_, ldx}, {product_, ldx}, product_, ldx, false);
  row_kernels::MultiplyTransposed<Accumulate::kAdd>(nx, ldx, nx, {closed_loop_, ldx},
                                                    {product_, ldx}, {noise_ + xx, ldx},
                                                    covariance_, ldx, true);
  // B S B' = Y'Y with Y = U'^-1 B', U'U = M / (lambda + nu).
  const double* M = backward_.action_hessian(t);
  for (int i = 0; i < nu; ++i) {
    for (int j = 0; j < ldu; ++j) factor_[i * ldz + j] = M[i * ldu + j] / scale;
    std::copy_n(transposed_B + i * ldx, ldx, factor_ + i * ldz + ldu);
  }
  row_kernels::CholeskyRows(nu, ldz, 0.0, factor_, ldz, diagonal_);
  const View Y{factor_ + ldu, ldz};
  row_kernels::MultiplyTransposed<Accumulate::kAdd>(nx, ldx, nu, Y, Y, {covariance_, ldx},
                                                    covariance_, ldx, true);
  row_kernels::MirrorUpper(nx, ldx, covariance_);
  row_kernels::MultiplyVector(nx, ldz, {knots_[static_cast<size_t>(t)].jacobian, ldz}, z_, next_);
  std::copy_n(next_, ldx, z_ + ldu);
}

LinearGaussianPolicy KlLqrPass::Policy() const {
  const int nx = layout_.nx;
  const int nu = layout_.nu;
  std::vector<LinearGaussianStep> steps;
  for (int t = 0; t < horizon_; ++t) {
    const auto at = static_cast<size_t>(t);
    const MatrixXd& L = root_[at];
    const ConstStrided K(backward_.feedback(t), nu, nx, Eigen::OuterStride<>(layout_.ldx()));
    const MatrixXd M =
        ConstStrided(backward_.action_hessian(t), nu, nu, Eigen::OuterStride<>(layout_.ldu()));
    // L S L' = W'W with W = U'^-1 L', U'U = M / (lambda + nu).
    const MatrixXd W = MatrixXd(M / Scale(t)).llt().matrixL().solve(L.transpose());
    LinearGaussianStep step;
    step.action = action_mean_[at];
    step.state = state_mean_[at];
    step.feedforward = L * Eigen::Map<const VectorXd>(backward_.feedforward(t), nu);
    step.feedback = feedback_[at] + L * K;
    step.covariance = W.transpose() * W;
    steps.push_back(std::move(step));
  }
  return LinearGaussianPolicy(std::move(steps));
}

}  // namespace foreplan
