// Problems of KL-constrained steps, and what must hold of their solutions, for tests.
#pragma once

#include <Eigen/Core>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <span>

#include "foreplan/core/random.h"
#include "foreplan/trajopt/kl/kl_constrained_lqr.h"
#include "foreplan/trajopt/kl/kl_divergence.h"
#include "foreplan/trajopt/kl/testing/kl_test_problems.h"

namespace foreplan {

inline KlConstrainedLqr MakeKlLqr(const KlTestProblem& problem) {
  KlConstrainedLqr lqr(static_cast<int>(problem.dynamics.initial_mean.size()),
                       static_cast<int>(problem.costs[0].r.size()), problem.previous.horizon());
  lqr.SetProblem(problem.dynamics, problem.costs, problem.previous);
  return lqr;
}

/// Sum of E[cost], without any of the solver's coordinates.
inline double ExpectedCost(const KlTestProblem& problem, const LinearGaussianPolicy& policy) {
  return Sum(ExpectedCosts(problem.costs, policy, PropagateDistribution(problem.dynamics, policy)));
}

inline double TrajectoryKl(const KlTestProblem& problem, const LinearGaussianPolicy& policy) {
  return Sum(
      KlDivergences(policy, problem.previous, PropagateDistribution(problem.dynamics, policy)));
}

/// Largest relative derivative of the Lagrangian with respect to K, k and the covariance, by
/// evaluating the policy in absolute coordinates:
///   cost + lambda (-log previous), M = Quu, N = Qux, m = Qu of the policy's own cost to go;
///   M K + N = 0, M k + m = 0, M = (lambda + nu) S^-1.
inline double StationarityResidual(const KlTestProblem& problem, const LinearGaussianPolicy& policy,
                                   std::span<const double> multipliers, double entropy_weight) {
  using Eigen::MatrixXd;
  using Eigen::VectorXd;
  const Eigen::Index nx = problem.dynamics.initial_mean.size();
  MatrixXd V = MatrixXd::Zero(nx, nx);
  VectorXd v = VectorXd::Zero(nx);
  double largest = 0;
  for (int t = policy.horizon() - 1; t >= 0; --t) {
    const auto at = static_cast<size_t>(t);
    const QuadraticCost& c = problem.costs[at];
    const double lambda = multipliers[at];
    const MatrixXd& K_old = problem.previous.step(t).feedback;
    const VectorXd k_old = problem.previous.Offset(t);
    const MatrixXd P = lambda * problem.previous.step(t).covariance.inverse();
    MatrixXd Qxx = c.Q + K_old.transpose() * P * K_old;
    MatrixXd N = c.S - P * K_old;
    MatrixXd M = c.R + P;
    VectorXd Qx = c.q + K_old.transpose() * P * k_old;
    VectorXd m = c.r - P * k_old;
    if (t + 1 < policy.horizon()) {
      const LinearGaussianTransition& f = problem.dynamics.steps[at];
      Qxx += f.A.transpose() * V * f.A;
      N += f.B.transpose() * V * f.A;
      M += f.B.transpose() * V * f.B;
      Qx += f.A.transpose() * (v + V * f.c);
      m += f.B.transpose() * (v + V * f.c);
    }
    const MatrixXd& K = policy.step(t).feedback;
    const VectorXd k = policy.Offset(t);
    const MatrixXd precision = (lambda + entropy_weight) * policy.step(t).covariance.inverse();
    largest = std::max({largest, (M * K + N).norm() / (M.norm() * K.norm() + N.norm()),
                        (M * k + m).norm() / (M.norm() * k.norm() + m.norm()),
                        (M - precision).norm() / M.norm()});
    V = Qxx + K.transpose() * M * K + K.transpose() * N + N.transpose() * K;
    v = Qx + K.transpose() * M * k + K.transpose() * m + N.transpose() * k;
  }
  return largest;
}

struct KlSizes {
  int nx, nu, horizon;
};

inline KlSizes RandomKlSizes(Random& random) {
  return {static_cast<int>(1 + random.Below(6)), static_cast<int>(1 + random.Below(4)),
          static_cast<int>(2 + random.Below(12))};
}

/// Every second one without an entropy weight.
struct KlTrial {
  KlTestProblem problem;
  double entropy_weight = 0;
  double bound = 0;
};

inline KlTrial MakeKlTrial(uint64_t number) {
  const Key key = Key{11, 0}.Fold(number);
  Random random(key.Fold(1));
  const KlSizes sizes = RandomKlSizes(random);
  KlTrial trial;
  trial.problem = RandomKlProblem(sizes.nx, sizes.nu, sizes.horizon, key);
  trial.entropy_weight = number % 2 == 0 ? 0 : std::pow(10.0, random.Uniform(-3, 1));
  trial.bound = std::pow(10.0, random.Uniform(-2, 2));
  return trial;
}

}  // namespace foreplan
