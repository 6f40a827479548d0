// Whole problems: recorded costs and logs, and whether solutions do what they are for.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <string>
#include <tuple>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/systems/closed_form/quadrotor.h"
#include "foreplan/systems/closed_form/unicycle.h"
#include "foreplan/trajopt/formula_problem.h"
#include "foreplan/trajopt/ilqr.h"
#include "foreplan/trajopt/testing/pendulum_swing_up.h"
#include "foreplan/trajopt/testing/reference_problems.h"

namespace foreplan {
namespace {

using testing::PendulumSwingUp;

// What each reference case converges to: golden. Costs to the tolerance of the solver; iterations
// may differ a little where another compiler rounds in another way.
struct Golden {
  const char* problem;
  const char* variant;
  double cost;
  int iterations;
  int peer_iterations;  // of the reference solver where it reaches the same cost, else 0
};
constexpr Golden kGolden[] = {
    {"lqr_37x12", "free", 9.427232633588e+01, 1, 1},
    {"lqr_56x22", "8", 3.468878935419e+01, 1, 1},
    {"lqr_56x22", "64", 1.520487038935e+04, 1, 1},
    {"unicycle", "free", 8.090169943749e+01, 1, 2},
    {"cartpole", "free", 1.868024196e+01, 292, 315},
    {"cartpole", "ddp", 1.868024184e+01, 51, 315},
    {"cartpole", "bounded", 1.868024196e+01, 273, 320},
    {"cartpole", "infeasible", 6.301625e+01, 65, 0},  // another minimum; the reference solver fails
    {"acrobot", "free", 2.795931300e+00, 115, 0},
    {"acrobot", "damped", 2.601642020e+00, 130, 0},
    {"acrobot", "bounded", 2.855009410e+00, 46, 0},
    {"quadrotor", "free", 2.150214642e+00, 7, 8},
    {"quadrotor", "bounded", 2.181991481e+00, 10, 26},
    {"quadrotor", "infeasible", 2.150214642e+00, 8, 9},
};

TEST(ReferenceProblems, ConvergeToTheGoldenCosts) {
  for (const Golden& golden : kGolden) {
    SCOPED_TRACE(std::string(golden.problem) + " " + golden.variant);
    const ReferenceCase c = MakeReferenceCase(golden.problem, golden.variant);
    IlqrSolver solver(*c.trajectory, c.options);
    const IlqrResult result = solver.Solve(c.start, c.actions, c.states);
    EXPECT_EQ(result.status, IlqrStatus::kConverged) << Name(result.status);
    EXPECT_EQ(result.gap, 0);
    // Guesses that are 1e-6 off reach the same minima, the acrobot's too; code without vector and
    // fused instructions takes as many iterations.
    EXPECT_NEAR(result.cost, golden.cost, 1e-7 * golden.cost);
    EXPECT_NEAR(result.iterations, golden.iterations, 0.1 * golden.iterations + 1);
    const bool same_minimum = result.cost < golden.cost * (1 + 1e-6);
    if (golden.peer_iterations > 0 && same_minimum) {
      EXPECT_LE(result.iterations, 1.2 * golden.peer_iterations);
      EXPECT_LE(result.cost, c.known_cost * (1 + 1e-6));
    }
    // Every accepted step decreases the cost when there are no gaps.
    for (size_t i = 1; c.states.empty() && i < result.log.size(); ++i) {
      ASSERT_LT(result.log[i].cost, result.log[i - 1].cost) << i;
    }
    EXPECT_EQ(static_cast<int>(result.log.size()), result.iterations);
  }
}

// Costs after each iteration; the chaotic ones as far as rounding leaves them alone.
TEST(ReferenceProblems, ConvergeAlongTheGoldenLogs) {
  const std::vector<std::tuple<const char*, const char*, std::vector<double>>> logs = {
      {"quadrotor",
       "free",
       {2.2000694241, 2.1523988799, 2.1502953350, 2.1502185304, 2.1502148371, 2.1502146516,
        2.1502146419}},
      {"quadrotor",
       "bounded",
       {394.86844158, 38.199041616, 7.1067141710, 3.4947174461, 2.3649713499, 2.2258001614,
        2.1897587857, 2.1820059960, 2.1819914976, 2.1819914812}},
      {"quadrotor",
       "infeasible",
       {2505.3227929, 2.1962428684, 2.1522696120, 2.1502987012, 2.1502189324, 2.1502148674,
        2.1502146536, 2.1502146420}},
      {"cartpole",
       "ddp",
       {19989.894711, 19944.656626, 19759.754300, 19045.494813, 16441.934420, 9270.8131034,
        4866.7331407, 2000.2453253}},
  };
  for (const auto& [problem, variant, costs] : logs) {
    const ReferenceCase c = MakeReferenceCase(problem, variant);
    IlqrSolver solver(*c.trajectory, c.options);
    const IlqrResult result = solver.Solve(c.start, c.actions, c.states);
    ASSERT_GE(result.log.size(), costs.size()) << problem << " " << variant;
    for (size_t i = 0; i < costs.size(); ++i) {
      // Rounding, 1e-16, grows by up to 1e8 along the swing-up.
      EXPECT_NEAR(result.log[i].cost, costs[i], 1e-7 * costs[i]) << problem << " " << i;
    }
  }
}

TEST(ReferenceProblems, DerivativesEqualDifferences) {
  for (const auto& [problem, variant] : ReferenceCases()) {
    const ReferenceCase c = MakeReferenceCase(problem, variant);
    SCOPED_TRACE(problem);
    for (uint64_t i = 0; i < 3; ++i) {
      Random random(Key{2, i});
      std::vector<double> x(static_cast<size_t>(c.trajectory->state_dim()));
      std::vector<double> u(static_cast<size_t>(c.trajectory->action_dim()));
      for (double& entry : x) entry = 0.5 * random.Normal();
      for (double& entry : u) entry = random.Normal();
      const DerivativeErrors errors = CheckDerivatives(*c.trajectory, 1, x, u);
      // Central differences with 1e-6 in double: rounding 1e-10 of numbers up to 1e4.
      EXPECT_LT(errors.jacobian, 1e-7);
      EXPECT_LT(errors.gradient, 1e-7);
      EXPECT_LT(errors.terminal_gradient, 1e-6);
      EXPECT_LT(errors.dynamics_hessian, 1e-7);
    }
  }
}

TEST(SwingUp, PendulumWithATorqueTooSmallToLiftIt) {
  const FormulaProblem<PendulumSwingUp> problem({});
  IlqrSolver solver(problem, {.initial_mu = 1});
  const IlqrResult result =
      solver.Solve(std::vector<double>{std::numbers::pi, 0}, std::vector<double>(100, 0.1));
  EXPECT_EQ(result.status, IlqrStatus::kConverged) << Name(result.status);
  const auto states = solver.states();
  EXPECT_LT(1 - std::cos(states[200]), 0.005);  // within 0.1 rad of upright
  EXPECT_LT(std::abs(states[201]), 0.2);
  for (const double u : solver.actions()) EXPECT_LE(std::abs(u), 2.0);
}

TEST(SwingUp, CartPoleAndAcrobotEndUprightWithinTheirLimits) {
  for (const auto& [problem, upright, bound] :
       {std::tuple{"cartpole", 0.0, 10.0}, {"acrobot", std::numbers::pi, 15.0}}) {
    const ReferenceCase c = MakeReferenceCase(problem, "bounded");
    IlqrSolver solver(*c.trajectory, c.options);
    (void)solver.Solve(c.start, c.actions);
    const size_t end = solver.states().size() - 4;
    const size_t angle = end + (std::string(problem) == "cartpole" ? 1 : 0);
    EXPECT_NEAR(solver.states()[angle], upright, 0.05) << problem;
    for (const double u : solver.actions()) EXPECT_LE(std::abs(u), bound);
  }
}

// A whole turn about the roll axis in 1.6 s, from hovering to hovering.
struct QuadrotorFlip {
  static constexpr int kStateDim = 12;
  static constexpr int kActionDim = 4;
  static constexpr double kHover = 9.81 / 4;
  static constexpr double kTurn = 2 * std::numbers::pi;
  int horizon = 80;
  std::vector<double> low = std::vector<double>(4, 0.0), high = std::vector<double>(4, 6.0);
  QuadrotorOptions system;

  template <typename T>
  void Step(int /*t*/, const T* x, const T* u, T* next) const {
    QuadrotorFormula::Step(system, x, u, next);
  }
  template <typename T>
  T StageCost(int /*t*/, const T* x, const T* u) const {
    T sum = T(0.0);
    for (int i = 0; i < 4; ++i) sum += 0.01 * ((u[i] - kHover) * (u[i] - kHover));
    for (int i = 0; i < 3; ++i) sum += 0.05 * (x[i] * x[i]);
    return sum;
  }
  template <typename T>
  T TerminalCost(const T* x) const {
    T sum = T(0.0);
    for (int i = 0; i < 12; ++i) {
      const T error = i == 3 ? x[3] - kTurn : x[i];
      sum += (i < 6 ? 500.0 : 50.0) * (error * error);
    }
    return sum;
  }
};

TEST(Quadrotor, FlipsAndHoversAgainWithinItsThrusts) {
  const FormulaProblem<QuadrotorFlip> problem({});
  IlqrSolver solver(problem, {.initial_mu = 1});
  const IlqrResult result =
      solver.Solve(std::vector<double>(12, 0.0), std::vector<double>(320, QuadrotorFlip::kHover));
  EXPECT_EQ(result.status, IlqrStatus::kConverged) << Name(result.status);
  const auto end = solver.states().last(12);
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_NEAR(end[i], i == 3 ? QuadrotorFlip::kTurn : 0, i < 6 ? 0.05 : 0.2) << i;
  }
  for (const double u : solver.actions()) EXPECT_TRUE(u >= 0 && u <= 6) << u;
}

struct UnicycleAroundObstacles {
  static constexpr int kStateDim = 3;
  static constexpr int kActionDim = 2;
  static constexpr double kRadius = 0.5;
  static constexpr double kObstacles[2][2] = {{1.0, 0.1}, {2.2, -0.2}};
  int horizon = 60;
  std::vector<double> low = {-1, -2}, high = {1, 2};
  UnicycleOptions system;

  template <typename T>
  void Step(int /*t*/, const T* x, const T* u, T* next) const {
    UnicycleFormula::Step(system, x, u, next);
  }
  template <typename T>
  T StageCost(int /*t*/, const T* x, const T* u) const {
    using std::exp;
    T sum = 0.01 * (u[0] * u[0] + u[1] * u[1]);
    for (const auto& obstacle : kObstacles) {
      const T dx = x[0] - obstacle[0];
      const T dy = x[1] - obstacle[1];
      sum += 4.0 * exp((dx * dx + dy * dy) * (-4.0 / (kRadius * kRadius)) + 3.0);
    }
    return sum;
  }
  template <typename T>
  T TerminalCost(const T* x) const {
    return 50.0 * ((x[0] - 3.0) * (x[0] - 3.0) + x[1] * x[1] + 0.1 * (x[2] * x[2]));
  }
};

TEST(Unicycle, DrivesAroundObstaclesWithinItsLimits) {
  const FormulaProblem<UnicycleAroundObstacles> problem({});
  IlqrSolver solver(problem, {.initial_mu = 1});
  std::vector<double> guess(120, 0.0);
  for (size_t t = 0; t < 60; ++t) guess[2 * t] = 0.3;
  const IlqrResult result = solver.Solve(std::vector<double>{0, 0, 0.3}, guess);
  EXPECT_EQ(result.status, IlqrStatus::kConverged) << Name(result.status);
  const auto xs = solver.states();
  for (size_t t = 0; t <= 60; ++t) {
    for (const auto& o : UnicycleAroundObstacles::kObstacles) {
      EXPECT_GT(std::hypot(xs[3 * t] - o[0], xs[3 * t + 1] - o[1]), 0.45) << t;
    }
  }
  EXPECT_NEAR(xs[180], 3, 0.05);
  EXPECT_NEAR(xs[181], 0, 0.05);
  for (size_t i = 0; i < 120; ++i) EXPECT_LE(std::abs(solver.actions()[i]), i % 2 == 0 ? 1 : 2);
}

}  // namespace
}  // namespace foreplan
