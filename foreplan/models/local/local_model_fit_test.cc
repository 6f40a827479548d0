#include "foreplan/models/local/local_model_fit.h"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/models/local/testing/golden_fits.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using testing::ArrayError;
using testing::GoldenMatrix;
using testing::GoldenRollouts;
using testing::GoldenSymmetric;

/// The same prior at every time.
class FixedPrior : public LocalPrior {
 public:
  explicit FixedPrior(NormalInverseWishart prior) : prior_(std::move(prior)) {}
  void Learn(const RolloutView& /*fresh*/) override {}
  void Prepare(const RolloutView& /*rollouts*/) override {}
  void At(int /*t*/, NormalInverseWishart& prior) override { prior = prior_; }

 private:
  NormalInverseWishart prior_;
};

LocalFitOptions GoldenOptions(double ridge) {
  LocalFitOptions options;
  options.ridge = ridge;
  options.noise_floor = 0;
  return options;
}

void ExpectTransition(const LinearGaussianTransition& found, const nlohmann::json& expected,
                      int index, double tolerance) {
  const auto nx = static_cast<int>(found.A.rows());
  const auto nu = static_cast<int>(found.B.cols());
  const MatrixXd F = (MatrixXd(nx, nx + nu) << found.A, found.B).finished();
  EXPECT_LT(ArrayError(F, GoldenMatrix(expected.at("F"), nx, nx + nu, index)), tolerance);
  EXPECT_LT(ArrayError(found.c, GoldenMatrix(expected.at("offset"), nx, 1, index)), tolerance);
  EXPECT_LT(ArrayError(found.covariance, GoldenSymmetric(expected.at("noise"), nx, index)),
            tolerance);
}

// N points of one transition as N rollouts of one.
struct PointRollouts {
  PointRollouts(const MatrixXd& points, int nx, int nu) {  // [N x nz]
    for (int n = 0; n < points.rows(); ++n) {
      for (int i = 0; i < nx; ++i) states.push_back(points(n, i));
      for (int i = 0; i < nx; ++i) states.push_back(points(n, nx + nu + i));
      for (int i = 0; i < nu; ++i) actions.push_back(points(n, nx + i));
    }
    view = {static_cast<int>(points.rows()), 1, nx, nu, states.data(), actions.data()};
  }
  std::vector<double> states, actions;
  RolloutView view;
};

TEST(LocalModelGolden, FitsWithAJointPrior) {
  const nlohmann::json file = ReadTestData("gps/joint_prior_fit.json");
  int cases = 0;
  for (const nlohmann::json& golden : file.at("cases")) {
    const PointRollouts data(GoldenMatrix(golden.at("points"), golden.at("N"), 10), 4, 2);
    FixedPrior prior({.mean = GoldenMatrix(golden.at("mean"), 10, 1),
                      .covariance = GoldenSymmetric(golden.at("scatter"), 10),
                      .m = golden.at("m"),
                      .n0 = golden.at("n0"),  // also negative ones
                      .scatter = 1});
    LocalModelFit fit;
    LocalModelFitter(GoldenOptions(golden.at("ridge"))).Fit(data.view, prior, fit);
    ExpectTransition(fit.dynamics.steps[0], golden, 0, 1e-11);
    ++cases;
  }
  EXPECT_EQ(cases, 20);
}

TEST(LocalModelGolden, LeastSquaresWithARidge) {
  const nlohmann::json file = ReadTestData("gps/least_squares_fit.json");
  for (const nlohmann::json& golden : file.at("cases")) {
    const GoldenRollouts data(file, golden);
    NoPrior prior;
    LocalModelFit fit;
    LocalModelFitter(GoldenOptions(golden.at("ridge"))).Fit(data.view, prior, fit);
    for (int t = 0; t < data.view.transitions; ++t) {
      // Five samples in six dimensions: only the ridge of 1e-6 makes the system regular, at a
      // condition of 1e6.
      ExpectTransition(fit.dynamics.steps[static_cast<size_t>(t)], golden, t, 1e-9);
      EXPECT_EQ(fit.steps[static_cast<size_t>(t)].rank, std::min(data.view.rollouts - 1, 6));
    }
  }
}

TEST(LocalModelGolden, InitialStateWithAPrior) {
  const nlohmann::json golden = ReadTestData("gps/initial_state.json");
  const MatrixXd x0 = GoldenMatrix(golden.at("start"), 5, 4).transpose();
  const MatrixXd before = GoldenMatrix(golden.at("prior_start"), 15, 4).transpose();
  NormalInverseWishart prior;
  prior.mean = before.rowwise().mean();
  prior.covariance = MatrixXd::Zero(4, 4);
  prior.covariance.diagonal() = (before.colwise() - prior.mean).rowwise().squaredNorm() / 15;
  prior.m = golden.at("m");
  prior.n0 = golden.at("n0");
  prior.scatter = prior.m;
  VectorXd mean;
  MatrixXd covariance;
  FitInitialState(x0, &prior, golden.at("floor"), mean, covariance);
  EXPECT_LT(ArrayError(mean, GoldenMatrix(golden.at("mean"), 4, 1)), 1e-12);
  EXPECT_LT(ArrayError(covariance, GoldenSymmetric(golden.at("covariance"), 4)), 1e-12);
}

// Rollouts of x' = A x + B u + c + noise, u = policy noise.
struct LinearRollouts {
  LinearRollouts(int N, int T, int nx, int nu, double noise, uint64_t stream)
      : A(nx, nx), B(nx, nu), c(nx) {
    Random random(Key{4, 0});  // one system
    for (double& entry : A.reshaped()) entry = 0.3 * random.Normal();
    A += 0.6 * MatrixXd::Identity(nx, nx);
    for (double& entry : B.reshaped()) entry = random.Normal();
    for (double& entry : c) entry = random.Normal();
    random = Random(Key{5, stream});
    for (int n = 0; n < N; ++n) {
      VectorXd x(nx);
      for (double& entry : x) entry = random.Normal();
      states.insert(states.end(), x.begin(), x.end());
      for (int t = 0; t < T; ++t) {
        VectorXd u(nu);
        for (double& entry : u) entry = random.Normal();
        actions.insert(actions.end(), u.begin(), u.end());
        x = (A * x + B * u + c).eval();
        for (double& entry : x) entry += noise * random.Normal();
        states.insert(states.end(), x.begin(), x.end());
      }
    }
    view = {N, T, nx, nu, states.data(), actions.data()};
  }

  /// Sigma0 and mu0 of (x, u) ~ N(0, 1) through the true system.
  [[nodiscard]] NormalInverseWishart TruePrior(double strength, double noise) const {
    const auto nx = A.rows();
    const auto nxu = nx + B.cols();
    const MatrixXd F = (MatrixXd(nx, nxu) << A, B).finished();
    NormalInverseWishart prior;
    prior.mean = (VectorXd(nxu + nx) << VectorXd::Zero(nxu), c).finished();
    prior.covariance.resize(nxu + nx, nxu + nx);
    prior.covariance << MatrixXd::Identity(nxu, nxu), F.transpose(), F,
        F * F.transpose() + noise * noise * MatrixXd::Identity(nx, nx);
    prior.m = prior.n0 = prior.scatter = strength;
    return prior;
  }

  MatrixXd A, B;
  VectorXd c;
  std::vector<double> states, actions;
  RolloutView view;
};

TEST(LocalModelFit, EnoughExactSamplesGiveTheSystem) {
  const LinearRollouts data(12, 6, 4, 2, 0, 1);
  LocalFitOptions options;
  options.ridge = 0;
  NoPrior prior;
  LocalModelFit fit;
  LocalModelFitter(options).Fit(data.view, prior, fit);
  for (const LinearGaussianTransition& step : fit.dynamics.steps) {
    EXPECT_LT((step.A - data.A).norm(), 1e-10);
    EXPECT_LT((step.B - data.B).norm(), 1e-10);
    EXPECT_LT((step.c - data.c).norm(), 1e-10);
    EXPECT_LT(step.covariance.norm(), 1e-8);  // the floor and rounding
  }
  for (const LocalFitStep& step : fit.steps) EXPECT_EQ(step.rank, 6);
}

TEST(LocalModelFit, TheNoiseFloorIsAddedToTheVariancesOfTheNoise) {
  const LinearRollouts data(12, 2, 4, 2, 0, 1);  // without noise
  LocalFitOptions options;
  options.ridge = 0;
  options.noise_floor = 1e-3;
  NoPrior prior;
  LocalModelFit fit;
  LocalModelFitter(options).Fit(data.view, prior, fit);
  for (const LinearGaussianTransition& step : fit.dynamics.steps) {
    EXPECT_LT((step.covariance - 1e-3 * MatrixXd::Identity(4, 4)).norm(), 1e-10);
  }
}

TEST(LocalModelFit, NoiseIsFoundAndErrorsShrinkWithTheRootOfTheSamples) {
  NoPrior prior;
  std::vector<double> errors;
  for (const int N : {200, 20000}) {
    const LinearRollouts data(N, 1, 4, 2, 0.1, 2);
    LocalModelFit fit;
    LocalModelFitter().Fit(data.view, prior, fit);
    errors.push_back((fit.dynamics.steps[0].A - data.A).norm());
    EXPECT_NEAR(fit.dynamics.steps[0].covariance.trace(), 4 * 0.01, 4 * 0.01 * 0.3);
  }
  // A hundred times the samples, a tenth of the error; a factor 2.5 for chance.
  EXPECT_LT(errors[1], errors[0] / 4);
}

TEST(LocalModelFit, OneRolloutWithATruePriorGivesTheSystem) {
  for (const int N : {1, 2, 3}) {
    const LinearRollouts data(N, 5, 4, 2, 0, 3);
    FixedPrior prior(data.TruePrior(1, 1e-4));
    LocalModelFit fit;
    LocalModelFitter().Fit(data.view, prior, fit);
    for (const LinearGaussianTransition& step : fit.dynamics.steps) {
      // The ridge of 1e-6 beside variances of about 1.
      EXPECT_LT((step.A - data.A).norm(), 1e-4) << N;
      EXPECT_LT((step.B - data.B).norm(), 1e-4) << N;
      EXPECT_LT((step.c - data.c).norm(), 1e-3) << N;
    }
  }
}

TEST(LocalModelFit, ConstantCoordinatesAndDuplicatedRolloutsAreFine) {
  LinearRollouts data(4, 3, 4, 2, 0.01, 4);
  // State 1 never moves; rollouts 2 and 3 are copies of rollout 0.
  for (size_t i = 1; i < data.states.size(); i += 4) data.states[i] = 0.5;
  for (const size_t n : {2, 3}) {
    std::copy_n(data.states.begin(), 16, data.states.begin() + static_cast<ptrdiff_t>(16 * n));
    std::copy_n(data.actions.begin(), 6, data.actions.begin() + static_cast<ptrdiff_t>(6 * n));
  }
  NoPrior none;
  FixedPrior some(data.TruePrior(1, 0.1));
  for (LocalPrior* prior : {static_cast<LocalPrior*>(&none), static_cast<LocalPrior*>(&some)}) {
    LocalModelFit fit;
    LocalModelFitter().Fit(data.view, *prior, fit);
    for (int t = 0; t < 3; ++t) {
      const LinearGaussianTransition& step = fit.dynamics.steps[static_cast<size_t>(t)];
      EXPECT_TRUE(step.A.allFinite() && step.B.allFinite() && step.c.allFinite());
      EXPECT_GE(step.covariance.selfadjointView<Eigen::Lower>().eigenvalues().minCoeff(), 0);
      EXPECT_EQ(fit.steps[static_cast<size_t>(t)].rank, 1);  // two different rollouts
      EXPECT_GT(fit.steps[static_cast<size_t>(t)].condition, 1);
    }
  }
}

TEST(LocalModelFit, RankSeesADeterministicPolicy) {
  LinearRollouts data(20, 2, 4, 2, 0.01, 5);
  // u = K x: actions tell nothing that states do not.
  for (int n = 0; n < 20; ++n) {
    for (int t = 0; t < 2; ++t) {
      double* u = data.actions.data() + (n * 2 + t) * 2;
      u[0] = data.view.state(n, t)[0] - 0.5 * data.view.state(n, t)[1];
      u[1] = 0.2 * data.view.state(n, t)[3];
    }
  }
  NoPrior prior;
  LocalModelFit fit;
  LocalModelFitter().Fit(data.view, prior, fit);
  EXPECT_EQ(fit.steps[0].rank, 4);
  EXPECT_GT(fit.steps[0].condition, 1e5);  // variance of 1 over the ridge
}

// Sum of the log of Student-t predictive densities, sample by sample: the marginal likelihood of a
// normal-inverse-Wishart prior without a closed form for all samples at once.
double SequentialEvidence(const MatrixXd& z, const NormalInverseWishart& prior) {
  const auto d = static_cast<double>(z.rows());
  double m = prior.m;
  double nu = prior.n0 + d + 1;
  VectorXd mean = prior.mean;
  MatrixXd scatter = prior.scatter * prior.covariance;
  double sum = 0;
  for (const auto& sample : z.colwise()) {
    const double freedom = nu - d + 1;
    const MatrixXd scale = scatter * ((m + 1) / (m * freedom));
    const VectorXd off = sample - mean;
    const double distance = off.dot(scale.llt().solve(off));
    sum += std::lgamma(0.5 * (freedom + d)) - std::lgamma(0.5 * freedom) -
           0.5 * d * std::log(freedom * std::numbers::pi) - 0.5 * std::log(scale.determinant()) -
           0.5 * (freedom + d) * std::log1p(distance / freedom);
    scatter += m / (m + 1) * off * off.transpose();
    mean += off / (m + 1);
    m += 1;
    nu += 1;
  }
  return sum;
}

TEST(LocalModelEvidence, EqualsTheProductOfPredictiveDensities) {
  const LinearRollouts data(7, 2, 3, 2, 0.3, 6);
  NormalInverseWishart full = data.TruePrior(1, 0.4);
  full.m = 0.7;
  full.n0 = 2.5;
  full.scatter = 1.7;
  // The prior of (x, u): the block, with the same m, n0 and scatter.
  NormalInverseWishart part = full;
  part.mean = full.mean.head(5).eval();
  part.covariance = full.covariance.topLeftCorner(5, 5).eval();
  FixedPrior prior(full);
  LocalFitOptions options;
  options.evidence = EvidenceUse::kReport;
  LocalModelFit fit;
  LocalModelFitter(options).Fit(data.view, prior, fit);
  for (int t = 0; t < 2; ++t) {
    MatrixXd z(8, 7);
    data.view.Joint(t, z);
    const double expected = SequentialEvidence(z, full) - SequentialEvidence(z.topRows(5), part);
    EXPECT_NEAR(fit.steps[static_cast<size_t>(t)].log_evidence, expected,
                1e-9 * std::abs(expected));
  }
}

TEST(LocalModelEvidence, TrustsARightPriorAndDistrustsAWrongOne) {
  const LinearRollouts data(6, 30, 4, 2, 0.1, 7);
  LocalFitOptions options;
  options.evidence = EvidenceUse::kChoose;
  LocalModelFitter fitter(options);
  LocalModelFit right;
  FixedPrior right_prior(data.TruePrior(1, 0.1));
  fitter.Fit(data.view, right_prior, right);
  NormalInverseWishart wrong_belief = data.TruePrior(1, 0.1);
  wrong_belief.covariance.bottomLeftCorner(4, 6) *= -1;  // x' = -F (x, u)
  wrong_belief.covariance.topRightCorner(6, 4) *= -1;
  FixedPrior wrong_prior(wrong_belief);
  LocalModelFit wrong;
  fitter.Fit(data.view, wrong_prior, wrong);
  EXPECT_GE(right.n0, 30);
  EXPECT_LE(wrong.n0, 3);
  EXPECT_GT(right.steps[0].log_evidence, wrong.steps[0].log_evidence);
}

TEST(LocalModelFit, AllocatesNothingInSteadyState) {
  const LinearRollouts data(5, 10, 26, 7, 0.1, 8);
  FixedPrior prior(data.TruePrior(1, 0.1));
  LocalFitOptions options;
  options.evidence = EvidenceUse::kReport;
  LocalModelFitter fitter(options);
  LocalModelFit fit;
  fitter.Fit(data.view, prior, fit);
  EXPECT_EQ(testing::CountAllocations([&] { fitter.Fit(data.view, prior, fit); }), 0);
}

TEST(LocalModelFit, NamesWhatIsWrong) {
  const auto message = [](const RolloutView& view, LocalPrior& prior,
                          const LocalFitOptions& options = {}) -> std::string {
    try {
      LocalModelFit fit;
      LocalModelFitter(options).Fit(view, prior, fit);
    } catch (const InputError& error) {
      return error.what();
    } catch (const RunError& error) {
      return std::string("run: ") + error.what();
    }
    return "";
  };
  NoPrior none;
  LinearRollouts one(1, 3, 4, 2, 0.1, 9);
  EXPECT_NE(message(one.view, none).find("run: local model fit: found 1 rollout and no prior"),
            std::string::npos);
  LinearRollouts data(5, 3, 4, 2, 0.1, 9);
  EXPECT_EQ(message(data.view, none), "");
  LocalFitOptions no_ridge;
  no_ridge.ridge = 0;
  EXPECT_NE(message(data.view, none, no_ridge)
                .find("run: local model fit: time 0: found a singular regression (rank 4 of 6"),
            std::string::npos);
  NormalInverseWishart belief = data.TruePrior(1, 0.1);
  belief.n0 = -5;
  FixedPrior negative(belief);
  EXPECT_NE(message(data.view, negative).find("n0 = -5"), std::string::npos);
  EXPECT_EQ(message(data.view, negative).find("run: "), 0U);
  data.actions[(3 * 3 + 1) * 2 + 1] = std::nan("");
  EXPECT_EQ(
      message(data.view, none),
      "run: local model fit: rollout 3, time 1, action 1: found nan, expected a finite number");
  data.states[(2 * 4 + 3) * 4 + 2] = INFINITY;
  EXPECT_EQ(
      message(data.view, none),
      "run: local model fit: rollout 2, time 3, state 2: found inf, expected a finite number");
  RolloutView empty = data.view;
  empty.rollouts = 0;
  EXPECT_NE(message(empty, none).find("local model fit: found 0 rollouts"), std::string::npos);
  EXPECT_EQ(message(empty, none).find("run: "), std::string::npos);
}

}  // namespace
}  // namespace foreplan
