#include "foreplan/trajopt/kl/kl_divergence.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <cmath>
#include <limits>

#include "foreplan/core/error.h"
#include "foreplan/trajopt/kl/check_count.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

/// tr(I + D) - n - log det(I + D) of a symmetric D, infinite unless I + D > 0.
double ShapeDivergence(const MatrixXd& D) {
  // I + D = L diag(1 + s) L', unit L: the sum of s_i - log(1 + s_i) + sum_{j<i} l_ij^2 (1 + s_j).
  const Eigen::Index n = D.rows();
  MatrixXd l = D;
  VectorXd s(n);
  double sum = 0;
  for (Eigen::Index j = 0; j < n; ++j) {
    double below = 0;  // of row j: sum l_ji^2 (1 + s_i)
    for (Eigen::Index i = 0; i < j; ++i) below += l(j, i) * l(j, i) * (1 + s[i]);
    s[j] = D(j, j) - below;
    if (!(s[j] > -1)) return std::numeric_limits<double>::infinity();
    sum += ExcessOverLog(s[j]) + below;
    for (Eigen::Index i = j + 1; i < n; ++i) {
      double value = D(i, j);
      for (Eigen::Index k = 0; k < j; ++k) value -= l(i, k) * l(j, k) * (1 + s[k]);
      l(i, j) = value / (1 + s[j]);
    }
  }
  return sum;
}

/// Policies of one size, and a distribution of their states. Every step of each has one size.
void CheckSizes(const LinearGaussianPolicy& p, const LinearGaussianPolicy& previous,
                const TrajectoryDistribution& of_p) {
  const auto sizes = [](const LinearGaussianPolicy& policy) {
    return fmt::format("{} state numbers and {} actions", policy.step(0).state.size(),
                       policy.step(0).action.size());
  };
  if (sizes(p) != sizes(previous)) {
    throw InputError(fmt::format("trajectory: previous policy: found {}, expected {}",
                                 sizes(previous), sizes(p)));
  }
  const Eigen::Index nx = p.step(0).state.size();
  CheckTrajectoryCount("state covariances", of_p.state_covariance.size(), of_p.state_mean.size());
  if (of_p.state_mean.size() < static_cast<size_t>(p.horizon()) ||
      of_p.state_mean.front().size() != nx || of_p.state_covariance.front().rows() != nx ||
      of_p.state_covariance.front().cols() != nx) {
    throw InputError(
        fmt::format("trajectory: distribution: found {} states of {} numbers, expected {} of {}",
                    of_p.state_mean.size(), of_p.state_mean.front().size(), p.horizon(), nx));
  }
}

}  // namespace

double ExcessOverLog(double x) {
  if (std::abs(x) > 0.05) return x - std::log1p(x);
  // x^2/2 - x^3/3 + x^4/4 - ...: the term after x^12 is below 1e-16 of the first.
  constexpr int kTerms = 12;
  double sum = 0;
  for (int n = kTerms; n >= 2; --n) sum = 1.0 / n - x * sum;
  return x * x * sum;
}

std::vector<double> KlDivergences(const LinearGaussianPolicy& p,
                                  const LinearGaussianPolicy& previous,
                                  const TrajectoryDistribution& of_p) {
  CheckTrajectoryCount("steps of the previous policy", static_cast<size_t>(previous.horizon()),
                       static_cast<size_t>(p.horizon()));
  CheckTrajectoryCount("actions", of_p.action_mean.size(), static_cast<size_t>(p.horizon()));
  CheckSizes(p, previous, of_p);
  std::vector<double> divergences;
  for (int t = 0; t < p.horizon(); ++t) {
    const LinearGaussianStep& a = p.step(t);
    const LinearGaussianStep& b = previous.step(t);
    const VectorXd& x = of_p.state_mean[static_cast<size_t>(t)];
    const MatrixXd& X = of_p.state_covariance[static_cast<size_t>(t)];
    const Eigen::LLT<MatrixXd> root(b.covariance);
    if (root.info() != Eigen::Success) {
      throw RunError(fmt::format(
          "trajectory: previous policy: step {}: found a singular covariance, expected one that "
          "is positive definite",
          t));
    }
    const auto L = root.matrixL();
    // In the coordinates where the previous policy's noise is N(0, I).
    const MatrixXd dK = L.solve(a.feedback - b.feedback);
    const VectorXd mean =
        L.solve((a.action - b.action) + (a.feedforward - b.feedforward) +
                (a.feedback - b.feedback) * (x - a.state) + b.feedback * (b.state - a.state));
    const MatrixXd half = L.solve(a.covariance - b.covariance);
    const MatrixXd D = L.solve(half.transpose());
    divergences.push_back(
        0.5 * (ShapeDivergence(D) + mean.squaredNorm() + (dK * X).cwiseProduct(dK).sum()));
  }
  return divergences;
}

}  // namespace foreplan
