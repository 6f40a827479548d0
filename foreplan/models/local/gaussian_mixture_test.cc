#include "foreplan/models/local/gaussian_mixture.h"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/models/local/k_means.h"
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

constexpr double kGolden = 1e-9;  // the references' own sensitivity to rounding is 1e-11

struct GoldenCase {
  explicit GoldenCase(size_t index)
      : file(ReadTestData("gps/mixture.json")),
        golden(file.at("cases").at(index)),
        components(golden.at("K")),
        assignment(golden.at("assignment").get<std::vector<int>>()),
        points(PointsOf(GoldenRollouts(file, golden).view, golden.at("N"))) {}

  nlohmann::json file;
  nlohmann::json golden;
  int components;
  std::vector<int> assignment;
  MatrixXd points;  // [10 x N T]
};

void ExpectComponents(const GaussianMixture& mixture, const nlohmann::json& expected) {
  const int d = mixture.dim();
  for (int k = 0; k < mixture.components(); ++k) {
    const MixtureComponent& c = mixture.component(k);
    EXPECT_NEAR(c.weight, expected.at("weight").at(static_cast<size_t>(k)).get<double>(), kGolden);
    EXPECT_LT(ArrayError(c.mean, GoldenMatrix(expected.at("mean"), d, 1, k)), kGolden) << k;
    EXPECT_LT(ArrayError(c.covariance, GoldenSymmetric(expected.at("covariance"), d, k)), kGolden)
        << k;
  }
}

class MixtureGolden : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Cases, MixtureGolden, ::testing::Range<size_t>(0, 4));

TEST_P(MixtureGolden, EveryRoundIsTheReferences) {
  const GoldenCase c(GetParam());
  for (const auto& [rounds, expected] : c.golden.at("after").items()) {
    GaussianMixture mixture;
    mixture.Start(c.points, c.assignment, c.components);
    // The reference divides the first covariances by the number of components.
    std::vector<MixtureComponent> start;
    for (int k = 0; k < c.components; ++k) {
      start.push_back(mixture.component(k));
      const MatrixXd floor = 2e-6 * MatrixXd::Identity(10, 10);
      const auto count = static_cast<double>(std::ranges::count(c.assignment, k));
      start.back().covariance = (start.back().covariance - floor) * count / c.components + floor;
    }
    mixture.Set(start);
    const auto log_likelihood = expected.at("log_likelihood").get<std::vector<double>>();
    SoftAssignment assignment;
    for (size_t round = 0; round < log_likelihood.size(); ++round) {
      mixture.Expect(c.points, assignment);
      EXPECT_NEAR(assignment.log_likelihood, log_likelihood[round],
                  kGolden * std::abs(log_likelihood[round]))
          << round;
      // A run that converged ends with an E step.
      if (rounds == "100" && round + 1 == log_likelihood.size()) break;
      EXPECT_EQ(mixture.Maximise(c.points, assignment), 0);
    }
    ExpectComponents(mixture, expected);

    // The prior at the query points: mean shares, then the moments of the mixture.
    const int queries = static_cast<int>(c.golden.at("query").size()) / 10;
    const MatrixXd query = GoldenMatrix(c.golden.at("query"), queries, 10).transpose();
    mixture.Expect(query, assignment);
    const VectorXd weights = assignment.share.rowwise().mean();
    VectorXd mean;
    MatrixXd covariance;
    mixture.Moments(weights, mean, covariance);
    for (int k = 0; k < c.components; ++k) {
      const double expected_weight =
          std::exp(expected.at("query_log_weight").at(static_cast<size_t>(k)).get<double>());
      EXPECT_NEAR(weights[k], expected_weight, kGolden);
    }
    EXPECT_LT(ArrayError(mean, GoldenMatrix(expected.at("prior_mean"), 10, 1)), kGolden);
    EXPECT_LT(ArrayError(covariance, GoldenSymmetric(expected.at("prior_covariance"), 10)),
              kGolden);
  }
}

TEST_P(MixtureGolden, AWholeFitIsTheCorrectedReferences) {
  const GoldenCase c(GetParam());
  GaussianMixture mixture;
  SoftAssignment assignment;
  mixture.Start(c.points, c.assignment, c.components);
  const MixtureReport report = mixture.Fit(c.points, assignment);
  const nlohmann::json& expected = c.golden.at("corrected");
  const auto log_likelihood = expected.at("log_likelihood").get<std::vector<double>>();
  EXPECT_TRUE(report.converged);
  EXPECT_EQ(report.reseeded, 0);
  EXPECT_EQ(report.rounds, static_cast<int>(log_likelihood.size()));
  EXPECT_NEAR(report.log_likelihood, log_likelihood.back(),
              kGolden * std::abs(log_likelihood.back()));
  ExpectComponents(mixture, expected);
}

/// `groups` clouds of points with random covariances, in turn.
MatrixXd Clouds(int dim, int points, int groups, double distance, uint64_t stream) {
  Random random(Key{3, stream});
  std::vector<MatrixXd> root;
  MatrixXd centre(dim, groups);
  for (int k = 0; k < groups; ++k) {
    MatrixXd L(dim, dim);
    for (double& entry : L.reshaped()) entry = 0.3 * random.Normal();
    root.push_back(L);
    for (double& entry : centre.col(k)) entry = distance * random.Normal();
  }
  MatrixXd z(dim, points);
  for (int n = 0; n < points; ++n) {
    VectorXd noise(dim);
    for (double& entry : noise) entry = random.Normal();
    z.col(n) = centre.col(n % groups) + root[static_cast<size_t>(n % groups)] * noise;
  }
  return z;
}

std::vector<int> InTurn(int points, int groups) {
  std::vector<int> assignment;
  for (int n = 0; n < points; ++n) assignment.push_back(n % groups);
  return assignment;
}

// log sum of weight times density, without any short cuts.
double PlainLogDensity(const GaussianMixture& mixture, const VectorXd& z) {
  std::vector<double> logs;
  for (int k = 0; k < mixture.components(); ++k) {
    const MixtureComponent& c = mixture.component(k);
    const Eigen::LLT<MatrixXd> llt(c.covariance);
    const MatrixXd L = llt.matrixL();
    const VectorXd y = L.triangularView<Eigen::Lower>().solve(z - c.mean);
    logs.push_back(std::log(c.weight) - 0.5 * y.squaredNorm() - L.diagonal().array().log().sum() -
                   0.5 * static_cast<double>(z.size()) * std::log(2 * std::numbers::pi));
  }
  const double most = *std::ranges::max_element(logs);
  double sum = 0;
  for (const double log : logs) sum += std::exp(log - most);
  return most + std::log(sum);
}

TEST(GaussianMixture, LeavingOutWhatIsNegligibleChangesNothing) {
  for (const double distance : {0.1, 1.0, 10.0}) {  // overlapping, touching, apart
    const MatrixXd z = Clouds(37, 400, 4, distance, 1);
    GaussianMixture mixture;
    mixture.Start(z, InTurn(400, 4), 4);
    SoftAssignment assignment;
    mixture.Expect(z, assignment);
    for (int n = 0; n < 400; n += 7) {
      const double expected = PlainLogDensity(mixture, z.col(n));
      EXPECT_NEAR(assignment.log_density[n], expected, 1e-12 * std::abs(expected)) << n;
      EXPECT_NEAR(assignment.share.col(n).sum(), 1, 1e-14);
    }
  }
}

TEST(GaussianMixture, AGuessOfTheOwnerChangesNothing) {
  const MatrixXd z = Clouds(20, 300, 3, 0.5, 2);
  GaussianMixture mixture;
  mixture.Start(z, InTurn(300, 3), 3);
  SoftAssignment good;
  mixture.Expect(z, good);
  SoftAssignment bad;
  bad.owner.assign(300, 7);  // no component at all
  mixture.Expect(z, bad);
  EXPECT_EQ(good.owner, bad.owner);
  // Products of other shapes may round differently.
  EXPECT_LT((good.share - bad.share).cwiseAbs().maxCoeff(), 1e-12);
}

TEST(GaussianMixture, LogLikelihoodNeverFallsWithoutAFloor) {
  MixtureOptions options;
  options.covariance_floor = 0;
  const MatrixXd z = Clouds(5, 300, 4, 0.7, 3);
  GaussianMixture mixture(options);
  mixture.Start(z, AssignByKMeans(z, 4, Key{1, 1}), 4);
  SoftAssignment assignment;
  double before = -std::numeric_limits<double>::infinity();
  for (int round = 0; round < 40; ++round) {
    mixture.Expect(z, assignment);
    EXPECT_GE(assignment.log_likelihood, before - 1e-9 * std::abs(assignment.log_likelihood));
    before = assignment.log_likelihood;
    mixture.Maximise(z, assignment);
  }
}

TEST(GaussianMixture, FindsCloudsThatAreApart) {
  const MatrixXd z = Clouds(6, 800, 4, 8, 4);
  GaussianMixture mixture;
  mixture.Start(z, AssignByKMeans(z, 4, Key{1, 2}), 4);
  SoftAssignment assignment;
  EXPECT_TRUE(mixture.Fit(z, assignment).converged);
  for (int n = 4; n < 800; ++n) {
    EXPECT_EQ(assignment.owner[static_cast<size_t>(n)],
              assignment.owner[static_cast<size_t>(n % 4)]);
  }
  for (int k = 0; k < 4; ++k) EXPECT_NEAR(mixture.component(k).weight, 0.25, 1e-9);
}

TEST(GaussianMixture, AnotherRoundFromTheSolutionStopsAtOnce) {
  const MatrixXd z = Clouds(6, 400, 3, 1, 5);
  GaussianMixture mixture;
  mixture.Start(z, InTurn(400, 2), 3);
  SoftAssignment assignment;
  EXPECT_GT(mixture.Fit(z, assignment).rounds, 2);
  EXPECT_LE(mixture.Fit(z, assignment).rounds, 2);
}

TEST(GaussianMixture, ADeadComponentIsStartedAnewAndLives) {
  const MatrixXd z = Clouds(4, 300, 3, 6, 6);
  GaussianMixture mixture;
  mixture.Start(z, InTurn(300, 3), 3);
  std::vector<MixtureComponent> components = {mixture.component(0), mixture.component(1),
                                              mixture.component(2)};
  components[2].mean.array() += 1e3;  // far from every point
  mixture.Set(components);
  SoftAssignment assignment;
  const MixtureReport report = mixture.Fit(z, assignment);
  EXPECT_GE(report.reseeded, 1);
  EXPECT_TRUE(report.converged);
  for (int k = 0; k < 3; ++k) EXPECT_NEAR(mixture.component(k).weight, 1.0 / 3, 1e-6) << k;
}

TEST(GaussianMixture, ComponentsThatDieTogetherAreStartedAnewAtDifferentPoints) {
  MatrixXd z = Clouds(4, 300, 3, 6, 6);
  z.col(1) = z.col(0);  // the two points explained worst are equal ...
  z.col(0).array() += 40;
  z.col(1).array() += 40;
  z.col(2).array() -= 39;  // ... and no better than one that is elsewhere
  GaussianMixture mixture;
  mixture.Start(z, InTurn(300, 2), 4);
  std::vector<MixtureComponent> components;
  for (int k = 0; k < 4; ++k) components.push_back(mixture.component(k));
  for (const size_t k : {2, 3}) components[k].mean.array() += 1e5;  // far from every point
  mixture.Set(components);
  SoftAssignment assignment;
  mixture.Expect(z, assignment);
  EXPECT_EQ(mixture.Maximise(z, assignment), 2);
  // Started at the two worst places, the covariance is that of all points.
  std::vector<VectorXd> places = {mixture.component(2).mean, mixture.component(3).mean};
  std::ranges::sort(places, {}, [](const VectorXd& mean) { return mean[0]; });
  EXPECT_EQ(places[0], z.col(2));
  EXPECT_EQ(places[1], z.col(0));
  EXPECT_EQ(mixture.component(2).covariance, mixture.component(3).covariance);
  // They do not become one component again.
  (void)mixture.Fit(z, assignment);
  EXPECT_GT((mixture.component(2).mean - mixture.component(3).mean).norm(), 1);
}

TEST(GaussianMixture, WithFewerPlacesThanDeadComponentsNothingBreaks) {
  const MatrixXd same = MatrixXd::Constant(3, 10, 0.5);
  GaussianMixture mixture;
  mixture.Start(same, InTurn(10, 3), 3);
  std::vector<MixtureComponent> components;
  for (int k = 0; k < 3; ++k) components.push_back(mixture.component(k));
  for (const size_t k : {1, 2}) components[k].mean.array() += 1e5;
  mixture.Set(components);
  SoftAssignment assignment;
  mixture.Expect(same, assignment);
  EXPECT_EQ(mixture.Maximise(same, assignment), 2);
  EXPECT_TRUE(std::isfinite(mixture.Fit(same, assignment).log_likelihood));
}

TEST(GaussianMixture, AComponentWithoutPointsIsNoNaN) {
  const MatrixXd z = Clouds(3, 60, 1, 1, 7);
  GaussianMixture mixture;
  mixture.Start(z, InTurn(60, 2), 4);  // components 2 and 3 have none
  SoftAssignment assignment;
  const MixtureReport report = mixture.Fit(z, assignment);
  EXPECT_TRUE(std::isfinite(report.log_likelihood));
  EXPECT_TRUE(assignment.share.allFinite());
}

TEST(GaussianMixture, ConstantCoordinatesAndDuplicatedPointsAreFine) {
  MatrixXd z = Clouds(5, 40, 2, 1, 8);
  z.row(2).setConstant(0.3);
  const MatrixXd twice = (MatrixXd(5, 80) << z, z).finished();
  GaussianMixture mixture;
  mixture.Start(twice, InTurn(80, 2), 2);
  SoftAssignment assignment;
  const MixtureReport report = mixture.Fit(twice, assignment);
  EXPECT_TRUE(report.converged);
  EXPECT_NEAR(mixture.component(0).covariance(2, 2), 1e-6, 1e-12);  // the floor
  // A single point, several times.
  const MatrixXd same = z.col(0).replicate(1, 10);
  mixture.Start(same, InTurn(10, 2), 2);
  EXPECT_TRUE(std::isfinite(mixture.Fit(same, assignment).log_likelihood));
}

TEST(GaussianMixture, LargeNumbersWithATinyFloorStayPositiveDefinite) {
  MixtureOptions options;
  options.covariance_floor = 0;
  MatrixXd z = 1e8 * Clouds(4, 50, 1, 1, 9);
  z.row(3) = z.row(0) + z.row(1);  // singular
  GaussianMixture mixture(options);
  mixture.Start(z, InTurn(50, 2), 2);
  SoftAssignment assignment;
  EXPECT_TRUE(std::isfinite(mixture.Fit(z, assignment).log_likelihood));
}

TEST(GaussianMixture, ACovarianceWithoutVariancesIsMadePositiveDefinite) {
  MatrixXd covariance(2, 2);
  covariance << 0, 1, 1, 0;
  GaussianMixture mixture{MixtureOptions{}};
  const MixtureComponent flat{.weight = 1, .mean = VectorXd::Zero(2), .covariance = covariance};
  mixture.Set(std::vector{flat});
  const MatrixXd& made = mixture.component(0).covariance;
  EXPECT_GT(made(0, 0) * made(1, 1), made(0, 1) * made(1, 0));
}

TEST(GaussianMixture, MomentsAreThoseOfTheMixture) {
  const MatrixXd z = Clouds(4, 200, 2, 2, 10);
  GaussianMixture mixture;
  mixture.Start(z, InTurn(200, 2), 2);
  VectorXd mean;
  MatrixXd covariance;
  mixture.Moments(Eigen::Vector2d(0.5, 0.5), mean, covariance);
  const VectorXd expected = z.rowwise().mean();
  const MatrixXd centred = z.colwise() - expected;
  EXPECT_LT((mean - expected).norm(), 1e-12);
  EXPECT_LT(
      (covariance - centred * centred.transpose() / 200 - 2e-6 * MatrixXd::Identity(4, 4)).norm(),
      1e-12);
}

TEST(GaussianMixture, ARoundAllocatesNothing) {
  const MatrixXd z = Clouds(59, 600, 4, 1, 11);
  GaussianMixture mixture;
  mixture.Start(z, InTurn(600, 4), 4);
  SoftAssignment assignment;
  mixture.Expect(z, assignment);
  mixture.Maximise(z, assignment);
  EXPECT_EQ(testing::CountAllocations([&] {
              mixture.Expect(z, assignment);
              mixture.Maximise(z, assignment);
            }),
            0);
}

TEST(KMeans, FindsCloudsWhateverTheKeyAndIsRepeatable) {
  const MatrixXd z = Clouds(6, 400, 4, 10, 12);
  for (uint64_t stream = 0; stream < 10; ++stream) {
    const std::vector<int> assignment = AssignByKMeans(z, 4, Key{2, stream});
    EXPECT_EQ(assignment, AssignByKMeans(z, 4, Key{2, stream}));
    for (size_t n = 4; n < 400; ++n) EXPECT_EQ(assignment[n], assignment[n % 4]);
  }
}

TEST(GaussianMixture, NamesWhatIsWrong) {
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
  MatrixXd z = Clouds(3, 10, 1, 1, 13);
  GaussianMixture mixture;
  EXPECT_EQ(message([&] { mixture.Start(z, std::vector<int>(10, 2), 2); }),
            "mixture: assignment: found 2, expected 0 ... 1");
  EXPECT_NE(message([&] { mixture.Start(z, std::vector<int>(9, 0), 2); }).find("9 assignments"),
            std::string::npos);
  z(1, 4) = std::nan("");
  EXPECT_EQ(message([&] { mixture.Start(z, std::vector<int>(10, 0), 1); }),
            "run: mixture: point 4, dimension 1: found nan, expected a finite number");
  EXPECT_NE(message([&] { (void)AssignByKMeans(z, 2, Key{}); }).find("run: mixture: point 4"),
            std::string::npos);
  EXPECT_NE(message([&] { mixture.Set({}); }).find("weights"), std::string::npos);
  // Nothing that can be added makes it one of points.
  MixtureComponent odd{1, Eigen::VectorXd::Zero(2), MatrixXd::Identity(2, 2)};
  odd.covariance(0, 1) = odd.covariance(1, 0) = 1e308;
  EXPECT_NE(message([&] { mixture.Set({odd}); }).find("component 0: found a covariance"),
            std::string::npos);
  const MatrixXd far = 1e200 * Clouds(3, 10, 1, 1, 13);
  EXPECT_NE(message([&] {
              mixture.Start(far, std::vector<int>(10, 0), 1);
            }).find("run: mixture: component 0: found a covariance that overflows"),
            std::string::npos);
  MixtureOptions options;
  options.max_rounds = 0;
  EXPECT_NE(message([&] { const GaussianMixture wrong(options); }).find("max_rounds"),
            std::string::npos);
}

}  // namespace
}  // namespace foreplan
