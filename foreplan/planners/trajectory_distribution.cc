#include "foreplan/planners/trajectory_distribution.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <cmath>
#include <limits>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

void CheckCount(const char* what, size_t found, size_t expected) {
  if (found == expected) return;
  throw InputError(fmt::format("trajectory: {}: found {}, expected {}", what, found, expected));
}

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

}  // namespace

double ExcessOverLog(double x) {
  if (std::abs(x) > 0.05) return x - std::log1p(x);
  // x^2/2 - x^3/3 + x^4/4 - ...: the term after x^12 is below 1e-16 of the first.
  constexpr int kTerms = 12;
  double sum = 0;
  for (int n = kTerms; n >= 2; --n) sum = 1.0 / n - x * sum;
  return x * x * sum;
}

TrajectoryDistribution PropagateDistribution(const LinearGaussianDynamics& dynamics,
                                             const LinearGaussianPolicy& policy) {
  const size_t transitions = dynamics.steps.size();
  const auto horizon = static_cast<size_t>(policy.horizon());
  if (horizon != transitions + 1) CheckCount("policy steps", horizon, transitions);
  TrajectoryDistribution result;
  result.state_mean.push_back(dynamics.initial_mean);
  result.state_covariance.push_back(dynamics.initial_covariance);
  for (size_t t = 0; t < horizon; ++t) {
    const LinearGaussianStep& step = policy.step(static_cast<int>(t));
    const VectorXd& x = result.state_mean.back();
    const MatrixXd& X = result.state_covariance.back();
    const VectorXd u = policy.Mean(static_cast<int>(t), x);
    result.action_mean.push_back(u);
    result.action_covariance.push_back(step.feedback * X * step.feedback.transpose() +
                                       step.covariance);
    if (t == transitions) break;
    // u = mean + K (x - mean_x) + noise: the next state's covariance is M X M' + B Sigma B' +
    // noise, M = A + B K.
    const LinearGaussianTransition& f = dynamics.steps[t];
    const MatrixXd M = f.A + f.B * step.feedback;
    const MatrixXd moved =
        M * X * M.transpose() + f.B * step.covariance * f.B.transpose() + f.covariance;
    VectorXd next = f.A * x + f.B * u + f.c;
    result.state_mean.push_back(std::move(next));
    result.state_covariance.push_back(0.5 * (moved + moved.transpose()));
  }
  return result;
}

std::vector<double> ExpectedCosts(const std::vector<QuadraticCost>& costs,
                                  const LinearGaussianPolicy& policy,
                                  const TrajectoryDistribution& distribution) {
  CheckCount("costs", costs.size(), static_cast<size_t>(policy.horizon()));
  CheckCount("actions", distribution.action_mean.size(), costs.size());
  std::vector<double> expected;
  for (size_t t = 0; t < costs.size(); ++t) {
    const QuadraticCost& c = costs[t];
    const VectorXd& x = distribution.state_mean[t];
    const VectorXd& u = distribution.action_mean[t];
    // Cov(u, x) = K X
    const MatrixXd cross =
        policy.step(static_cast<int>(t)).feedback * distribution.state_covariance[t];
    const double at_mean = 0.5 * x.dot(c.Q * x) + u.dot(c.S * x) + 0.5 * u.dot(c.R * u) +
                           c.q.dot(x) + c.r.dot(u) + c.constant;
    const double spread = 0.5 * c.Q.cwiseProduct(distribution.state_covariance[t]).sum() +
                          0.5 * c.R.cwiseProduct(distribution.action_covariance[t]).sum() +
                          c.S.cwiseProduct(cross).sum();
    expected.push_back(at_mean + spread);
  }
  return expected;
}

std::vector<double> KlDivergences(const LinearGaussianPolicy& p,
                                  const LinearGaussianPolicy& previous,
                                  const TrajectoryDistribution& of_p) {
  CheckCount("steps of the previous policy", static_cast<size_t>(previous.horizon()),
             static_cast<size_t>(p.horizon()));
  CheckCount("actions", of_p.action_mean.size(), static_cast<size_t>(p.horizon()));
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
