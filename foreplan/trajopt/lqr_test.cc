#include "foreplan/trajopt/lqr.h"

#include <gtest/gtest.h>

#include <Eigen/LU>
#include <cmath>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/trajopt/ilqr.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

MatrixXd RandomMatrix(Random& random, Eigen::Index rows, Eigen::Index columns) {
  MatrixXd matrix(rows, columns);
  for (Eigen::Index i = 0; i < rows; ++i) {
    for (Eigen::Index j = 0; j < columns; ++j) matrix(i, j) = random.Normal();
  }
  return matrix;
}

/// Time-varying with every term: drift, cross and linear costs.
LqrProblem RandomProblem(int nx, int nu, int horizon, uint64_t stream) {
  Random random(Key{5, stream});
  LqrProblem problem;
  problem.horizon = horizon;
  for (int t = 0; t < horizon; ++t) {
    LqrStage s;
    s.A = MatrixXd::Identity(nx, nx) + 0.2 * RandomMatrix(random, nx, nx);
    s.B = 0.5 * RandomMatrix(random, nx, nu);
    s.c = 0.1 * RandomMatrix(random, nx, 1);
    // [Q S'; S R] positive definite.
    const MatrixXd M = RandomMatrix(random, nx + nu, nx + nu);
    const MatrixXd W = M * M.transpose() / (nx + nu) + 0.1 * MatrixXd::Identity(nx + nu, nx + nu);
    s.Q = W.topLeftCorner(nx, nx);
    s.S = W.bottomLeftCorner(nu, nx);
    s.R = W.bottomRightCorner(nu, nu);
    s.q = RandomMatrix(random, nx, 1);
    s.r = RandomMatrix(random, nu, 1);
    problem.stages.push_back(s);
  }
  const MatrixXd M = RandomMatrix(random, nx, nx);
  problem.terminal_Q = M * M.transpose() / nx;
  problem.terminal_q = RandomMatrix(random, nx, 1);
  return problem;
}

/// All actions from one dense KKT system in (x_1 ... x_N, u_0 ... u_{N-1}, multipliers).
std::vector<VectorXd> DenseKkt(const LqrProblem& problem, const VectorXd& x0) {
  const Eigen::Index N = problem.horizon;
  const Eigen::Index nx = x0.size();
  const Eigen::Index nu = problem.stages[0].B.cols();
  const Eigen::Index n = N * (nx + nu);
  MatrixXd K = MatrixXd::Zero(n + N * nx, n + N * nx);
  VectorXd rhs = VectorXd::Zero(n + N * nx);
  const auto x_at = [&](Eigen::Index t) { return (t - 1) * nx; };
  const auto u_at = [&](Eigen::Index t) { return N * nx + t * nu; };
  for (Eigen::Index t = 0; t < N; ++t) {
    const LqrStage& s = problem.stage(static_cast<int>(t));
    K.block(u_at(t), u_at(t), nu, nu) = s.R;
    rhs.segment(u_at(t), nu) = -s.r;
    if (t > 0) {
      K.block(x_at(t), x_at(t), nx, nx) = s.Q;
      K.block(u_at(t), x_at(t), nu, nx) = s.S;
      K.block(x_at(t), u_at(t), nx, nu) = s.S.transpose();
      rhs.segment(x_at(t), nx) = -s.q;
    } else {
      rhs.segment(u_at(0), nu) -= s.S * x0;
    }
    // A x_t + B u_t - x_{t+1} = -c
    const Eigen::Index row = n + t * nx;
    if (t > 0) K.block(row, x_at(t), nx, nx) = s.A;
    K.block(row, u_at(t), nx, nu) = s.B;
    K.block(row, x_at(t + 1), nx, nx) = -MatrixXd::Identity(nx, nx);
    rhs.segment(row, nx) = -s.c;
    if (t == 0) rhs.segment(row, nx) -= s.A * x0;
  }
  K.block(x_at(N), x_at(N), nx, nx) = problem.terminal_Q;
  rhs.segment(x_at(N), nx) = -problem.terminal_q;
  K.topRightCorner(n, N * nx) = K.bottomLeftCorner(N * nx, n).transpose();
  const VectorXd solution = K.fullPivLu().solve(rhs);
  std::vector<VectorXd> actions;
  for (Eigen::Index t = 0; t < N; ++t) actions.emplace_back(solution.segment(u_at(t), nu));
  return actions;
}

class LqrSizes : public ::testing::TestWithParam<std::pair<int, int>> {};
INSTANTIATE_TEST_SUITE_P(Sizes, LqrSizes,
                         ::testing::Values(std::pair{2, 1}, std::pair{3, 2}, std::pair{4, 1},
                                           std::pair{5, 5}, std::pair{7, 3}, std::pair{12, 4}));

TEST_P(LqrSizes, EqualsADenseKktSolve) {
  const auto [nx, nu] = GetParam();
  const LqrProblem problem = RandomProblem(nx, nu, 9, 1);
  Random random(Key{6, 0});
  const VectorXd x0 = RandomMatrix(random, nx, 1);
  const std::vector<VectorXd> expected = DenseKkt(problem, x0);
  const LqrSolution solution = SolveLqr(problem);
  ASSERT_EQ(solution.status, LqrStatus::kOk);
  VectorXd x = x0;
  for (int t = 0; t < problem.horizon; ++t) {
    const VectorXd u = solution.policy.Mean(t, x);
    ASSERT_LT((u - expected[static_cast<size_t>(t)]).norm(),
              1e-9 * (1 + expected[static_cast<size_t>(t)].norm()))
        << t;
    x = problem.stage(t).A * x + problem.stage(t).B * u + problem.stage(t).c;
  }
}

TEST_P(LqrSizes, OneIterationOfIlqrSolvesIt) {
  const auto [nx, nu] = GetParam();
  const LqrProblem problem = RandomProblem(nx, nu, 9, 2);
  Random random(Key{6, 1});
  const VectorXd x0 = RandomMatrix(random, nx, 1);
  const LinearQuadraticProblem trajectory(problem);
  // From a feasible guess, and from states that have nothing to do with the dynamics.
  for (const bool infeasible : {false, true}) {
    const MatrixXd actions = RandomMatrix(random, 9 * nu, 1);
    const MatrixXd states = RandomMatrix(random, 10 * nx, 1);
    IlqrSolver solver(trajectory, {});
    const IlqrResult result = solver.Solve(
        {x0.data(), static_cast<size_t>(nx)}, {actions.data(), static_cast<size_t>(9 * nu)},
        infeasible ? std::span(states.data(), static_cast<size_t>(10 * nx))
                   : std::span<const double>());
    EXPECT_EQ(result.status, IlqrStatus::kConverged);
    EXPECT_EQ(result.iterations, 1);
    EXPECT_EQ(result.gap, 0);
    const std::vector<VectorXd> expected = DenseKkt(problem, x0);
    for (int i = 0; i < 9 * nu; ++i) {
      ASSERT_NEAR(solver.actions()[static_cast<size_t>(i)],
                  expected[static_cast<size_t>(i / nu)][i % nu], 1e-8)
          << i;
    }
  }
}

TEST(Lqr, TheValueIsTheCostOfTheOptimalActions) {
  const LqrProblem problem = RandomProblem(3, 2, 6, 11);
  const LqrSolution solution = SolveLqr(problem);
  const LinearQuadraticProblem lq(problem);
  const auto workspace = lq.MakeWorkspace();
  VectorXd x = VectorXd::LinSpaced(3, -1, 2);
  double spent = 0;
  const double whole = 0.5 * x.dot(solution.V[0] * x) + solution.v[0].dot(x) + solution.constant[0];
  for (int t = 0; t < problem.horizon; ++t) {
    const VectorXd u = solution.policy.Mean(t, x);
    VectorXd next(3);
    spent += lq.Step(t, x.data(), u.data(), next.data(), *workspace);
    x = next;
    const auto after = static_cast<size_t>(t) + 1;
    const double left =
        0.5 * x.dot(solution.V[after] * x) + solution.v[after].dot(x) + solution.constant[after];
    EXPECT_NEAR(spent + left, whole, 1e-9 * (1 + std::abs(whole))) << t;
  }
}

TEST(LinearQuadraticProblem, CostsStepsAndDerivativesAreThoseOfTheMatrices) {
  const LqrProblem problem = RandomProblem(5, 3, 4, 6);
  const LinearQuadraticProblem trajectory(problem);
  const auto workspace = trajectory.MakeWorkspace();
  Random random(Key{6, 2});
  for (int t = 0; t < 4; ++t) {
    const LqrStage& s = problem.stage(t);
    const VectorXd x = RandomMatrix(random, 5, 1);
    const VectorXd u = RandomMatrix(random, 3, 1);
    VectorXd next(5);
    const double cost = trajectory.Step(t, x.data(), u.data(), next.data(), *workspace);
    EXPECT_NEAR(
        cost,
        0.5 * x.dot(s.Q * x) + u.dot(s.S * x) + 0.5 * u.dot(s.R * u) + s.q.dot(x) + s.r.dot(u),
        1e-12);
    EXPECT_LT((next - (s.A * x + s.B * u + s.c)).norm(), 1e-12);
    EXPECT_NEAR(trajectory.TerminalCost(x.data(), *workspace),
                0.5 * x.dot(problem.terminal_Q * x) + problem.terminal_q.dot(x), 1e-12);
    const DerivativeErrors errors = CheckDerivatives(trajectory, t, {x.data(), 5}, {u.data(), 3});
    // Central differences with 1e-6: rounding of 1e-10 times numbers of about 10.
    EXPECT_LT(errors.jacobian, 1e-8);
    EXPECT_LT(errors.gradient, 1e-8);
    EXPECT_LT(errors.terminal_gradient, 1e-8);
  }
}

TEST(Lqr, LongHorizonReachesTheStationarySolution) {
  LqrProblem problem = RandomProblem(5, 2, 400, 3);
  LqrStage stage = problem.stages[0];
  stage.c.resize(0);
  stage.q.resize(0);
  stage.r.resize(0);
  problem.stages = {stage};
  problem.terminal_q.resize(0);
  const StationaryLqr stationary = SolveStationaryLqr(stage);
  ASSERT_EQ(stationary.status, LqrStatus::kOk);
  EXPECT_LT(stationary.iterations, 30);
  // A fixed point of Riccati's recursion ...
  const MatrixXd& V = stationary.V;
  const MatrixXd Qux = stage.B.transpose() * V * stage.A + stage.S;
  const MatrixXd Quu = stage.R + stage.B.transpose() * V * stage.B;
  const MatrixXd next =
      stage.Q + stage.A.transpose() * V * stage.A - Qux.transpose() * Quu.inverse() * Qux;
  EXPECT_LT((next - V).norm(), 1e-10 * V.norm());
  // ... and the limit of finite horizons.
  const LqrSolution finite = SolveLqr(problem);
  EXPECT_LT((finite.V[0] - V).norm(), 1e-9 * V.norm());
  EXPECT_LT((finite.policy.step(0).feedback - stationary.K).norm(), 1e-9 * stationary.K.norm());
}

TEST(Lqr, StationarySolutionNamesAnUnstabilisableSystem) {
  LqrStage stage;
  stage.A = 1.5 * MatrixXd::Identity(2, 2);
  stage.B = MatrixXd::Identity(2, 1);  // the second mode cannot be reached
  stage.Q = MatrixXd::Identity(2, 2);
  stage.R = MatrixXd::Identity(1, 1);
  EXPECT_EQ(SolveStationaryLqr(stage).status, LqrStatus::kNotConverged);
}

TEST(MaximumEntropyLqr, CovarianceScalesWithTheInverseOfTheCost) {
  LqrProblem problem = RandomProblem(4, 2, 6, 4);
  const LqrSolution once = SolveLqr(problem, 1.0);
  for (LqrStage& s : problem.stages) {
    for (MatrixXd* matrix : {&s.Q, &s.R, &s.S}) *matrix *= 10;
    s.q *= 10;
    s.r *= 10;
  }
  problem.terminal_Q *= 10;
  problem.terminal_q *= 10;
  const LqrSolution tenfold = SolveLqr(problem, 1.0);
  for (int t = 0; t < 6; ++t) {
    EXPECT_LT((once.policy.step(t).covariance / 10 - tenfold.policy.step(t).covariance).norm(),
              1e-12 * once.policy.step(t).covariance.norm());
    EXPECT_LT((once.policy.step(t).feedback - tenfold.policy.step(t).feedback).norm(), 1e-10);
  }
}

TEST(MaximumEntropyLqr, AgreesWithMonteCarlo) {
  const LqrProblem problem = RandomProblem(3, 2, 5, 7);
  const double alpha = 0.3;
  const LqrSolution solution = SolveLqr(problem, alpha);
  const VectorXd mean = VectorXd::Ones(3);
  const MatrixXd covariance = 0.2 * MatrixXd::Identity(3, 3);
  const MatrixXd noise = 0.05 * MatrixXd::Identity(3, 3);
  const TrajectoryDistribution expected =
      PropagateDistribution(problem, solution.policy, mean, covariance, noise);

  const int samples = 100000;
  VectorXd state_sum = VectorXd::Zero(3);
  MatrixXd state_squares = MatrixXd::Zero(3, 3);
  VectorXd action_sum = VectorXd::Zero(2);
  MatrixXd action_squares = MatrixXd::Zero(2, 2);
  double entropy = 0;
  for (int i = 0; i < samples; ++i) {
    Random random(Key{8, static_cast<uint64_t>(i)});
    VectorXd x = mean + std::sqrt(0.2) * RandomMatrix(random, 3, 1);
    for (int t = 0; t < 5; ++t) {
      const VectorXd u = solution.policy.Sample(t, x, random);
      if (t == 4) {
        action_sum += u;
        action_squares += u * u.transpose();
        entropy -= solution.policy.LogProbability(t, x, u);
      }
      x = problem.stage(t).A * x + problem.stage(t).B * u + problem.stage(t).c +
          std::sqrt(0.05) * RandomMatrix(random, 3, 1);
    }
    state_sum += x;
    state_squares += x * x.transpose();
  }
  const VectorXd state_mean = state_sum / samples;
  const VectorXd action_mean = action_sum / samples;
  // Relative errors of Monte Carlo moments are about sqrt(2 / 100,000) = 0.5 %; four deviations.
  EXPECT_LT((state_mean - expected.state_mean[5]).norm(),
            0.02 * (1 + expected.state_mean[5].norm()));
  EXPECT_LT(
      (state_squares / samples - state_mean * state_mean.transpose() - expected.state_covariance[5])
          .norm(),
      0.02 * expected.state_covariance[5].norm());
  EXPECT_LT((action_squares / samples - action_mean * action_mean.transpose() -
             expected.action_covariance[4])
                .norm(),
            0.02 * expected.action_covariance[4].norm());
  EXPECT_NEAR(entropy / samples, solution.policy.Entropy(4), 0.02);
}

// E[cost] - alpha H of the policy, by the propagated moments.
double FreeEnergy(const LqrProblem& problem, const LinearGaussianPolicy& policy, double alpha) {
  const Eigen::Index nx = problem.terminal_Q.rows();
  const TrajectoryDistribution d =
      PropagateDistribution(problem, policy, VectorXd::Ones(nx), 0.1 * MatrixXd::Identity(nx, nx),
                            MatrixXd::Zero(nx, nx));
  double sum = 0;
  for (int t = 0; t <= problem.horizon; ++t) {
    const auto at = static_cast<size_t>(t);
    const VectorXd& x = d.state_mean[at];
    const MatrixXd& X = d.state_covariance[at];
    if (t == problem.horizon) {
      return sum + 0.5 * x.dot(problem.terminal_Q * x) + problem.terminal_q.dot(x) +
             0.5 * (problem.terminal_Q * X).trace();
    }
    const LqrStage& s = problem.stage(t);
    const VectorXd& u = d.action_mean[at];
    const MatrixXd cross = X * policy.step(t).feedback.transpose();  // Cov(x, u)
    sum += 0.5 * x.dot(s.Q * x) + u.dot(s.S * x) + 0.5 * u.dot(s.R * u) + s.q.dot(x) + s.r.dot(u) +
           0.5 * (s.Q * X).trace() + 0.5 * (s.R * d.action_covariance[at]).trace() +
           (s.S * cross).trace() - alpha * policy.Entropy(t);
  }
  return sum;
}

TEST(MaximumEntropyLqr, MinimisesExpectedCostMinusEntropy) {
  const LqrProblem problem = RandomProblem(3, 2, 5, 9);
  const double alpha = 0.7;
  const LqrSolution solution = SolveLqr(problem, alpha);
  const double best = FreeEnergy(problem, solution.policy, alpha);
  Random random(Key{9, 0});
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<LinearGaussianStep> steps = solution.policy.steps();
    for (LinearGaussianStep& step : steps) {
      step.feedback += 0.02 * RandomMatrix(random, 2, 3);
      step.feedforward += 0.02 * RandomMatrix(random, 2, 1);
      step.covariance *= std::exp(0.2 * random.Normal());
    }
    EXPECT_GT(FreeEnergy(problem, LinearGaussianPolicy(steps), alpha), best);
  }
}

TEST(Lqr, NumbersThatOverflowAreAStatus) {
  // The first mode is out of the action's reach; its cost to go grows 10^4-fold with every step.
  LqrStage stage;
  stage.A = MatrixXd::Identity(2, 2);
  stage.A(0, 0) = 100;
  stage.B = MatrixXd::Zero(2, 1);
  stage.B(1, 0) = 1;
  stage.Q = MatrixXd::Identity(2, 2);
  stage.R = MatrixXd::Identity(1, 1);
  LqrProblem problem{.horizon = 77, .stages = {stage}, .terminal_Q = stage.Q, .terminal_q = {}};
  const LqrSolution finite = SolveLqr(problem);
  ASSERT_EQ(finite.status, LqrStatus::kOk);
  for (const MatrixXd& V : finite.V) EXPECT_TRUE(V.allFinite());
  problem.horizon = 78;  // only V_0 overflows
  EXPECT_EQ(SolveLqr(problem).status, LqrStatus::kNotFinite);
  EXPECT_EQ(SolveLqr(problem).failed_step, 0);
  problem.horizon = 200;
  EXPECT_EQ(SolveLqr(problem).status, LqrStatus::kNotFinite);
  EXPECT_GE(SolveLqr(problem).failed_step, 100);
}

TEST(Lqr, NamesWhatIsWrong) {
  const LqrProblem good = RandomProblem(3, 2, 4, 5);
  const auto message = [](const LqrProblem& problem, double alpha = 0) -> std::string {
    try {
      (void)SolveLqr(problem, alpha);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  LqrProblem problem = good;
  problem.horizon = 0;
  EXPECT_EQ(message(problem), "lqr: horizon: found 0, expected at least 1");
  problem = good;
  problem.stages.pop_back();
  EXPECT_EQ(message(problem), "lqr: stages: found 3, expected 1 or 4");
  problem = good;
  problem.stages[2].B = MatrixXd::Zero(3, 3);
  EXPECT_EQ(message(problem), "lqr: stage 2: B: found 3 x 3, expected 3 x 2");
  problem = good;
  problem.stages[1].Q(0, 1) += 1;
  EXPECT_NE(message(problem).find("stage 1: Q: found asymmetry"), std::string::npos);
  problem = good;
  problem.stages[1].c[0] = std::nan("");
  EXPECT_NE(message(problem).find("stage 1: c: found NaN"), std::string::npos);
  EXPECT_NE(message(good, -1).find("alpha: found -1"), std::string::npos);
  problem = good;
  problem.stages[3].R *= -100;
  const LqrSolution solution = SolveLqr(problem);
  EXPECT_EQ(solution.status, LqrStatus::kIndefinite);
  EXPECT_EQ(solution.failed_step, 3);
}

}  // namespace
}  // namespace foreplan
