#include "foreplan/trajopt/augmented_lagrangian.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/systems/closed_form/unicycle.h"
#include "foreplan/trajopt/formula_problem.h"
#include "foreplan/trajopt/testing/reference_formulas.h"

namespace foreplan {
namespace {

// A point on a line: x = (position, velocity), l = 1/2 u^2 / 10.
struct Point {
  static constexpr int kStateDim = 2;
  static constexpr int kActionDim = 1;
  static constexpr double kStep = 0.1;
  static constexpr double kAction = 0.1;
  int horizon = 20;
  std::vector<double> low, high;

  template <typename T>
  void Step(int /*t*/, const T* x, const T* u, T* next) const {
    next[0] = x[0] + kStep * x[1];
    next[1] = x[1] + kStep * u[0];
  }
  template <typename T>
  T StageCost(int /*t*/, const T* /*x*/, const T* u) const {
    return (0.5 * kAction) * (u[0] * u[0]);
  }
  template <typename T>
  T TerminalCost(const T* x) const {
    return 0.0 * x[0];
  }
};

// Ends at position 1 with velocity 0.
struct AtRest {
  static constexpr int kStateDim = 2;
  static constexpr int kActionDim = 1;
  static constexpr int kStageEqualities = 0;
  static constexpr int kStageConstraints = 1;
  static constexpr int kEndEqualities = 2;
  static constexpr int kEndConstraints = 2;
  int horizon = 20;
  double fastest = 1e6;
  double goal = 1;

  template <typename T>
  void Stage(int /*t*/, const T* x, const T* /*u*/, T* g) const {
    g[0] = x[1] - fastest;
  }
  template <typename T>
  void End(const T* x, T* g) const {
    g[0] = x[0] - goal;
    g[1] = x[1];
  }
};

// The end as a linear function of the actions, x_N = M u.
Eigen::MatrixXd EndByActions() {
  Eigen::MatrixXd M(2, 20);
  for (int t = 0; t < 20; ++t) {
    M(0, t) = Point::kStep * Point::kStep * (19 - t);
    M(1, t) = Point::kStep;
  }
  return M;
}

TEST(AugmentedLagrangian, MeetsGoalsWithTheMultipliersOfTheKktSystem) {
  // min 1/2 r u'u, M u = d: u = M'nu, nu = (M M')^-1 d, lambda = -r nu.
  const FormulaProblem<Point> problem({});
  const FormulaConstraints<AtRest> constraints({});
  AugmentedLagrangianSolver solver(problem, constraints, {.tolerance = 1e-9});
  const ConstrainedResult result =
      solver.Solve(std::vector<double>{0, 0}, std::vector<double>(20, 0.1));
  ASSERT_EQ(result.status, ConstrainedStatus::kConverged) << Name(result.status);
  EXPECT_LE(result.violation, 1e-9);
  const Eigen::MatrixXd M = EndByActions();
  const Eigen::Vector2d d(1, 0);
  const Eigen::Vector2d nu = (M * M.transpose()).ldlt().solve(d);
  const Eigen::VectorXd u = M.transpose() * nu;
  // The method of multipliers leaves errors of the order of its tolerance over the smallest
  // singular value of M, 0.07.
  for (int t = 0; t < 20; ++t) {
    EXPECT_NEAR(solver.solver().actions()[static_cast<size_t>(t)], u[t], 1e-6) << t;
  }
  EXPECT_NEAR(result.cost, 0.5 * Point::kAction * u.squaredNorm(), 1e-7);
  for (int i = 0; i < 2; ++i) {
    EXPECT_NEAR(solver.multipliers(20)[static_cast<size_t>(i)], -Point::kAction * nu[i], 1e-6);
  }
}

TEST(AugmentedLagrangian, HoldsALimitOfVelocityAndPaysForIt) {
  const FormulaProblem<Point> problem({});
  const FormulaConstraints<AtRest> free({});
  const FormulaConstraints<AtRest> limited({.fastest = 0.6});  // the free optimum reaches 0.75
  const std::vector<double> x0 = {0, 0};
  const std::vector<double> guess(20, 0.0);
  AugmentedLagrangianSolver unlimited(problem, free, {});
  AugmentedLagrangianSolver solver(problem, limited, {});
  const double cost = unlimited.Solve(x0, guess).cost;
  const ConstrainedResult result = solver.Solve(x0, guess);
  ASSERT_EQ(result.status, ConstrainedStatus::kConverged) << Name(result.status);
  EXPECT_GT(result.cost, 1.01 * cost);
  int active = 0;
  for (int t = 0; t < 20; ++t) {
    const double velocity = solver.solver().states()[static_cast<size_t>(2 * t + 1)];
    const double lambda = solver.multipliers(t)[0];
    EXPECT_LE(velocity, 0.6 + 1e-6);
    EXPECT_GE(lambda, 0);
    EXPECT_LE(std::min(lambda, 0.6 - velocity), 1e-5) << t;  // complementary
    active += lambda > 1e-4 ? 1 : 0;
  }
  EXPECT_GE(active, 3);
}

TEST(AugmentedLagrangian, SaysWhenConstraintsCannotBeMet) {
  // 2 m in 2 s under a speed limit of 0.5 m/s.
  const FormulaProblem<Point> problem({});
  const FormulaConstraints<AtRest> constraints({.fastest = 0.5, .goal = 2});
  AugmentedLagrangianSolver solver(problem, constraints, {});
  const ConstrainedResult result =
      solver.Solve(std::vector<double>{0, 0}, std::vector<double>(20, 0.0));
  EXPECT_EQ(result.status, ConstrainedStatus::kViolated) << Name(result.status);
  EXPECT_GT(result.violation, 0.01);
}

// Drives to (3, 0) around two discs, with hard walls.
struct Drive {
  static constexpr int kStateDim = 3;
  static constexpr int kActionDim = 2;
  int horizon = 60;
  std::vector<double> low = {-1, -2}, high = {1, 2};
  UnicycleOptions system;

  template <typename T>
  void Step(int /*t*/, const T* x, const T* u, T* next) const {
    UnicycleFormula::Step(system, x, u, next);
  }
  template <typename T>
  T StageCost(int /*t*/, const T* /*x*/, const T* u) const {
    return 0.01 * (u[0] * u[0] + u[1] * u[1]);
  }
  template <typename T>
  T TerminalCost(const T* x) const {
    return 0.0 * x[0];
  }
};

struct Discs {
  static constexpr int kStateDim = 3;
  static constexpr int kActionDim = 2;
  static constexpr int kStageEqualities = 0;
  static constexpr int kStageConstraints = 2;
  static constexpr int kEndEqualities = 3;
  static constexpr int kEndConstraints = 3;
  static constexpr double kRadius = 0.5;
  static constexpr double kCentres[2][2] = {{1.0, 0.1}, {2.2, -0.2}};
  int horizon = 60;

  template <typename T>
  void Stage(int /*t*/, const T* x, const T* /*u*/, T* g) const {
    for (size_t i = 0; i < 2; ++i) {
      const T dx = x[0] - kCentres[i][0];
      const T dy = x[1] - kCentres[i][1];
      g[i] = kRadius * kRadius - (dx * dx + dy * dy);
    }
  }
  template <typename T>
  void End(const T* x, T* g) const {
    g[0] = x[0] - 3.0;
    g[1] = x[1];
    g[2] = x[2];
  }
};

TEST(AugmentedLagrangian, DrivesAroundObstaclesToTheGoalExactly) {
  const FormulaProblem<Drive> problem({});
  const FormulaConstraints<Discs> constraints({});
  AugmentedLagrangianOptions options;
  options.solver.initial_mu = 1;
  std::vector<double> guess(120, 0.0);
  for (size_t t = 0; t < 60; ++t) guess[2 * t] = 0.3;
  AugmentedLagrangianSolver solver(problem, constraints, options);
  const ConstrainedResult result = solver.Solve(std::vector<double>{0, 0, 0.3}, guess);
  ASSERT_EQ(result.status, ConstrainedStatus::kConverged) << Name(result.status);
  const auto xs = solver.solver().states();
  double nearest = INFINITY;
  for (size_t t = 0; t < 60; ++t) {
    for (const auto& c : Discs::kCentres) {
      nearest = std::min(nearest, std::hypot(xs[3 * t] - c[0], xs[3 * t + 1] - c[1]));
    }
  }
  EXPECT_GE(nearest, Discs::kRadius - 1e-5);
  EXPECT_LE(nearest, Discs::kRadius + 1e-3);  // along the wall: a detour costs
  EXPECT_NEAR(xs[180], 3, 1e-5);
  EXPECT_NEAR(xs[181], 0, 1e-5);
  EXPECT_NEAR(xs[182], 0, 1e-5);
  for (size_t i = 0; i < 120; ++i) {
    EXPECT_LE(std::abs(solver.solver().actions()[i]), i % 2 == 0 ? 1 : 2);
  }
  ThreadPool executor(2);
  AugmentedLagrangianSolver threaded(problem, constraints, options, &executor);
  (void)threaded.Solve(std::vector<double>{0, 0, 0.3}, guess);
  EXPECT_TRUE(std::ranges::equal(threaded.solver().actions(), solver.solver().actions()));
}

// The cart-pole's swing-up on a short rail.
struct Rail {
  static constexpr int kStateDim = 4;
  static constexpr int kActionDim = 1;
  static constexpr int kStageEqualities = 0;
  static constexpr int kStageConstraints = 2;
  static constexpr int kEndEqualities = 4;
  static constexpr int kEndConstraints = 4;
  int horizon = 50;
  double half = 0.4;  // [m]

  template <typename T>
  void Stage(int /*t*/, const T* x, const T* /*u*/, T* g) const {
    g[0] = x[0] - half;
    g[1] = -half - x[0];
  }
  template <typename T>
  void End(const T* x, T* g) const {
    for (int i = 0; i < 4; ++i) g[i] = x[i];
  }
};

TEST(AugmentedLagrangian, SwingsTheCartPoleUpOnAShortRail) {
  const FormulaProblem<CartPoleSwingUp> problem({});
  const FormulaConstraints<Rail> constraints({});
  AugmentedLagrangianOptions options;
  options.solver.derivatives = Derivatives::kFull;
  options.solver.initial_mu = 1;
  AugmentedLagrangianSolver solver(problem, constraints, options);
  const ConstrainedResult result =
      solver.Solve(std::vector<double>{0, std::numbers::pi, 0, 0}, std::vector<double>(50, 1.0));
  ASSERT_EQ(result.status, ConstrainedStatus::kConverged) << Name(result.status);
  const auto xs = solver.solver().states();
  double farthest = 0;
  for (size_t t = 0; t < 50; ++t) farthest = std::max(farthest, std::abs(xs[4 * t]));
  EXPECT_LE(farthest, 0.4 + 1e-6);
  EXPECT_GE(farthest, 0.4 - 1e-3);
  for (size_t i = 200; i < 204; ++i) EXPECT_NEAR(xs[i], 0, 1e-6);
}

// No number above 0.2 m/s, and satisfied wherever it is one.
struct UndefinedWhenFast {
  static constexpr int kStateDim = 2;
  static constexpr int kActionDim = 1;
  static constexpr int kStageEqualities = 0;
  static constexpr int kStageConstraints = 1;
  static constexpr int kEndEqualities = 1;
  static constexpr int kEndConstraints = 1;
  static constexpr double kFastest = 0.2;
  int horizon = 20;

  template <typename T>
  void Stage(int /*t*/, const T* x, const T* /*u*/, T* g) const {
    using std::sqrt;
    g[0] = sqrt(kFastest - x[1]) - 10.0;
  }
  template <typename T>
  void End(const T* x, T* g) const {
    g[0] = x[0] - 1.0;
  }
};

TEST(AugmentedLagrangian, AConstraintThatIsNoNumberDoesNotCountAsSatisfied) {
  const FormulaProblem<Point> problem({});
  const FormulaConstraints<UndefinedWhenFast> constraints({});
  AugmentedLagrangianSolver solver(problem, constraints, {});
  // A guess along which the constraint is undefined: 0.3 m/s after three steps.
  const ConstrainedResult fast =
      solver.Solve(std::vector<double>{0, 0}, std::vector<double>(20, 1.0));
  EXPECT_EQ(fast.status, ConstrainedStatus::kFailed) << Name(fast.status);
  EXPECT_TRUE(std::isnan(fast.violation)) << fast.violation;
  // One along which it is defined: it stays so, though the goal, 1 m in 2 s, is out of reach.
  const ConstrainedResult slow =
      solver.Solve(std::vector<double>{0, 0}, std::vector<double>(20, 0.01));
  EXPECT_NE(slow.status, ConstrainedStatus::kConverged);
  EXPECT_GT(slow.violation, 0.5);  // at most 0.4 m
  for (size_t t = 0; t < 20; ++t) {
    EXPECT_LE(solver.solver().states()[2 * t + 1], UndefinedWhenFast::kFastest) << t;
  }
}

TEST(AugmentedLagrangian, RefusesWrongInput) {
  struct Wrong final : TrajectoryConstraints {
    [[nodiscard]] int count(int /*t*/) const override { return 1; }
    [[nodiscard]] int equalities(int t) const override { return t == 3 ? 2 : 0; }
    void Evaluate(int, const double*, const double*, double* g) const override { g[0] = 0; }
    void Expand(int, const double*, const double*, double*, double*) const override {}
  };
  const FormulaProblem<Point> problem({});
  const auto message = [&](const TrajectoryConstraints& constraints,
                           const AugmentedLagrangianOptions& options) -> std::string {
    try {
      AugmentedLagrangianSolver solver(problem, constraints, options);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message(Wrong{}, {}),
            "augmented lagrangian: knot 3: found 2 equalities among 1 constraints");
  const FormulaConstraints<AtRest> right({});
  EXPECT_NE(message(right, {.max_rounds = 0}).find("max_rounds"), std::string::npos);
  EXPECT_NE(message(right, {.max_penalty = 1}).find("max_penalty"), std::string::npos);
  // A start that is not a number is a status.
  AugmentedLagrangianSolver solver(problem, right, {});
  EXPECT_EQ(solver.Solve(std::vector<double>{NAN, 0}, std::vector<double>(20, 0.0)).status,
            ConstrainedStatus::kFailed);
}

}  // namespace
}  // namespace foreplan
