#include "foreplan/trajopt/kl/dual_ascent.h"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kNone = -std::numeric_limits<double>::infinity();

/// min 1/2 x'H x - h'x subject to rows of G x - b (= or <=) 0.
struct QuadraticProgram {
  MatrixXd H, G;
  VectorXd h, b;

  /// x = H^-1 (h - G'lambda).
  bool operator()(std::span<const double> multipliers, std::span<double> constraints,
                  double& dual) const {
    const Eigen::Map<const VectorXd> lambda(multipliers.data(), b.size());
    const VectorXd x = H.llt().solve(h - G.transpose() * lambda);
    const VectorXd C = G * x - b;
    Eigen::Map<VectorXd>(constraints.data(), b.size()) = C;
    dual = 0.5 * x.dot(H * x) - h.dot(x) + lambda.dot(C);
    return true;
  }
};

struct KnownProgram {
  QuadraticProgram program;
  VectorXd multipliers;
  std::vector<DualConstraint> constraints;
};

/// Made backwards: multipliers first, then the program that has them. Every second inequality is
/// inactive: multiplier 0, slack 1.
KnownProgram MakeProgram(bool equalities, Random& random) {
  constexpr int kVariables = 5;
  constexpr int kConstraints = 3;
  const auto matrix = [&](int rows, int columns) {
    MatrixXd m(rows, columns);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) m(i, j) = random.Normal();
    }
    return m;
  };
  KnownProgram known;
  const MatrixXd M = matrix(kVariables, kVariables);
  known.program.H = M * M.transpose() / kVariables + MatrixXd::Identity(kVariables, kVariables);
  known.program.G = matrix(kConstraints, kVariables);
  const VectorXd x = matrix(kVariables, 1);
  known.multipliers = matrix(kConstraints, 1);
  known.program.b = known.program.G * x;
  for (int i = 0; i < kConstraints; ++i) {
    if (!equalities) {
      known.multipliers[i] = i % 2 == 1 ? 0 : std::abs(known.multipliers[i]) + 0.1;
      if (i % 2 == 1) known.program.b[i] += 1;
    }
    known.constraints.push_back({.tolerance = 1e-9, .floor = equalities ? kNone : 0.0});
  }
  known.program.h = known.program.H * x + known.program.G.transpose() * known.multipliers;
  return known;
}

class DualAscent : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(EqualityAndInequality, DualAscent, ::testing::Bool());

TEST_P(DualAscent, FindsKnownMultipliersFromAnyStart) {
  Random random(Key{1, GetParam() ? 1U : 0U});
  for (int trial = 0; trial < 20; ++trial) {
    const KnownProgram known = MakeProgram(GetParam(), random);
    // dC/dlambda = -G H^-1 G': a fixed step must be below 2 over its norm.
    const double curvature =
        (known.program.G * known.program.H.llt().solve(known.program.G.transpose())).norm();
    for (const DualStepRule rule : {DualStepRule::kFixed, DualStepRule::kBacktracking}) {
      std::vector<double> start(3);
      for (double& value : start) value = 10 * random.Normal();
      const DualAscentResult result =
          AscendDual(known.program, known.constraints, start,
                     {.rule = rule, .step = 1 / curvature, .max_minimisations = 200000});
      ASSERT_EQ(result.status, DualAscentStatus::kConverged);
      for (int i = 0; i < 3; ++i) {
        // The dual's least curvature, about 1e-2, turns 1e-9 into 1e-7.
        ASSERT_NEAR(result.multipliers[static_cast<size_t>(i)], known.multipliers[i], 1e-6)
            << trial << " " << i;
      }
    }
  }
}

/// min 1/2 x^2 subject to exp(-x) - 1/e <= 0: x = 1, lambda = e.
bool Exponential(std::span<const double> multipliers, std::span<double> constraints, double& dual) {
  double x = 1;  // x = lambda exp(-x), by Newton's method
  for (int i = 0; i < 50; ++i) {
    const double e = multipliers[0] * std::exp(-x);
    x -= (x - e) / (1 + e);
  }
  constraints[0] = std::exp(-x) - std::exp(-1.0);
  dual = 0.5 * x * x + multipliers[0] * constraints[0];
  return true;
}

TEST(DualAscentSecant, FindsTheMultiplierOfANonlinearConstraint) {
  const DualConstraint constraint{.tolerance = 1e-12, .floor = 0};
  Random random(Key{2, 0});
  for (int trial = 0; trial < 10; ++trial) {
    const double start = 10 * random.Uniform();
    const DualAscentResult result =
        AscendDual(Exponential, {&constraint, 1}, {&start, 1},
                   {.rule = DualStepRule::kSecant, .step = 1, .max_minimisations = 30});
    ASSERT_EQ(result.status, DualAscentStatus::kConverged) << start;
    EXPECT_NEAR(result.multipliers[0], std::exp(1.0), 1e-9);
  }
}

TEST(DualAscentSecant, TakesOneMultiplier) {
  const std::vector<DualConstraint> constraints(2, {.tolerance = 1, .floor = 0});
  const std::vector<double> start(2);
  EXPECT_THROW((void)AscendDual(Exponential, constraints, start, {.rule = DualStepRule::kSecant}),
               InputError);
  EXPECT_THROW((void)AscendDual(Exponential, constraints, {start.data(), 1}, {}), InputError);
}

TEST(DualAscentFailures, AreReported) {
  const DualConstraint constraint{.tolerance = 1e-9, .floor = 0};
  const double start = 1;
  // A step that is too long never settles.
  QuadraticProgram program{.H = MatrixXd::Identity(1, 1),
                           .G = MatrixXd::Identity(1, 1),
                           .h = VectorXd::Ones(1),
                           .b = VectorXd::Zero(1)};
  const double elsewhere = 3;
  EXPECT_EQ(AscendDual(program, {&constraint, 1}, {&elsewhere, 1},
                       {.rule = DualStepRule::kFixed, .step = 2, .max_minimisations = 100})
                .status,
            DualAscentStatus::kMinimisations);
  const auto unbounded = [](auto, auto, double&) { return false; };
  EXPECT_EQ(AscendDual(unbounded, {&constraint, 1}, {&start, 1}, {}).status,
            DualAscentStatus::kUnbounded);
  // A constraint that is no number is none that holds: its multiplier does not go to its floor.
  for (const DualStepRule rule :
       {DualStepRule::kFixed, DualStepRule::kBacktracking, DualStepRule::kSecant}) {
    const auto undefined = [](auto, std::span<double> constraints, double& dual) {
      constraints[0] = std::numeric_limits<double>::quiet_NaN();
      dual = 0;
      return true;
    };
    EXPECT_EQ(AscendDual(undefined, {&constraint, 1}, {&start, 1}, {.rule = rule}).status,
              DualAscentStatus::kUnbounded);
  }
  // A minimum at the start and nowhere else.
  const auto lonely = [&](std::span<const double> multipliers, std::span<double> constraints,
                          double& dual) {
    constraints[0] = 1;
    dual = 0;
    return multipliers[0] == start;
  };
  EXPECT_EQ(AscendDual(lonely, {&constraint, 1}, {&start, 1}, {}).status,
            DualAscentStatus::kStalled);
}

}  // namespace
}  // namespace foreplan
