// Gaussian distributions of trajectories: moments, expected costs, divergences.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "foreplan/models/linear_gaussian_dynamics.h"
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

/// KL(p || previous) of the trajectories of two policies that share dynamics and initial
/// distribution, by time step, under the state distribution of p (`of_p`):
///   1/2 [log|S'| - log|S| - nu + tr(S'^-1 S) + |d|^2 + tr(dK' S'^-1 dK X)],
/// S, S' the covariances of p and previous, d the difference of the mean actions at the mean state
/// in the norm of S'^-1, X the state covariance. Every term is a sum of what cannot be negative, of
/// differences of the policies: nothing cancels. Infinite where S is singular. Throws RunError for
/// a singular S' and InputError for sizes that do not fit.
[[nodiscard]] std::vector<double> KlDivergences(const LinearGaussianPolicy& p,
                                                const LinearGaussianPolicy& previous,
                                                const TrajectoryDistribution& of_p);

/// x - log(1 + x), x > -1, without cancellation for small x.
[[nodiscard]] double ExcessOverLog(double x);

}  // namespace foreplan
