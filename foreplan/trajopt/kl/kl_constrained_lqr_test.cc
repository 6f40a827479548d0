#include "foreplan/trajopt/kl/kl_constrained_lqr.h"

#include <gtest/gtest.h>

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/trajopt/kl/kl_divergence.h"
#include "foreplan/trajopt/kl/testing/kl_constrained_checks.h"
#include "foreplan/trajopt/kl/testing/kl_test_problems.h"
#include "foreplan/trajopt/lqr.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// --- recorded problems --------------------------------------------------------------------------

class KlConstrainedGolden : public ::testing::TestWithParam<const char*> {
 protected:
  KlConstrainedGolden()
      : golden_(ReadTestData(std::string("gps/kl_") + GetParam() + ".json")),
        problem_(GoldenKlProblem(golden_)),
        lqr_(MakeKlLqr(problem_)) {}

  void ExpectPolicy(const LinearGaussianPolicy& policy, const nlohmann::json& expected) {
    const auto nx = golden_.at("nx").get<Eigen::Index>();
    const auto nu = golden_.at("nu").get<Eigen::Index>();
    const auto shown = expected.contains("covariance_upper")
                           ? std::vector<size_t>{}
                           : golden_.at("shown_steps").get<std::vector<size_t>>();
    for (size_t t = 0; t < problem_.costs.size(); ++t) {
      const VectorXd k = GoldenMatrix(expected.at("k"), t, nu, 1);
      EXPECT_LT((policy.Offset(static_cast<int>(t)) - k).norm(), kTolerance * k.norm()) << t;
      if (!shown.empty()) continue;
      const MatrixXd K = GoldenMatrix(expected.at("K"), t, nu, nx);
      const MatrixXd S = GoldenSymmetric(expected.at("covariance_upper"), t, nu);
      EXPECT_LT((policy.step(static_cast<int>(t)).feedback - K).norm(), kTolerance * K.norm());
      EXPECT_LT((policy.step(static_cast<int>(t)).covariance - S).norm(), kTolerance * S.norm());
    }
    for (size_t i = 0; i < shown.size(); ++i) {
      const MatrixXd K = GoldenMatrix(expected.at("K"), i, nu, nx);
      EXPECT_LT((policy.step(static_cast<int>(shown[i])).feedback - K).norm(),
                kTolerance * K.norm());
    }
  }

  static constexpr double kTolerance = 1e-8;
  nlohmann::json golden_;
  KlTestProblem problem_;
  KlConstrainedLqr lqr_;
};
INSTANTIATE_TEST_SUITE_P(Recorded, KlConstrainedGolden,
                         ::testing::Values("lqr_a", "lqr_b", "lqr_c", "lqr_d"));

TEST_P(KlConstrainedGolden, PolicyMomentsCostsAndDivergences) {
  const double lambda = golden_.at("lambda");
  const KlLqrEvaluation evaluation = lqr_.Evaluate(lambda, golden_.at("entropy_weight"));
  ASSERT_EQ(evaluation.status, BackwardStatus::kOk);
  const LinearGaussianPolicy policy = lqr_.Policy();
  ExpectPolicy(policy, golden_);

  const TrajectoryDistribution d = PropagateDistribution(problem_.dynamics, policy);
  const std::vector<double> costs = ExpectedCosts(problem_.costs, policy, d);
  const std::vector<double> kl = KlDivergences(policy, problem_.previous, d);
  const auto nx = golden_.at("nx").get<Eigen::Index>();
  const auto nu = golden_.at("nu").get<Eigen::Index>();
  for (size_t t = 0; t < costs.size(); ++t) {
    const VectorXd mean = GoldenMatrix(golden_.at("mean"), t, nx + nu, 1);
    EXPECT_LT((d.state_mean[t] - mean.head(nx)).norm(), kTolerance * mean.norm());
    EXPECT_LT((d.action_mean[t] - mean.tail(nu)).norm(), kTolerance * mean.norm());
    const double trace = golden_.at("covariance_trace").at(t);
    EXPECT_NEAR(d.state_covariance[t].trace() + d.action_covariance[t].trace(), trace,
                kTolerance * trace);
    const double cost = golden_.at("expected_cost").at(t);
    EXPECT_NEAR(costs[t], cost, kTolerance * std::abs(cost)) << t;
    const double expected_kl = golden_.at("kl").at(t);
    EXPECT_NEAR(kl[t], expected_kl, kTolerance * expected_kl) << t;
    EXPECT_NEAR(lqr_.kl_per_step()[t], expected_kl, kTolerance * expected_kl) << t;
  }
  const double change = Sum(costs) - ExpectedCost(problem_, problem_.previous);
  EXPECT_NEAR(evaluation.cost_change, change, kTolerance * std::abs(change));
}

TEST_P(KlConstrainedGolden, DivergenceAtAnotherMultiplier) {
  const nlohmann::json& search = golden_.at("search");
  const KlLqrEvaluation evaluation =
      lqr_.Evaluate(search.at("lambda"), golden_.at("entropy_weight"));
  EXPECT_NEAR(evaluation.kl, search.at("kl"), kTolerance * search.at("kl").get<double>());
}

TEST_P(KlConstrainedGolden, FindsTheMultiplierAtTheBound) {
  const double bound = golden_.at("search").at("bound");
  const KlConstrainedResult result =
      lqr_.Solve(bound, {.entropy_weight = golden_.at("entropy_weight"), .tolerance = 1e-11});
  ASSERT_EQ(result.status, KlConstrainedStatus::kConverged);
  EXPECT_NEAR(result.kl, bound, 1e-11 * bound);
  EXPECT_LE(result.passes, 20);
  if (!golden_.contains("at_bound")) return;
  const double lambda = golden_.at("at_bound").at("lambda");
  EXPECT_NEAR(result.lambda, lambda, kTolerance * lambda);
  ExpectPolicy(lqr_.Policy(), golden_.at("at_bound"));
}

class KlConstrainedSpecial : public ::testing::Test {
 protected:
  nlohmann::json golden_ = ReadTestData("gps/lqr_special.json");
  KlTestProblem problem_ = GoldenKlProblem(ReadTestData("gps/kl_lqr_a.json"));
};

TEST_F(KlConstrainedSpecial, InactiveBoundIsRecognisedAtOnce) {
  KlConstrainedLqr lqr = MakeKlLqr(problem_);
  const KlConstrainedResult result = lqr.Solve(5e6, {});
  EXPECT_EQ(result.status, KlConstrainedStatus::kInactive);
  EXPECT_EQ(result.passes, 1);
  EXPECT_EQ(result.lambda, 1e-8);
  for (int t = 0; t < 5; ++t) {
    const auto at = static_cast<size_t>(t);
    // Recorded at lambda = 1e-8 (1 + 3e-13).
    EXPECT_LT(
        (lqr.Policy().step(t).feedback - GoldenMatrix(golden_["inactive"]["K"], at, 1, 2)).norm(),
        1e-8);
    EXPECT_LT((lqr.Policy().Offset(t) - GoldenMatrix(golden_["inactive"]["k"], at, 1, 1)).norm(),
              1e-8);
  }
}

TEST_F(KlConstrainedSpecial, IndefiniteActionHessiansRaiseTheBracket) {
  problem_.costs[3].R(0, 0) = -1.5;
  KlConstrainedLqr lqr = MakeKlLqr(problem_);
  EXPECT_EQ(lqr.Evaluate(0.8, 0).status, BackwardStatus::kIndefinite);
  const double smallest = golden_.at("non_pd_search").at("smallest_lambda");
  EXPECT_EQ(lqr.Evaluate(smallest, 0).status, BackwardStatus::kOk);
  const double bound = golden_.at("non_pd_search").at("bound");
  for (const double first : {1e-8, 1e-3, 0.8, 1e9}) {
    const KlConstrainedResult result = lqr.Solve(bound, {.first_lambda = first});
    EXPECT_EQ(result.status, KlConstrainedStatus::kConverged) << first;
    EXPECT_NEAR(result.kl, bound, 0.01 * bound);
    EXPECT_LE(result.passes, 25) << first;
  }
}

TEST_F(KlConstrainedSpecial, NearDeterministicPoliciesHaveNoCancellation) {
  std::vector<LinearGaussianStep> steps = problem_.previous.steps();
  for (LinearGaussianStep& step : steps) {
    step.covariance *= 1e-8;
    step.feedforward *= 1e3;
  }
  problem_.previous = LinearGaussianPolicy(steps);
  KlConstrainedLqr lqr = MakeKlLqr(problem_);
  ASSERT_EQ(lqr.Evaluate(1e6, 0).status, BackwardStatus::kOk);
  for (size_t t = 0; t < 5; ++t) {
    // The gains that the recorded numbers belong to were rounded; ours are differences.
    const double exact = golden_.at("near_deterministic_kl").at(t);
    EXPECT_NEAR(lqr.kl_per_step()[t] / exact, 1, 1e-6) << t;
  }
}

// --- random problems ----------------------------------------------------------------------------

TEST(KlConstrainedRandom, ThousandProblemsAreSolvedAndStationary) {
  int passes = 0;
  int most_passes = 0;
  for (uint64_t trial = 0; trial < 1000; ++trial) {
    const auto [problem, entropy_weight, bound] = MakeKlTrial(trial);
    KlConstrainedLqr lqr = MakeKlLqr(problem);
    const KlConstrainedResult result = lqr.Solve(bound, {.entropy_weight = entropy_weight});
    ASSERT_TRUE(result.ok()) << trial << ": " << Describe(result.status);
    const LinearGaussianPolicy policy = lqr.Policy();
    ASSERT_LT(StationarityResidual(problem, policy, lqr.multipliers(), entropy_weight), 1e-6)
        << trial;
    for (const double lambda : lqr.multipliers()) ASSERT_EQ(lambda, result.lambda);
    // Feasible, and lambda (KL - bound) = 0, both within 1 %.
    const double kl = TrajectoryKl(problem, policy);
    ASSERT_NEAR(kl, result.kl, 1e-8 * kl) << trial;
    ASSERT_LE(kl, bound * 1.01 * (1 + 1e-9)) << trial;
    if (result.status == KlConstrainedStatus::kConverged) {
      ASSERT_GE(kl, bound * 0.99 * (1 - 1e-9)) << trial;
    } else {
      ASSERT_EQ(result.lambda, 1e-8);
    }
    const double before = ExpectedCost(problem, problem.previous);
    ASSERT_NEAR(ExpectedCost(problem, policy) - before, result.cost_change,
                1e-8 * (std::abs(before) + std::abs(result.cost_change)))
        << trial;
    passes += result.passes;
    most_passes = std::max(most_passes, result.passes);
  }
  EXPECT_LT(passes, 12 * 1000);
  EXPECT_LT(most_passes, 40);
}

TEST(KlConstrainedRandom, TheDualsDerivativeIsKlMinusTheBound) {
  for (uint64_t trial = 0; trial < 20; ++trial) {
    const KlTestProblem problem = RandomKlProblem(4, 2, 8, Key{12, trial});
    KlConstrainedLqr lqr = MakeKlLqr(problem);
    const double entropy_weight = 0.1;
    const double bound = 0.5;
    const double lambda = std::pow(10.0, static_cast<double>(trial % 5) - 2);
    const auto dual = [&](double at) {
      const KlLqrEvaluation e = lqr.Evaluate(at, entropy_weight);
      return e.cost_change - entropy_weight * e.entropy_change + at * (e.kl - bound);
    };
    const double h = 1e-4 * lambda;
    const double derivative = (dual(lambda + h) - dual(lambda - h)) / (2 * h);
    const double kl = lqr.Evaluate(lambda, entropy_weight).kl;
    // Central differences: 1e-8 of the dual's curvature, and its rounding over h.
    const double rounding = 1e-14 * std::abs(dual(lambda)) / h;
    EXPECT_NEAR(derivative, kl - bound, 1e-6 * (kl + bound) + rounding) << trial;
  }
}

TEST(KlConstrainedRandom, DivergenceFallsWithTheMultiplier) {
  const KlTestProblem problem = RandomKlProblem(5, 2, 10, Key{13, 0});
  KlConstrainedLqr lqr = MakeKlLqr(problem);
  double before = INFINITY;
  for (double lambda = 1e-6; lambda < 1e10; lambda *= 3) {
    const double kl = lqr.Evaluate(lambda, 0.01).kl;
    EXPECT_LT(kl, before) << lambda;
    before = kl;
  }
}

TEST(KlConstrainedRandom, LimitsOfTheBound) {
  const KlTestProblem problem = RandomKlProblem(4, 2, 6, Key{14, 0});
  KlConstrainedLqr lqr = MakeKlLqr(problem);
  // bound -> 0: the previous policy.
  ASSERT_TRUE(lqr.Solve(1e-12, {}).ok());
  const LinearGaussianPolicy near = lqr.Policy();
  // bound -> infinity with nu > 0: maximum-entropy LQR; lambda = lambda_min is what is left of p'.
  const double entropy_weight = 0.3;
  ASSERT_EQ(lqr.Solve(1e9, {.entropy_weight = entropy_weight, .lambda_min = 1e-14}).status,
            KlConstrainedStatus::kInactive);
  const LinearGaussianPolicy far = lqr.Policy();
  LqrProblem unconstrained{
      .horizon = 6, .stages = {}, .terminal_Q = MatrixXd::Zero(4, 4), .terminal_q = {}};
  for (size_t t = 0; t < 6; ++t) {
    const QuadraticCost& c = problem.costs[t];
    const LinearGaussianTransition f =
        t < 5 ? problem.dynamics.steps[t]
              : LinearGaussianTransition{MatrixXd::Zero(4, 4), MatrixXd::Zero(4, 2),
                                         VectorXd::Zero(4), MatrixXd::Zero(4, 4)};
    unconstrained.stages.push_back({f.A, f.B, f.c, c.Q, c.R, c.S, c.q, c.r});
  }
  const LqrSolution expected = SolveLqr(unconstrained, entropy_weight);
  for (int t = 0; t < 6; ++t) {
    const LinearGaussianStep& old = problem.previous.step(t);
    EXPECT_LT((near.step(t).feedback - old.feedback).norm(), 1e-4);
    EXPECT_LT((near.Offset(t) - problem.previous.Offset(t)).norm(), 1e-4);
    EXPECT_LT((near.step(t).covariance - old.covariance).norm(), 1e-4);
    EXPECT_LT((far.step(t).feedback - expected.policy.step(t).feedback).norm(), 1e-9);
    EXPECT_LT((far.Offset(t) - expected.policy.Offset(t)).norm(), 1e-8);
    EXPECT_LT((far.step(t).covariance - expected.policy.step(t).covariance).norm(),
              1e-9 * expected.policy.step(t).covariance.norm());
  }
}

// --- failures, memory ---------------------------------------------------------------------------

TEST(KlConstrainedLqr, ReportsWhyItFailed) {
  const KlTestProblem good = RandomKlProblem(3, 2, 5, Key{15, 0});
  KlTestProblem problem = good;
  problem.costs[2].R(0, 0) = -1e30;
  KlConstrainedLqr lqr = MakeKlLqr(problem);
  KlConstrainedResult result = lqr.Solve(1, {});
  EXPECT_EQ(result.status, KlConstrainedStatus::kIndefinite);
  EXPECT_EQ(result.failed_step, 2);
  lqr.SetProblem(good.dynamics, good.costs, good.previous);
  result = lqr.Solve(1, {.max_passes = 2});
  EXPECT_EQ(result.status, KlConstrainedStatus::kPasses);
  result = lqr.Solve(1e-6, {.lambda_max = 1, .first_lambda = 1e-3});
  EXPECT_EQ(result.status, KlConstrainedStatus::kNotReached);
  // The workspace is as good as new after a failure.
  EXPECT_TRUE(lqr.Solve(1, {}).ok());
}

TEST(KlConstrainedLqr, NamesWhatIsWrong) {
  const KlTestProblem good = RandomKlProblem(3, 2, 5, Key{15, 0});
  KlConstrainedLqr lqr = MakeKlLqr(good);
  const auto message = [&](const KlTestProblem& problem) -> std::string {
    try {
      lqr.SetProblem(problem.dynamics, problem.costs, problem.previous);
    } catch (const InputError& error) {
      return error.what();
    } catch (const RunError& error) {
      return std::string("run: ") + error.what();
    }
    return "";
  };
  KlTestProblem problem = good;
  problem.costs.pop_back();
  EXPECT_EQ(message(problem), "KL-constrained LQR: costs: found 4, expected 5");
  problem = good;
  problem.dynamics.steps[1].A(0, 0) = NAN;
  EXPECT_EQ(message(problem),
            "run: KL-constrained LQR: step 1: A: found NaN or infinity, expected finite numbers");
  problem = good;
  problem.dynamics.steps[1].A.resize(3, 2);
  EXPECT_EQ(message(problem), "KL-constrained LQR: step 1: A: found 3 x 2, expected 3 x 3");
  problem = good;
  std::vector<LinearGaussianStep> steps = good.previous.steps();
  steps[4].covariance.setZero();
  problem.previous = LinearGaussianPolicy(steps);
  EXPECT_NE(message(problem).find(
                "run: KL-constrained LQR: step 4: previous covariance: found a singular one"),
            std::string::npos);
  EXPECT_THROW((void)lqr.Solve(0, {}), InputError);
  EXPECT_THROW((void)lqr.Solve(NAN, {}), InputError);
}

TEST(KlConstrainedLqr, DoesNotAllocateWhileItSearches) {
  const KlTestProblem problem = RandomKlProblem(26, 7, 20, Key{16, 0});
  KlConstrainedLqr lqr = MakeKlLqr(problem);
  KlConstrainedResult result;
  EXPECT_EQ(testing::CountAllocations([&] { result = lqr.Solve(2, {}); }), 0);
  EXPECT_TRUE(result.ok());
}

}  // namespace
}  // namespace foreplan
