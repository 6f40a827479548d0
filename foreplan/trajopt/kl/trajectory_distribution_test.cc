#include "foreplan/trajopt/kl/trajectory_distribution.h"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <cmath>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/trajopt/kl/kl_divergence.h"
#include "foreplan/trajopt/kl/testing/kl_test_problems.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

TEST(ExpectedCosts, AgreeWithMonteCarlo) {
  const KlTestProblem problem = RandomKlProblem(3, 2, 4, Key{6, 0});
  const TrajectoryDistribution d = PropagateDistribution(problem.dynamics, problem.previous);
  const std::vector<double> expected = ExpectedCosts(problem.costs, problem.previous, d);
  Random random(Key{7, 0});
  constexpr int kSamples = 50000;
  double sum = 0;
  double squares = 0;
  const QuadraticCost& c = problem.costs[2];
  const MatrixXd root = d.state_covariance[2].llt().matrixL();
  for (int i = 0; i < kSamples; ++i) {
    const VectorXd x = d.state_mean[2] + root * RandomTestMatrix(random, 3, 1);
    const VectorXd u = problem.previous.Sample(2, x, random);
    const double cost = 0.5 * x.dot(c.Q * x) + u.dot(c.S * x) + 0.5 * u.dot(c.R * u) + c.q.dot(x) +
                        c.r.dot(u) + c.constant;
    sum += cost;
    squares += cost * cost;
  }
  const double mean = sum / kSamples;
  EXPECT_NEAR(mean, expected[2], 4 * std::sqrt((squares / kSamples - mean * mean) / kSamples));
}

TEST(PropagateDistribution, RefusesPoliciesOfAnotherLength) {
  const KlTestProblem problem = RandomKlProblem(3, 2, 4, Key{8, 0});
  LinearGaussianDynamics dynamics = problem.dynamics;
  dynamics.steps.pop_back();
  EXPECT_THROW((void)PropagateDistribution(dynamics, problem.previous), InputError);
}

TEST(PropagateDistribution, RefusesDynamicsOfOtherSizes) {
  const LinearGaussianPolicy policy = RandomKlProblem(3, 2, 4, Key{8, 0}).previous;
  for (const auto& [nx, nu] : {std::pair(2, 2), std::pair(3, 1), std::pair(4, 2)}) {
    const LinearGaussianDynamics other = RandomKlProblem(nx, nu, 4, Key{8, 1}).dynamics;
    EXPECT_THROW((void)PropagateDistribution(other, policy), InputError) << nx << ", " << nu;
  }
}

TEST(KlDivergences, RefuseOtherSizes) {
  const KlTestProblem problem = RandomKlProblem(3, 2, 4, Key{8, 0});
  const TrajectoryDistribution d = PropagateDistribution(problem.dynamics, problem.previous);
  for (const auto& [nx, nu] : {std::pair(2, 2), std::pair(3, 1)}) {
    const KlTestProblem other = RandomKlProblem(nx, nu, 4, Key{8, 1});
    EXPECT_THROW((void)KlDivergences(problem.previous, other.previous, d), InputError) << nu;
  }
  const KlTestProblem narrow = RandomKlProblem(2, 2, 4, Key{8, 1});
  const TrajectoryDistribution of_narrow = PropagateDistribution(narrow.dynamics, narrow.previous);
  EXPECT_THROW((void)KlDivergences(problem.previous, problem.previous, of_narrow), InputError);
}

}  // namespace
}  // namespace foreplan
