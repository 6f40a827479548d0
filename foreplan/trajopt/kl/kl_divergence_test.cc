#include "foreplan/trajopt/kl/kl_divergence.h"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/trajopt/kl/testing/kl_test_problems.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

LinearGaussianPolicy Disturbed(const LinearGaussianPolicy& policy, double size, Random& random) {
  std::vector<LinearGaussianStep> steps = policy.steps();
  for (LinearGaussianStep& step : steps) {
    step.feedback += size * RandomTestMatrix(random, step.feedback.rows(), step.feedback.cols());
    step.feedforward += size * RandomTestMatrix(random, step.feedforward.size(), 1);
    step.covariance *= std::exp(size * random.Normal());
  }
  return LinearGaussianPolicy(std::move(steps));
}

TEST(ExcessOverLog, HasNoCancellation) {
  EXPECT_NEAR(ExcessOverLog(1e-9) / 0.5e-18, 1, 1e-8);
  EXPECT_NEAR(ExcessOverLog(0.05) / ExcessOverLog(0.05000001), 1, 1e-6);  // where formulas meet
  EXPECT_DOUBLE_EQ(ExcessOverLog(-0.5), -0.5 - std::log(0.5));
  EXPECT_EQ(ExcessOverLog(0), 0);
}

TEST(KlDivergences, AgreeWithMonteCarlo) {
  const KlTestProblem problem = RandomKlProblem(3, 2, 6, Key{1, 0});
  Random random(Key{2, 0});
  const LinearGaussianPolicy p = Disturbed(problem.previous, 0.2, random);
  const TrajectoryDistribution of_p = PropagateDistribution(problem.dynamics, p);
  const double expected = Sum(KlDivergences(p, problem.previous, of_p));
  // E_p[log p - log previous]: dynamics and start cancel.
  constexpr int kSamples = 50000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kSamples; ++i) {
    VectorXd x = problem.dynamics.initial_mean +
                 MatrixXd(problem.dynamics.initial_covariance.llt().matrixL()) *
                     RandomTestMatrix(random, 3, 1);
    double ratio = 0;
    for (int t = 0; t < 6; ++t) {
      const VectorXd u = p.Sample(t, x, random);
      ratio += p.LogProbability(t, x, u) - problem.previous.LogProbability(t, x, u);
      if (t == 5) break;
      const LinearGaussianTransition& f = problem.dynamics.steps[static_cast<size_t>(t)];
      x = (f.A * x + f.B * u + f.c +
           MatrixXd(f.covariance.llt().matrixL()) * RandomTestMatrix(random, 3, 1))
              .eval();
    }
    sum += ratio;
    squares += ratio * ratio;
  }
  const double mean = sum / kSamples;
  const double deviation = std::sqrt((squares / kSamples - mean * mean) / kSamples);
  EXPECT_NEAR(mean, expected, 4 * deviation);
  EXPECT_LT(deviation, 0.02 * expected);  // else the test says nothing
}

TEST(KlDivergences, AreZeroForEqualPoliciesAndQuadraticForNearOnes) {
  const KlTestProblem problem = RandomKlProblem(4, 3, 5, Key{3, 0});
  const TrajectoryDistribution before = PropagateDistribution(problem.dynamics, problem.previous);
  EXPECT_EQ(Sum(KlDivergences(problem.previous, problem.previous, before)), 0);
  const auto disturbed_kl = [&](double size) {
    Random random(Key{4, 0});
    const LinearGaussianPolicy p = Disturbed(problem.previous, size, random);
    return Sum(KlDivergences(p, problem.previous, PropagateDistribution(problem.dynamics, p)));
  };
  // Tiny ones keep their digits: the disturbance itself, added to numbers of size 1, is right to
  // 1e-16 / 1e-7.
  EXPECT_NEAR(disturbed_kl(1e-7) / disturbed_kl(1e-5), 1e-4, 1e-8);
  for (const double kl : KlDivergences(problem.previous, problem.previous, before)) {
    EXPECT_EQ(kl, 0);
  }
}

// 1/2 [log|S'| - log|S| - nu + tr(S'^-1 S) + E|u_mean - u'_mean|^2 in the norm of S'^-1], x ~
// N(mean, X) of p: as textbooks have it, cancelling digits and all.
double TextbookKl(const LinearGaussianPolicy& p, const LinearGaussianPolicy& previous,
                  const TrajectoryDistribution& of_p, int t) {
  const auto at = static_cast<size_t>(t);
  const MatrixXd& S = p.step(t).covariance;
  const MatrixXd& S_old = previous.step(t).covariance;
  const MatrixXd precision = S_old.inverse();
  const VectorXd d = p.Mean(t, of_p.state_mean[at]) - previous.Mean(t, of_p.state_mean[at]);
  const MatrixXd dK = p.step(t).feedback - previous.step(t).feedback;
  return 0.5 * (std::log(S_old.determinant() / S.determinant()) - static_cast<double>(S.rows()) +
                (precision * S).trace() + d.dot(precision * d) +
                (precision * dK * of_p.state_covariance[at] * dK.transpose()).trace());
}

TEST(KlDivergences, EqualTheTextbooksFormulaAtEveryStep) {
  for (uint64_t stream = 0; stream < 10; ++stream) {
    const KlTestProblem problem = RandomKlProblem(4, 3, 5, Key{3, stream});
    Random random(Key{4, stream});
    // Everything differs: means, gains, and the covariance's shape.
    std::vector<LinearGaussianStep> steps = Disturbed(problem.previous, 0.3, random).steps();
    for (LinearGaussianStep& step : steps) {
      const MatrixXd root = RandomTestMatrix(random, 3, 3);
      step.covariance += 0.1 * root * root.transpose();
      step.action += 0.3 * RandomTestMatrix(random, 3, 1);
      step.state += 0.3 * RandomTestMatrix(random, 4, 1);
    }
    const LinearGaussianPolicy p(steps);
    const TrajectoryDistribution of_p = PropagateDistribution(problem.dynamics, p);
    const std::vector<double> kl = KlDivergences(p, problem.previous, of_p);
    for (int t = 0; t < 5; ++t) {
      const double expected = TextbookKl(p, problem.previous, of_p, t);
      EXPECT_GT(expected, 0.01);
      EXPECT_NEAR(kl[static_cast<size_t>(t)], expected, 1e-10 * (1 + expected)) << t;
    }
  }
}

TEST(KlDivergences, SingularCovariances) {
  const KlTestProblem problem = RandomKlProblem(3, 2, 4, Key{5, 0});
  std::vector<LinearGaussianStep> steps = problem.previous.steps();
  steps[2].covariance.setZero();
  const LinearGaussianPolicy deterministic(steps);
  const TrajectoryDistribution d = PropagateDistribution(problem.dynamics, deterministic);
  const std::vector<double> kl = KlDivergences(deterministic, problem.previous, d);
  EXPECT_EQ(kl[2], std::numeric_limits<double>::infinity());
  EXPECT_EQ(kl[1], 0);
  try {
    (void)KlDivergences(problem.previous, deterministic, d);
    FAIL();
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find("step 2: found a singular covariance"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace foreplan
