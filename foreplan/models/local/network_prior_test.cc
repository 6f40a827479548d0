// What a network as prior brings to local models.
#include "foreplan/models/local/network_prior.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/models/local/local_model_fit.h"
#include "foreplan/models/local/testing/golden_fits.h"
#include "foreplan/models/local/testing/toy_rollouts.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using testing::RowMajor;

Ensemble ToyEnsemble() {
  EnvironmentSpec spec;
  spec.dt = 0.1;
  spec.observation = {{"q", "rad"}, {"v", "rad/s"}};
  spec.action = {{"u", "N m"}};
  spec.action_low = {-5};
  spec.action_high = {5};
  EnsembleOptions options;
  options.hidden_layers = 2;
  options.width = 16;
  options.members = 3;
  return Ensemble(spec, {}, options, Key{7, 0});
}

TEST(NetworkPrior, TrustedFullyTheFitIsTheNetworksLinearisation) {
  const Ensemble ensemble = ToyEnsemble();
  const auto workspace = ensemble.MakeDerivativeWorkspace(1);
  for (const int N : {1, 4}) {
    const ToyRollouts data(N, 10, 6);
    NetworkPrior prior([&] { return testing::Borrowed(ensemble); }, {.strength = 1e6});
    LocalFitOptions options;
    options.ridge = 0;
    LocalModelFit fit;
    LocalModelFitter(options).Fit(data.view, prior, fit);
    for (int t = 0; t < 10; ++t) {
      MatrixXd z(5, N);
      data.view.Joint(t, z);
      const VectorXd mean = z.rowwise().mean();
      RowMajor A(2, 2);
      RowMajor B(2, 1);
      ensemble.Linearize({.rows = 1,
                          .state = mean.data(),
                          .action = mean.data() + 2,
                          .A = A.data(),
                          .B = B.data()},
                         *workspace);
      VectorXd next(2);
      StepBatch step;
      step.rows = 1;
      step.state = mean.data();
      step.action = mean.data() + 2;
      step.next_state = next.data();
      ensemble.StepMean(step, *workspace);
      // Samples count for 4 in a million.
      const LinearGaussianTransition& found = fit.dynamics.steps[static_cast<size_t>(t)];
      EXPECT_LT((found.A - A).norm(), 1e-3) << N;
      EXPECT_LT((found.B - B).norm(), 1e-3) << N;
      EXPECT_LT((found.A * mean.head(2) + found.B * mean.segment(2, 1) + found.c - next).norm(),
                1e-4);
    }
  }
}

TEST(NetworkPrior, TheBeliefIsThatOfTheFormula) {
  const Ensemble ensemble = ToyEnsemble();
  const auto workspace = ensemble.MakeDerivativeWorkspace(1);
  const int N = 4;
  const int T = 10;
  const ToyRollouts data(N, T, 9, 0.05);
  NetworkPrior prior([&] { return testing::Borrowed(ensemble); }, {.strength = 2.5});
  prior.Prepare(data.view);
  // D: variances over rollouts in the mean over time, not below 1e-3 of those over everything.
  MatrixXd z(5, N);
  VectorXd D = VectorXd::Zero(3);
  VectorXd sum = VectorXd::Zero(3);
  VectorXd squares = VectorXd::Zero(3);
  for (int t = 0; t < T; ++t) {
    data.view.Joint(t, z);
    const VectorXd centre = z.topRows(3).rowwise().mean();
    D += (z.topRows(3).colwise() - centre).rowwise().squaredNorm() / (N * T);
    sum += z.topRows(3).rowwise().sum() / (N * T);
    squares += z.topRows(3).rowwise().squaredNorm() / (N * T);
  }
  D = D.cwiseMax(1e-3 * (squares - sum.cwiseAbs2()));
  NormalInverseWishart belief;
  for (int t = 0; t < T; ++t) {
    prior.At(t, belief);
    data.view.Joint(t, z);
    const VectorXd centre = z.topRows(3).rowwise().mean();
    const MatrixXd off = z.topRows(3).colwise() - centre;
    const MatrixXd S = (off * off.transpose() + MatrixXd(D.asDiagonal())) / (N + 1);
    RowMajor A(2, 2);
    RowMajor B(2, 1);
    ensemble.Linearize({.rows = 1,
                        .state = centre.data(),
                        .action = centre.data() + 2,
                        .A = A.data(),
                        .B = B.data()},
                       *workspace);
    const MatrixXd F = (MatrixXd(2, 3) << A, B).finished();
    // V: the members' variances in the mean, and the variance of their means.
    MatrixXd means(2, ensemble.members());
    VectorXd V = VectorXd::Zero(2);
    for (int member = 0; member < ensemble.members(); ++member) {
      VectorXd mean(2);
      VectorXd deviation(2);
      ensemble.PredictTarget(member, 1, centre.data(), centre.data() + 2, mean.data(),
                             deviation.data(), *workspace);
      means.col(member) = mean;
      V += deviation.cwiseAbs2() / ensemble.members();
    }
    const VectorXd disagreement =
        (means.colwise() - means.rowwise().mean()).rowwise().squaredNorm() / ensemble.members();
    MatrixXd expected(5, 5);
    expected << S, S * F.transpose(), F * S,
        F * S * F.transpose() + MatrixXd((V + disagreement).asDiagonal());
    // Networks round a little otherwise with another number of rows.
    EXPECT_LT((belief.covariance - expected).norm(), 1e-8) << t;
    EXPECT_GT(disagreement.maxCoeff(), 1e-6);  // so it matters in this test
    EXPECT_LT((belief.mean.head(3) - centre).norm(), 1e-14);
    for (const double count : {belief.m, belief.n0, belief.scatter}) EXPECT_EQ(count, 2.5);
  }
}

TEST(NetworkPrior, TrustedNotAtAllTheFitIsTheSamples) {
  const Ensemble ensemble = ToyEnsemble();
  const ToyRollouts data(8, 10, 7);
  NetworkPrior prior([&] { return testing::Borrowed(ensemble); }, {.strength = 1e-9});
  NoPrior none;
  LocalModelFit with;
  LocalModelFit without;
  LocalModelFitter().Fit(data.view, prior, with);
  LocalModelFitter().Fit(data.view, none, without);
  for (size_t t = 0; t < 10; ++t) {
    EXPECT_LT((with.dynamics.steps[t].A - without.dynamics.steps[t].A).norm(), 1e-5);
  }
}

TEST(NetworkPrior, RefusesRolloutsOfAnotherSystem) {
  const Ensemble ensemble = ToyEnsemble();
  NetworkPrior prior([&] { return testing::Borrowed(ensemble); }, {});
  ToyRollouts data(2, 10, 8);
  data.view.nx = 1;
  data.view.transitions = 4;
  EXPECT_THROW(prior.Prepare(data.view), InputError);
}

}  // namespace
}  // namespace foreplan
