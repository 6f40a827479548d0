#include "foreplan/models/local/local_prior.h"

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
#include "foreplan/models/local/mixture_prior.h"
#include "foreplan/models/local/network_prior.h"
#include "foreplan/models/local/testing/golden_fits.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using testing::ArrayError;
using testing::GoldenMatrix;
using testing::GoldenRollouts;
using testing::GoldenSymmetric;
using testing::PointsOf;
using testing::RowMajor;

std::vector<double> Values(const nlohmann::json& list) { return list.get<std::vector<double>>(); }

/// A mixture prior in the state that the golden data give.
MixturePrior GoldenPrior(const nlohmann::json& golden, const RolloutView& view) {
  const int kept = golden.at("kept");
  const int K = golden.at("K");
  const int nz = view.joint_dim();
  const MatrixXd points = PointsOf(view, kept);
  RowMajor covariances(K, nz * nz);
  for (int k = 0; k < K; ++k) {
    covariances.row(k) =
        GoldenSymmetric(golden.at("mixture").at("covariance"), nz, k).reshaped().transpose();
  }
  TensorFile file;
  const auto put = [&](const char* name, int rows, int columns, std::vector<double> values) {
    file.tensors[std::string("p.") + name] = {{rows, columns}, std::move(values)};
  };
  put("points", static_cast<int>(points.cols()), nz,
      {points.data(), points.data() + points.size()});
  put("weights", K, 1, Values(golden.at("mixture").at("weight")));
  put("means", K, nz, Values(golden.at("mixture").at("mean")));
  put("covariances", K, nz * nz, {covariances.data(), covariances.data() + covariances.size()});
  put("counts", 1, 2, {static_cast<double>(view.transitions), static_cast<double>(points.cols())});
  file.tensors["p.owner"] = {{points.cols()},
                             std::vector<int32_t>(static_cast<size_t>(points.cols()), 0)};
  MixturePrior prior(view.nx, view.nu, {}, Key{1, 0});
  prior.Restore("p.", file);
  return prior;
}

/// The reference adds its regularisation to every entry of the (x, u) block of the fit.
class WithReferenceRegularisation : public LocalPrior {
 public:
  WithReferenceRegularisation(LocalPrior& prior, double regularisation, int regressors)
      : prior_(prior), regularisation_(regularisation), regressors_(regressors) {}
  void Learn(const RolloutView& /*fresh*/) override {}
  void Prepare(const RolloutView& rollouts) override {
    rollouts_ = rollouts.rollouts;
    prior_.Prepare(rollouts);
  }
  void At(int t, NormalInverseWishart& prior) override {
    prior_.At(t, prior);
    prior.covariance.topLeftCorner(regressors_, regressors_).array() +=
        regularisation_ * (rollouts_ + prior.n0) / prior.scatter;
  }

 private:
  LocalPrior& prior_;
  double regularisation_;
  int regressors_;
  int rollouts_ = 0;
};

class MixturePriorGolden : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Cases, MixturePriorGolden, ::testing::Range<size_t>(0, 3));

TEST_P(MixturePriorGolden, PriorAndFitAreTheReferences) {
  const nlohmann::json file = ReadTestData("gps/mixture_prior_fit.json");
  const nlohmann::json golden = file.at("cases").at(GetParam());
  const GoldenRollouts data(file, golden);
  const int nz = data.view.joint_dim();
  const int nx = data.view.nx;
  const int nxu = data.view.regressor_dim();
  MixturePrior prior = GoldenPrior(golden, data.view);
  prior.Prepare(data.view);
  NormalInverseWishart belief;
  for (int t = 0; t < data.view.transitions; ++t) {
    prior.At(t, belief);
    EXPECT_LT(ArrayError(belief.mean, GoldenMatrix(golden.at("prior_mean"), nz, 1, t)), 1e-11);
    EXPECT_LT(ArrayError(belief.covariance, GoldenSymmetric(golden.at("prior_covariance"), nz, t)),
              1e-11);
    EXPECT_EQ(belief.m, 1);
    EXPECT_EQ(belief.scatter, 1);
    EXPECT_NEAR(belief.n0, golden.at("n0").at(static_cast<size_t>(t)).get<double>(), 1e-15);
  }

  WithReferenceRegularisation reference(prior, golden.at("regularization"), nxu);
  LocalFitOptions options;
  options.ridge = 0;
  options.noise_floor = 0;
  LocalModelFit fit;
  LocalModelFitter(options).Fit(data.view, reference, fit);
  MatrixXd z(nz, data.view.rollouts);
  for (int t = 0; t < data.view.transitions; ++t) {
    const LinearGaussianTransition& step = fit.dynamics.steps[static_cast<size_t>(t)];
    const MatrixXd F = (MatrixXd(nx, nxu) << step.A, step.B).finished();
    EXPECT_LT(ArrayError(F, GoldenMatrix(golden.at("F"), nx, nxu, t)), 1e-9);
    EXPECT_LT(ArrayError(step.covariance, GoldenSymmetric(golden.at("noise"), nx, t)), 1e-9);
    // The reference passes through the samples' mean, not the posterior's.
    data.view.Joint(t, z);
    const VectorXd mean = z.rowwise().mean();
    EXPECT_LT(
        ArrayError(mean.tail(nx) - F * mean.head(nxu), GoldenMatrix(golden.at("offset"), nx, 1, t)),
        1e-9);
  }
}

TEST_P(MixturePriorGolden, ItsMixtureIsTheReferences) {
  const nlohmann::json file = ReadTestData("gps/mixture_prior_fit.json");
  const nlohmann::json golden = file.at("cases").at(GetParam());
  const GoldenRollouts data(file, golden);
  const auto assignment = golden.at("assignment").get<std::vector<int>>();
  const MatrixXd points = PointsOf(data.view, golden.at("kept"));
  const int K = golden.at("K");
  GaussianMixture mixture;
  mixture.Start(points, assignment, K);
  std::vector<MixtureComponent> start;
  for (int k = 0; k < K; ++k) {  // covariances divided by the number of components
    const MatrixXd floor = 2e-6 * MatrixXd::Identity(10, 10);
    start.push_back(mixture.component(k));
    start.back().covariance = (start.back().covariance - floor) *
                                  static_cast<double>(std::ranges::count(assignment, k)) / K +
                              floor;
  }
  mixture.Set(start);
  SoftAssignment shares;
  EXPECT_TRUE(mixture.Fit(points, shares).converged);
  for (int k = 0; k < K; ++k) {
    EXPECT_LT(ArrayError(mixture.component(k).mean,
                         GoldenMatrix(golden.at("mixture").at("mean"), 10, 1, k)),
              1e-9);
    EXPECT_LT(ArrayError(mixture.component(k).covariance,
                         GoldenSymmetric(golden.at("mixture").at("covariance"), 10, k)),
              1e-9);
  }
}

/// N rollouts of a pendulum-like system with two states and one action.
struct ToyRollouts {
  ToyRollouts(int N, int T, uint64_t stream, double noise = 0) {
    Random random(Key{6, stream});
    for (int n = 0; n < N; ++n) {
      double q = 0.5 + 0.1 * random.Normal();
      double v = 0.1 * random.Normal();
      states.insert(states.end(), {q, v});
      for (int t = 0; t < T; ++t) {
        const double u = std::sin(0.2 * t) + 0.3 * random.Normal();
        const double next = v + 0.1 * (u - std::sin(q)) + noise * random.Normal();
        q += 0.1 * v + noise * random.Normal();
        v = next;
        actions.push_back(u);
        states.insert(states.end(), {q, v});
      }
    }
    view = {N, T, 2, 1, states.data(), actions.data()};
  }
  std::vector<double> states, actions;
  RolloutView view;
};

// sin q linearised where the system was: x' = F (x, u) + c.
MatrixXd ToyJacobian(double q) {
  return (MatrixXd(2, 3) << 1, 0.1, 0, -0.1 * std::cos(q), 1, 0.1).finished();
}

double FitError(const LocalModelFit& fit, const RolloutView& view) {
  double error = 0;
  for (int t = 0; t < view.transitions; ++t) {
    MatrixXd z(view.joint_dim(), view.rollouts);
    view.Joint(t, z);
    const LinearGaussianTransition& step = fit.dynamics.steps[static_cast<size_t>(t)];
    const MatrixXd F = (MatrixXd(2, 3) << step.A, step.B).finished();
    error += (F - ToyJacobian(z.row(0).mean())).norm() / view.transitions;
  }
  return error;
}

TEST(MixturePrior, HelpsWhereSamplesAreFew) {
  const ToyRollouts data(2, 40, 1);
  NoPrior none;
  MixturePriorOptions options;
  options.min_points = 10;
  MixturePrior mixture(2, 1, options, Key{1, 0});
  mixture.Learn(data.view);
  LocalModelFit without;
  LocalModelFit with;
  LocalModelFitter fitter;
  fitter.Fit(data.view, none, without);
  fitter.Fit(data.view, mixture, with);
  EXPECT_LT(FitError(with, data.view), 0.1 * FitError(without, data.view));
}

TEST(MixturePrior, OneRolloutIsEnough) {
  const ToyRollouts data(1, 40, 2);
  MixturePriorOptions options;
  options.min_points = 10;
  MixturePrior mixture(2, 1, options, Key{1, 0});
  mixture.Learn(data.view);
  LocalModelFit fit;
  LocalModelFitter().Fit(data.view, mixture, fit);
  EXPECT_LT(FitError(fit, data.view), 0.3);
  for (const LocalFitStep& step : fit.steps) EXPECT_EQ(step.rank, 0);
}

TEST(MixturePrior, GrowsWithTheDataThenGoesOnFromTheLastFit) {
  MixturePriorOptions options;
  options.min_points = 20;
  options.max_components = 4;
  options.max_rollouts = 6;
  for (const MixtureStart start : {MixtureStart::kTime, MixtureStart::kKMeans}) {
    options.start = start;
    MixturePrior prior(2, 1, options, Key{1, 0});
    for (int iteration = 0; iteration < 5; ++iteration) {
      const ToyRollouts data(2, 25, static_cast<uint64_t>(iteration));
      prior.Learn(data.view);
      EXPECT_EQ(prior.mixture().components(), iteration == 0 ? 2 : 4);  // 2, 5, 7, ... clamped
      EXPECT_LE(prior.report().rounds, 5);
    }
    const ToyRollouts same(6, 25, 9);  // as many as are kept
    for (int i = 0; i < 20; ++i) prior.Learn(same.view);
    EXPECT_TRUE(prior.report().converged);
    EXPECT_LE(prior.report().rounds, 2);
  }
}

TEST(MixturePrior, TheNewestRolloutsAreKept) {
  MixturePriorOptions options;
  options.max_rollouts = 3;
  MixturePrior prior(2, 1, options, Key{1, 0});
  const ToyRollouts first(2, 5, 1);
  const ToyRollouts second(2, 5, 2);
  const auto kept = [&] {
    TensorFile file;
    prior.Save("p.", file);
    const std::array<int64_t, 2> shape = {-1, 5};
    const std::vector<double>& values = file.Doubles("p.points", shape);
    return MatrixXd(
        Eigen::Map<const MatrixXd>(values.data(), 5, static_cast<int>(values.size()) / 5));
  };
  prior.Learn(first.view);
  EXPECT_EQ(kept(), PointsOf(first.view, 2));
  prior.Learn(second.view);
  MatrixXd expected(5, 15);  // the oldest of three is the second of the first two
  expected << PointsOf(first.view, 2).rightCols(5), PointsOf(second.view, 2);
  EXPECT_EQ(kept(), expected);
  const ToyRollouts many(5, 5, 3);
  prior.Learn(many.view);
  EXPECT_EQ(kept(), PointsOf(many.view, 5).rightCols(15));
}

TEST(MixturePrior, TheInitialStateIsThatOfAllRolloutsKept) {
  MixturePriorOptions options;
  options.strength = 1.5;
  MixturePrior prior(2, 1, options, Key{1, 0});
  NormalInverseWishart belief;
  EXPECT_FALSE(prior.Initial(belief));  // nothing is known
  const ToyRollouts data(6, 5, 4);
  prior.Learn(data.view);
  ASSERT_TRUE(prior.Initial(belief));
  MatrixXd x0(2, 6);
  for (int n = 0; n < 6; ++n) x0.col(n) = Eigen::Map<const VectorXd>(data.view.state(n, 0), 2);
  const VectorXd mean = x0.rowwise().mean();
  const VectorXd variance = (x0.colwise() - mean).rowwise().squaredNorm() / 6;
  EXPECT_LT((belief.mean - mean).norm(), 1e-14);
  EXPECT_LT((belief.covariance - MatrixXd(variance.asDiagonal())).norm(), 1e-14);
  for (const double count : {belief.m, belief.n0, belief.scatter}) EXPECT_EQ(count, 1.5 * 2);
}

TEST(MixturePrior, SavedAndRestoredItGoesOnToTheBit) {
  MixturePrior prior(2, 1, {}, Key{1, 0});
  prior.Learn(ToyRollouts(5, 25, 1).view);
  TensorFile file;
  prior.Save("prior.", file);
  MixturePrior copy(2, 1, {}, Key{1, 0});
  copy.Restore("prior.", file);
  const ToyRollouts next(5, 25, 2);
  NormalInverseWishart a;
  NormalInverseWishart b;
  for (MixturePrior* each : {&prior, &copy}) {
    each->Learn(next.view);
    each->Prepare(next.view);
  }
  for (int t = 0; t < 25; ++t) {
    prior.At(t, a);
    copy.At(t, b);
    EXPECT_EQ(a.mean, b.mean);
    EXPECT_EQ(a.covariance, b.covariance);
    EXPECT_EQ(a.n0, b.n0);
  }
}

TEST(MixturePrior, RestoreRefusesWhatNoFitLeavesAndStaysAsItWas) {
  MixturePrior prior(2, 1, {}, Key{1, 0});
  prior.Learn(ToyRollouts(2, 25, 1).view);
  TensorFile good;
  prior.Save("prior.", good);
  good.source = "checkpoint.safetensors";
  const auto refusal = [&](const std::string& tensor, size_t element, double value) {
    TensorFile file = good;
    std::visit(
        [&](auto& values) {
          values[element] = static_cast<std::remove_reference_t<decltype(values[0])>>(value);
        },
        file.tensors.at("prior." + tensor).values);
    std::string message;
    try {
      prior.Restore("prior.", file);
    } catch (const InputError& error) {
      message = error.what();
    }
    TensorFile after;
    prior.Save("prior.", after);
    for (const auto& [name, kept] : good.tensors) {
      EXPECT_EQ(after.tensors.at(name).values, kept.values) << tensor << " " << name;
    }
    return message;
  };
  const double nan = std::nan("");
  EXPECT_EQ(refusal("counts", 0, 100),
            "checkpoint.safetensors: tensor 'prior.counts': found 100 transitions a rollout, 50 "
            "points and 2 components of 50 points, expected whole rollouts and a mixture of them");
  // Rollouts of 30, of 12.5, of no transitions; a mixture of no points.
  for (const double wrong : {30.0, 12.5, 0.0}) EXPECT_NE(refusal("counts", 0, wrong), "");
  EXPECT_NE(refusal("counts", 1, 0), "");
  EXPECT_NE(refusal("counts", 0, nan), "");
  for (const char* tensor : {"points", "weights", "means", "covariances"}) {
    EXPECT_NE(refusal(tensor, 0, nan), "") << tensor;
  }
  EXPECT_NE(refusal("covariances", 0, -1), "");
  EXPECT_EQ(refusal("owner", 3, 2),
            "checkpoint.safetensors: tensor 'prior.owner': found 2, expected a component below 2");
  EXPECT_NE(refusal("owner", 3, -1), "");
}

TEST(MixturePrior, TinyDataDoNotMakeACountNegative) {
  const ToyRollouts data(1, 4, 3);
  MixturePrior prior(2, 1, {}, Key{1, 0});
  prior.Learn(data.view);
  prior.Prepare(data.view);
  NormalInverseWishart belief;
  prior.At(0, belief);
  EXPECT_EQ(belief.n0, 0);
  LocalModelFit fit;
  LocalModelFitter().Fit(data.view, prior, fit);
  EXPECT_TRUE(fit.dynamics.steps[3].A.allFinite());
}

TEST(MixturePrior, AnsweringAllocatesNothing) {
  const ToyRollouts data(5, 25, 4);
  MixturePrior prior(2, 1, {}, Key{1, 0});
  prior.Learn(data.view);
  NormalInverseWishart belief;
  const auto answer = [&] {
    prior.Prepare(data.view);
    for (int t = 0; t < 25; ++t) prior.At(t, belief);
  };
  answer();
  EXPECT_EQ(testing::CountAllocations(answer), 0);
}

TEST(MixturePrior, NamesWhatIsWrong) {
  const auto message = [](auto&& function) -> std::string {
    try {
      function();
    } catch (const InputError& error) {
      return error.what();
    } catch (const RunError& error) {
      return std::string("run: ") + error.what();
    }
    return "";
  };
  MixturePrior prior(2, 1, {}, Key{1, 0});
  ToyRollouts data(2, 10, 5);
  EXPECT_NE(message([&] { prior.Prepare(data.view); }).find("no rollouts"), std::string::npos);
  prior.Learn(data.view);
  const ToyRollouts other(2, 11, 5);
  EXPECT_NE(message([&] { prior.Learn(other.view); }).find("11 transitions"), std::string::npos);
  EXPECT_NE(message([&] { prior.Prepare(other.view); }).find("11 transitions"), std::string::npos);
  data.states[3] = std::nan("");
  EXPECT_EQ(message([&] { prior.Learn(data.view); }),
            "run: mixture prior: rollout 0, time 1, state 1: found nan, expected a finite number");
}

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
