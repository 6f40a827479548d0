#include "foreplan/trajopt/kl/trajectory_distribution.h"

#include <fmt/format.h>

#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/trajopt/kl/check_count.h"

namespace foreplan {

using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

void CheckShape(const char* field, const MatrixXd& found, Eigen::Index rows, Eigen::Index columns) {
  if (found.rows() == rows && found.cols() == columns) return;
  throw InputError(fmt::format("trajectory: {}: found {} x {}, expected {} x {}", field,
                               found.rows(), found.cols(), rows, columns));
}

/// As many numbers as the policy's states and actions have.
void CheckSizes(const LinearGaussianDynamics& dynamics, const LinearGaussianPolicy& policy) {
  const Eigen::Index nx = policy.step(0).state.size();
  const Eigen::Index nu = policy.step(0).action.size();
  CheckShape("initial mean", dynamics.initial_mean, nx, 1);
  CheckShape("initial covariance", dynamics.initial_covariance, nx, nx);
  for (const LinearGaussianTransition& step : dynamics.steps) {
    CheckShape("A", step.A, nx, nx);
    CheckShape("B", step.B, nx, nu);
    CheckShape("c", step.c, nx, 1);
    CheckShape("covariance", step.covariance, nx, nx);
  }
}

}  // namespace

TrajectoryDistribution PropagateDistribution(const LinearGaussianDynamics& dynamics,
                                             const LinearGaussianPolicy& policy) {
  const size_t transitions = dynamics.steps.size();
  const auto horizon = static_cast<size_t>(policy.horizon());
  if (horizon != transitions + 1) CheckTrajectoryCount("policy steps", horizon, transitions);
  CheckSizes(dynamics, policy);
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
  CheckTrajectoryCount("costs", costs.size(), static_cast<size_t>(policy.horizon()));
  CheckTrajectoryCount("actions", distribution.action_mean.size(), costs.size());
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

}  // namespace foreplan
