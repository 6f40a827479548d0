// Gains around the solution.
#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <numbers>
#include <string>
#include <thread>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/trajopt/formula_problem.h"
#include "foreplan/trajopt/ilqr.h"
#include "foreplan/trajopt/lqr.h"
#include "foreplan/trajopt/testing/pendulum_swing_up.h"
#include "foreplan/trajopt/testing/reference_problems.h"
#include "foreplan/trajopt/testing/watched_problem.h"

namespace foreplan {
namespace {

using testing::PendulumSwingUp;

bool SameBits(std::span<const double> a, std::span<const double> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

/// K_t along a trajectory by the Riccati recursion with dense matrices, without regularisation.
std::vector<Eigen::MatrixXd> RiccatiGains(const TrajectoryProblem& problem,
                                          std::span<const double> xs, std::span<const double> us) {
  const KnotLayout layout{problem.tangent_dim(), problem.action_dim()};
  const int N = problem.horizon();
  AlignedVector<double> memory(layout.knot_size() * (static_cast<size_t>(N) + 1));
  double* at = memory.data();
  std::vector<Knot> knots;
  for (int t = 0; t <= N; ++t) {
    knots.push_back(Knot::Take(layout, at));
    problem.Bind(t, knots.back());
  }
  const auto workspace = problem.MakeWorkspace();
  problem.Expand(0, N, xs.data(), us.data(), knots.data(), *workspace);
  problem.ExpandTerminal(xs.data() + N * layout.nx, knots.back(), *workspace);
  const auto dense = [](int rows, int columns, const auto& entry) {
    return Eigen::MatrixXd(Eigen::MatrixXd::NullaryExpr(rows, columns, entry));
  };
  const int nx = layout.nx;
  const int nu = layout.nu;
  const KnotView<> end(knots.back(), layout);
  Eigen::MatrixXd V = dense(nx, nx, [&](auto i, auto j) { return end.lxx(int(i), int(j)); });
  std::vector<Eigen::MatrixXd> gains(static_cast<size_t>(N));
  for (int t = N - 1; t >= 0; --t) {
    const KnotView<> knot(knots[static_cast<size_t>(t)], layout);
    const auto A = dense(nx, nx, [&](auto i, auto j) { return knot.A(int(i), int(j)); });
    const auto B = dense(nx, nu, [&](auto i, auto j) { return knot.B(int(i), int(j)); });
    const auto lxx = dense(nx, nx, [&](auto i, auto j) { return knot.lxx(int(i), int(j)); });
    const auto lux = dense(nu, nx, [&](auto i, auto j) { return knot.lux(int(i), int(j)); });
    const auto luu = dense(nu, nu, [&](auto i, auto j) { return knot.luu(int(i), int(j)); });
    const Eigen::MatrixXd Quu = luu + B.transpose() * V * B;
    const Eigen::MatrixXd Qux = lux + B.transpose() * V * A;
    const Eigen::MatrixXd K = -Quu.llt().solve(Qux);
    V = lxx + A.transpose() * V * A + Qux.transpose() * K;
    gains[static_cast<size_t>(t)] = K;
  }
  return gains;
}

TEST(IlqrSolver, GainsBelongToTheTrajectoryHoweverItEnds) {
  PendulumSwingUp formula;
  formula.low.clear();  // bounds would take rows out of the gains
  formula.high.clear();
  const FormulaProblem<PendulumSwingUp> problem(formula);
  const std::vector<double> start = {std::numbers::pi, 0};
  const std::vector<double> guess(100, 0.1);
  const auto after_three = [](int iteration) { return iteration == 3; };
  for (const IlqrStatus end : {IlqrStatus::kIterationLimit, IlqrStatus::kStopped,
                               IlqrStatus::kDeadline, IlqrStatus::kStationaryStart}) {
    SCOPED_TRACE(Name(end));
    IlqrOptions options{.initial_mu = 1};
    // So little is asked that the guess will do, as its pass, a regularised one, says.
    if (end == IlqrStatus::kStationaryStart) options.cost_tolerance = 1e-2;
    IlqrSolver solver(problem, options);
    if (end == IlqrStatus::kIterationLimit) solver.set_max_iterations(3);
    solver.set_callback([&](int iteration, const IlqrIteration&) {
      if (end == IlqrStatus::kStopped) return !after_three(iteration);
      if (end == IlqrStatus::kDeadline && after_three(iteration)) {
        solver.set_cutoff(Deadline(std::chrono::steady_clock::now()));
      }
      return true;
    });
    const IlqrResult result = solver.Solve(start, guess);
    ASSERT_EQ(result.status, end) << Name(result.status);
    EXPECT_EQ(result.iterations, end == IlqrStatus::kStationaryStart ? 0 : 3);
    const std::vector<double> xs(solver.states().begin(), solver.states().end());
    const std::vector<double> us(solver.actions().begin(), solver.actions().end());
    const std::vector<Eigen::MatrixXd> expected = RiccatiGains(problem, xs, us);
    const LinearGaussianPolicy policy = solver.TrackingPolicy();
    for (int t = 0; t < 100; ++t) {
      const Eigen::MatrixXd& K = expected[static_cast<size_t>(t)];
      const LinearGaussianStep& step = policy.step(t);
      // Rounding, 1e-16, times the condition of the recursion along a swing-up.
      EXPECT_LT((step.feedback - K).norm(), 1e-9 * (1 + K.norm())) << t;
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(solver.feedback(t)[i], step.feedback(0, i));
        EXPECT_EQ(step.state(i), xs[static_cast<size_t>(2 * t + i)]);
      }
      EXPECT_EQ(step.action(0), us[static_cast<size_t>(t)]);
      EXPECT_EQ(step.feedforward(0), 0);
    }
    // They say nothing about the solution, and asking for them changes nothing.
    EXPECT_TRUE(SameBits(solver.states(), xs));
    EXPECT_TRUE(SameBits(solver.actions(), us));
  }
}

TEST(IlqrSolver, NoiseAroundTheSolutionIsThatOfMaximumEntropyLqr) {
  LqrStage stage{.A = Eigen::Matrix2d{{1, 0.1}, {0, 1}},
                 .B = Eigen::Vector2d(0, 0.1),
                 .c = {},
                 .Q = Eigen::Matrix2d::Identity(),
                 .R = Eigen::MatrixXd::Constant(1, 1, 0.5),
                 .S = {},
                 .q = {},
                 .r = {}};
  const LqrProblem lqr{.horizon = 20,
                       .stages = {stage},
                       .terminal_Q = 3 * Eigen::Matrix2d::Identity(),
                       .terminal_q = {}};
  const LinearQuadraticProblem problem(lqr);
  // Ended by the full step, and before anything was done, where gains are made when asked for.
  for (const IlqrOptions& options :
       {IlqrOptions{}, IlqrOptions{.max_iterations = 1, .initial_mu = 1}}) {
    IlqrSolver solver(problem, options);
    (void)solver.Solve(std::vector<double>{1, 0}, std::vector<double>(20, 0.3));
    const LinearGaussianPolicy expected = SolveLqr(lqr, 0.7).policy;
    const LinearGaussianPolicy policy = solver.TrackingPolicy(0.7);
    const LinearGaussianPolicy without = solver.TrackingPolicy();
    for (int t = 0; t < 20; ++t) {
      EXPECT_NEAR(policy.step(t).covariance(0, 0), expected.step(t).covariance(0, 0), 1e-12) << t;
      EXPECT_EQ(without.step(t).covariance(0, 0), 0) << t;
      EXPECT_LT((policy.step(t).feedback - expected.step(t).feedback).norm(), 1e-10) << t;
    }
  }
  IlqrSolver solver(problem, {});
  (void)solver.Solve(std::vector<double>{1, 0}, std::vector<double>(20));
  EXPECT_THROW((void)solver.TrackingPolicy(-1), InputError);
}

TEST(IlqrSolver, ThereAreNoGainsWithoutATrajectory) {
  const FormulaProblem<Faulty> problem({});
  IlqrSolver solver(problem, {});
  EXPECT_THROW((void)solver.feedback(0), RunError);  // nothing was solved
  (void)solver.Solve(std::vector<double>{1, 0}, std::vector<double>(5));
  EXPECT_NO_THROW((void)solver.feedback(0));
  (void)solver.Solve(std::vector<double>{std::nan(""), 0}, std::vector<double>(5));
  EXPECT_THROW((void)solver.feedback(0), RunError);
  EXPECT_THROW((void)solver.TrackingPolicy(), RunError);
  (void)solver.Solve(std::vector<double>{1, 0}, std::vector<double>(5));
  solver.set_cutoff(
      Deadline(std::chrono::steady_clock::now()));  // the guess is not followed to its end
  ASSERT_EQ(solver.Solve(std::vector<double>{2, 0}, std::vector<double>(5)).status,
            IlqrStatus::kDeadline);
  EXPECT_THROW((void)solver.TrackingPolicy(), RunError);
  const FormulaProblem<Faulty> concave({.action_weight = -1e12});
  IlqrSolver none(concave, {});
  ASSERT_EQ(none.Solve(std::vector<double>{1, 0}, std::vector<double>(5)).status,
            IlqrStatus::kIndefinite);
  EXPECT_THROW((void)none.feedback(0), RunError);
}

TEST(IlqrSolver, GainsAskedForWithinTheCallbackChangeNoBitOfTheSolution) {
  PendulumSwingUp formula;
  formula.horizon = 30;
  const FormulaProblem<PendulumSwingUp> problem(formula);
  std::vector<std::vector<double>> solutions;
  for (const bool asks : {false, true}) {
    IlqrSolver solver(problem, {.initial_mu = 1});
    solver.set_callback([&](int, const IlqrIteration&) {
      if (asks) (void)solver.feedback(0);
      return true;
    });
    const IlqrResult result =
        solver.Solve(std::vector<double>{std::numbers::pi, 0}, std::vector<double>(30, 0.1));
    EXPECT_GT(result.iterations, 2);
    solutions.emplace_back(solver.actions().begin(), solver.actions().end());
  }
  EXPECT_EQ(solutions[0], solutions[1]);
}

}  // namespace
}  // namespace foreplan
