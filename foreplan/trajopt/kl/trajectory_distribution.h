// Gaussian distributions of trajectories: moments and expected costs.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "foreplan/models/local/linear_gaussian_dynamics.h"
#include "foreplan/policies/linear_gaussian.h"

namespace foreplan {

/// 1/2 x'Q x + u'S x + 1/2 u'R u + q'x + r'u + constant, x and u absolute.
struct QuadraticCost {
  Eigen::MatrixXd Q;  // [nx x nx]
  Eigen::MatrixXd S;  // [nu x nx]
  Eigen::MatrixXd R;  // [nu x nu]
  Eigen::VectorXd q;  // [nx]
  Eigen::VectorXd r;  // [nu]
  double constant = 0;
};

/// Gaussian of a trajectory: x_t ~ N(mean, covariance), and of the actions.
struct TrajectoryDistribution {
  std::vector<Eigen::VectorXd> state_mean;         // [transitions + 1] of [nx]
  std::vector<Eigen::MatrixXd> state_covariance;   // [transitions + 1] of [nx x nx]
  std::vector<Eigen::VectorXd> action_mean;        // [policy steps] of [nu]
  std::vector<Eigen::MatrixXd> action_covariance;  // [policy steps] of [nu x nu]
};

/// Propagates the initial distribution through policy and dynamics. The policy has as many steps as
/// there are transitions, or one more (an action that is costed, not applied). Throws InputError
/// for sizes that do not fit.
[[nodiscard]] TrajectoryDistribution PropagateDistribution(const LinearGaussianDynamics& dynamics,
                                                           const LinearGaussianPolicy& policy);

/// E[cost_t] under the policy and its distribution: [steps of the policy], one cost for each.
[[nodiscard]] std::vector<double> ExpectedCosts(const std::vector<QuadraticCost>& costs,
                                                const LinearGaussianPolicy& policy,
                                                const TrajectoryDistribution& distribution);

}  // namespace foreplan
