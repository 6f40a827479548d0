// The KL divergence of two distributions of trajectories.
#pragma once

#include <vector>

#include "foreplan/policies/linear_gaussian.h"
#include "foreplan/trajopt/kl/trajectory_distribution.h"

namespace foreplan {

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
