#include "foreplan/learners/local_cost.h"

#include <algorithm>
#include <utility>

namespace foreplan {

using Eigen::MatrixXd;
using Eigen::VectorXd;

LocalCost::LocalCost(const Reward& reward, int nx, int nu, DependentComponents components)
    : reward_(reward), nx_(nx), nu_(nu), components_(std::move(components)) {
  const Eigen::Index nz = 2 * nx + nu;
  for (VectorXd* vector : {&z_, &gradient_, &mean_gradient_}) vector->resize(nz);
  hessian_.resize(nz, nz);
  mean_hessian_.resize(nz, nz);
  scratch_.resize(2 * static_cast<size_t>(nz * nz));
}

void LocalCost::Expand(const RolloutView& rollouts, std::span<const double> jacobians,
                       const LinearGaussianDynamics& dynamics, std::vector<QuadraticCost>& costs) {
  costs.resize(dynamics.steps.size());
  const double weight = 1.0 / rollouts.rollouts;
  const size_t size = components_.dependent.size() * components_.on.size();
  for (size_t t = 0; t < costs.size(); ++t) {
    mean_gradient_.setZero();
    mean_hessian_.setZero();
    mean_constant_ = 0;
    const auto at = static_cast<int>(t);
    for (int n = 0; n < rollouts.rollouts; ++n) {
      const size_t step = static_cast<size_t>(n) * costs.size() + t;
      AddTransition(rollouts.state(n, at), rollouts.action(n, at), rollouts.state(n, at + 1),
                    jacobians.data() + step * size, weight);
    }
    ThroughDynamics(dynamics.steps[t]);
    costs[t] = {.Q = mean_hessian_.topLeftCorner(nx_, nx_),
                .S = mean_hessian_.block(nx_, 0, nu_, nx_),
                .R = mean_hessian_.block(nx_, nx_, nu_, nu_),
                .q = mean_gradient_.head(nx_),
                .r = mean_gradient_.segment(nx_, nu_),
                .constant = mean_constant_};
  }
}

// -r(z) = c + g'(z - z_n) + 1/2 (z - z_n)'H (z - z_n), as a polynomial in z.
void LocalCost::AddTransition(const double* x, const double* u, const double* next,
                              const double* jacobian, double weight) {
  const double cost = -reward_.ExpandConcave(x, u, next, gradient_.data(), hessian_.data(),
                                             2 * nx_ + nu_, scratch_.data());
  gradient_ = -gradient_;
  hessian_ = -hessian_;
  if (!components_.dependent.empty()) ThroughJacobian(jacobian);
  std::copy_n(x, nx_, z_.data());
  std::copy_n(u, nu_, z_.data() + nx_);
  std::copy_n(next, nx_, z_.data() + nx_ + nu_);
  mean_hessian_ += weight * hessian_;
  const VectorXd Hz = hessian_ * z_;
  mean_gradient_ += weight * (gradient_ - Hz);
  mean_constant_ += weight * (cost - gradient_.dot(z_) + 0.5 * z_.dot(Hz));
}

// With d = dependent, o = on, dd = J do: g_o += J'g_d; H_o. += J'H_d., H_.o += H_.d J; d has no
// part of its own any more. Most of H is 0.
void LocalCost::ThroughJacobian(const double* jacobian) {
  const std::vector<int>& on = components_.on;
  const std::vector<int>& dependent = components_.dependent;
  for (size_t i = 0; i < dependent.size(); ++i) {
    const int d = dependent[i];
    const double* J = jacobian + i * on.size();
    for (size_t j = 0; j < on.size(); ++j) gradient_[on[j]] += J[j] * gradient_[d];
    gradient_[d] = 0;
    if (hessian_.row(d).isZero(0)) continue;
    for (size_t j = 0; j < on.size(); ++j) hessian_.row(on[j]) += J[j] * hessian_.row(d);
    hessian_.row(d).setZero();
  }
  for (Eigen::Index r = 0; r < hessian_.rows(); ++r) {
    double* row = hessian_.row(r).data();
    for (size_t i = 0; i < dependent.size(); ++i) {
      const double h = std::exchange(row[dependent[i]], 0.0);
      if (h == 0) continue;
      for (size_t j = 0; j < on.size(); ++j) row[on[j]] += jacobian[i * on.size() + j] * h;
    }
  }
}

// x' = F y + c + noise, y = (x, u): H_yy += F'H_x'x' F + F'H_x'y + H_yx'F, and so on.
void LocalCost::ThroughDynamics(const LinearGaussianTransition& transition) {
  const Eigen::Index ny = nx_ + nu_;
  if (mean_gradient_.tail(nx_).isZero(0) && mean_hessian_.rightCols(nx_).isZero(0)) return;
  MatrixXd F(nx_, ny);
  F << transition.A, transition.B;
  const VectorXd& c = transition.c;
  const MatrixXd H_next = mean_hessian_.bottomRightCorner(nx_, nx_);
  const MatrixXd H_cross = mean_hessian_.bottomLeftCorner(nx_, ny);  // (x', y)
  const VectorXd g_next = mean_gradient_.tail(nx_);
  mean_constant_ += g_next.dot(c) + 0.5 * c.dot(H_next * c) +
                    0.5 * H_next.cwiseProduct(transition.covariance).sum();
  mean_gradient_.head(ny) += F.transpose() * (g_next + H_next * c) + H_cross.transpose() * c;
  mean_hessian_.topLeftCorner(ny, ny) +=
      F.transpose() * H_next * F + F.transpose() * H_cross + H_cross.transpose() * F;
}

}  // namespace foreplan
