// The cost of local models: quadratic, from the reward along rollouts.
#pragma once

#include <span>
#include <vector>

#include "foreplan/models/local/linear_gaussian_dynamics.h"
#include "foreplan/models/local/rollout_view.h"
#include "foreplan/systems/rewards/reward.h"
#include "foreplan/systems/system.h"
#include "foreplan/trajopt/kl/trajectory_distribution.h"

namespace foreplan {

/// cost_t(x, u) = -reward, expanded to second order around every rollout's (x_t, u_t, x_t+1), made
/// convex (Reward::ExpandConcave), shifted to the origin and averaged over the rollouts. What
/// depends on dependent components goes through their Jacobian to the components they depend on,
/// without second derivatives; what depends on the next observation goes through the dynamics.
/// The dynamics' transitions are the rollouts'; [T] costs.
class LocalCost {
 public:
  LocalCost(const Reward& reward, int nx, int nu, DependentComponents components);

  /// Numbers of a Jacobian of the dependent components: dependent x on.
  [[nodiscard]] size_t jacobian_size() const {
    return components_.dependent.size() * components_.on.size();
  }

  /// jacobians: of the dependent components, [N x T x dependent x on]; empty without any.
  void Expand(const RolloutView& rollouts, std::span<const double> jacobians,
              const LinearGaussianDynamics& dynamics, std::vector<QuadraticCost>& costs);

 private:
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  /// x, u, x': of one rollout at one time; jacobian: [dependent x on].
  void AddTransition(const double* x, const double* u, const double* next, const double* jacobian,
                     double weight);
  void ThroughJacobian(const double* jacobian);
  void ThroughDynamics(const LinearGaussianTransition& transition);

  const Reward& reward_;
  const int nx_;
  const int nu_;
  const DependentComponents components_;
  // z = (x, u, x'), nz = 2 nx + nu: of one rollout, then the mean of all.
  Eigen::VectorXd z_, gradient_, mean_gradient_;  // [nz]
  RowMajor hessian_, mean_hessian_;               // [nz x nz]
  double mean_constant_ = 0;
  std::vector<double> scratch_;  // of Reward::ExpandConcave
};

}  // namespace foreplan
