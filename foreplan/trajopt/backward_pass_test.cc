#include "foreplan/trajopt/backward_pass.h"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/core/random.h"
#include "foreplan/trajopt/formula_problem.h"

namespace foreplan {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// Dynamics whose every second derivative matters, and a cost with a cross term.
struct Curved {
  static constexpr int kStateDim = 3;
  static constexpr int kActionDim = 2;
  int horizon = 6;
  std::vector<double> low = {}, high = {};

  template <typename T>
  void Step(int /*t*/, const T* x, const T* u, T* next) const {
    using std::cos;
    using std::sin;
    next[0] = x[0] + 0.3 * (x[1] * cos(u[0]));
    next[1] = x[1] + 0.3 * (u[0] - sin(x[0])) + 0.2 * (u[1] * x[2]);
    next[2] = x[2] + 0.3 * (u[1] * x[1]) + 0.1 * (u[0] * u[0]);
  }
  template <typename T>
  T StageCost(int t, const T* x, const T* u) const {
    return 0.5 * (x[0] * x[0]) + 0.2 * (x[1] * x[1]) + 0.3 * (x[2] * x[2]) + 0.7 * (u[0] * u[0]) +
           0.4 * (u[1] * u[1]) + 0.2 * (u[0] * x[1]) + (0.1 * t) * u[1] + 0.3 * x[2];
  }
  template <typename T>
  T TerminalCost(const T* x) const {
    return 2.0 * (x[0] * x[0]) + x[1] * x[1] + 0.5 * (x[2] * x[2]) + 0.4 * x[1];
  }
};

constexpr int kNx = Curved::kStateDim;
constexpr int kNu = Curved::kActionDim;
constexpr int kNz = kNu + kNx;
constexpr int kN = 6;
constexpr KnotLayout kLayout{kNx, kNu};

/// One knot with dense matrices, z = (u, x).
struct DenseKnot {
  MatrixXd F;    // [nx x nz]
  MatrixXd lzz;  // [nz x nz]
  VectorXd lz;   // [nz]
};

struct Trajectory {
  explicit Trajectory(uint64_t stream) : xs((kN + 1) * kNx), us(kN * kNu) {
    Random random(Key{31, stream});
    for (double& entry : xs) entry = 0.4 * random.Normal();
    for (double& entry : us) entry = 0.4 * random.Normal();
  }
  std::vector<double> xs;  // [N + 1 x nx], not a rollout
  std::vector<double> us;  // [N x nu]
};

/// The expansion along a trajectory, as the pass reads it and dense.
class Expansion {
 public:
  Expansion(const TrajectoryProblem& problem, const Trajectory& trajectory)
      : memory_(kLayout.knot_size() * (kN + 1)) {
    const auto workspace = problem.MakeWorkspace();
    double* at = memory_.data();
    for (int t = 0; t <= kN; ++t) {
      knots.push_back(Knot::Take(kLayout, at));
      problem.Bind(t, knots.back());
    }
    problem.Expand(0, kN, trajectory.xs.data(), trajectory.us.data(), knots.data(), *workspace);
    problem.ExpandTerminal(trajectory.xs.data() + kN * kNx, knots.back(), *workspace);
  }

  [[nodiscard]] DenseKnot Dense(int t) const {
    const KnotView<> view(knots[static_cast<size_t>(t)], kLayout);
    DenseKnot dense{
        .F = MatrixXd::Zero(kNx, kNz), .lzz = MatrixXd::Zero(kNz, kNz), .lz = VectorXd::Zero(kNz)};
    for (int i = 0; i < kNx; ++i) {
      dense.lz(kNu + i) = view.lx(i);
      for (int j = 0; j < kNx; ++j) dense.lzz(kNu + i, kNu + j) = view.lxx(i, j);
      if (t == kN) continue;
      for (int j = 0; j < kNu; ++j) dense.F(i, j) = view.B(i, j);
      for (int j = 0; j < kNx; ++j) dense.F(i, kNu + j) = view.A(i, j);
    }
    for (int i = 0; t < kN && i < kNu; ++i) {
      dense.lz(i) = view.lu(i);
      for (int j = 0; j < kNu; ++j) dense.lzz(i, j) = view.luu(i, j);
      for (int j = 0; j < kNx; ++j) {
        dense.lzz(i, kNu + j) = dense.lzz(kNu + j, i) = view.lux(i, j);
      }
    }
    return dense;
  }

  std::vector<Knot> knots;

 private:
  AlignedVector<double> memory_;
};

/// sum_i p_i d^2 f_i / dz^2 by central differences of the Jacobian: [nz x nz].
MatrixXd DynamicsHessian(const TrajectoryProblem& problem, const Trajectory& trajectory, int t,
                         const VectorXd& p) {
  constexpr double kStep = 1e-5;
  MatrixXd hessian(kNz, kNz);
  for (int j = 0; j < kNz; ++j) {
    const auto column = [&](double step) -> VectorXd {
      Trajectory moved = trajectory;
      double& entry = j < kNu ? moved.us[static_cast<size_t>(t * kNu + j)]
                              : moved.xs[static_cast<size_t>(t * kNx + j - kNu)];
      entry += step;
      return Expansion(problem, moved).Dense(t).F.transpose() * p;
    };
    hessian.col(j) = (column(kStep) - column(-kStep)) / (2 * kStep);
  }
  return 0.5 * (hessian + hessian.transpose());
}

struct Case {
  std::string name;
  double mu = 0;
  Regularisation regularisation = Regularisation::kActions;
  bool gaps = false;
  bool second_order = false;
  double reach = 0;  // half width of the box around each action; 0: none
  // Rounding; differences of the Jacobian are right to 1e-10, the recursion's condition is 1e2.
  [[nodiscard]] double tolerance() const { return second_order ? 1e-7 : 1e-12; }
};

struct Box {
  std::vector<double> low, high;  // [N x nu]
};

/// Boxes around the actions, not in their middle, so that low and high ends are told apart.
Box MakeBox(const Trajectory& trajectory, double reach) {
  Box box;
  for (const double u : trajectory.us) {
    box.low.push_back(u - reach);
    box.high.push_back(u + 2 * reach);
  }
  return box;
}

/// k and K of one knot.
struct Gains {
  VectorXd k;
  MatrixXd K;
  int held = 0;
};

/// min 1/2 k'Hk + g'k within the box, by trying every set of bounds; K = -H_ff^-1 Qux_f.
Gains BoxedGains(const MatrixXd& H, const VectorXd& g, const MatrixXd& Qux, const VectorXd& low,
                 const VectorXd& high) {
  for (int sets = 0; sets < 9; ++sets) {
    const int state[kNu] = {sets % 3, sets / 3};  // 0: free, 1: at low, 2: at high
    Gains gains{.k = VectorXd::Zero(kNu), .K = MatrixXd::Zero(kNu, kNx)};
    std::vector<Eigen::Index> free;
    for (int i = 0; i < kNu; ++i) {
      if (state[i] == 0) {
        free.push_back(i);
        continue;
      }
      gains.k(i) = state[i] == 1 ? low(i) : high(i);
      ++gains.held;
    }
    const Eigen::LLT<MatrixXd> block(MatrixXd(H(free, free)));
    const VectorXd pull = (g + H * gains.k)(free);
    gains.k(free) = -block.solve(pull);
    gains.K(free, Eigen::all) = -block.solve(MatrixXd(Qux(free, Eigen::all)));
    const VectorXd gradient = H * gains.k + g;
    bool optimal = true;
    for (int i = 0; i < kNu; ++i) {
      optimal = optimal && gains.k(i) >= low(i) && gains.k(i) <= high(i) &&
                (state[i] != 1 || gradient(i) > 0) && (state[i] != 2 || gradient(i) < 0);
    }
    if (optimal) return gains;
  }
  ADD_FAILURE() << "no set of bounds is optimal";
  return {};
}

struct Reference {
  std::vector<Gains> gains;  // [N]
  std::vector<MatrixXd> V;   // [N + 1]
  std::vector<VectorXd> v;   // [N + 1]
  double linear = 0, quadratic = 0;
};

/// The recursion as backward_pass.h has it, written with dense matrices.
Reference Recursion(const TrajectoryProblem& problem, const Trajectory& trajectory,
                    const std::vector<VectorXd>& gaps, const Box& box, const Case& c) {
  const Expansion expansion(problem, trajectory);
  Reference reference;
  reference.gains.resize(kN);
  reference.V.resize(kN + 1);
  reference.v.resize(kN + 1);
  MatrixXd V = expansion.Dense(kN).lzz.bottomRightCorner(kNx, kNx);
  VectorXd v = expansion.Dense(kN).lz.tail(kNx);
  reference.V[kN] = V;
  reference.v[kN] = v;
  for (int t = kN - 1; t >= 0; --t) {
    const auto at = static_cast<size_t>(t);
    const DenseKnot knot = expansion.Dense(t);
    const VectorXd multiplier = v + V * gaps[at];
    MatrixXd Qzz = knot.lzz + knot.F.transpose() * V * knot.F;
    if (c.second_order) Qzz += DynamicsHessian(problem, trajectory, t, multiplier);
    const VectorXd Qz = knot.lz + knot.F.transpose() * multiplier;
    const MatrixXd Quu = Qzz.topLeftCorner(kNu, kNu);
    const MatrixXd Qux = Qzz.topRightCorner(kNu, kNx);
    const VectorXd Qu = Qz.head(kNu);
    MatrixXd H = Quu;
    MatrixXd G = Qux;
    if (c.regularisation == Regularisation::kActions) {
      H += c.mu * MatrixXd::Identity(kNu, kNu);
    } else {
      const MatrixXd B = knot.F.leftCols(kNu);
      H += c.mu * B.transpose() * B;
      G += c.mu * B.transpose() * knot.F.rightCols(kNx);
    }
    VectorXd low = VectorXd::Constant(kNu, -1e300);
    VectorXd high = VectorXd::Constant(kNu, 1e300);
    for (int i = 0; c.reach > 0 && i < kNu; ++i) {
      const size_t entry = at * kNu + static_cast<size_t>(i);
      low(i) = box.low[entry] - trajectory.us[entry];
      high(i) = box.high[entry] - trajectory.us[entry];
    }
    reference.gains[at] = BoxedGains(H, Qu, G, low, high);
    const auto& [k, K, held] = reference.gains[at];
    reference.linear += k.dot(Qu);
    reference.quadratic += k.dot(Quu * k);
    V = Qzz.bottomRightCorner(kNx, kNx) + K.transpose() * Quu * K + K.transpose() * Qux +
        Qux.transpose() * K;
    v = Qz.tail(kNx) + K.transpose() * (Quu * k + Qu) + Qux.transpose() * k;
    reference.V[at] = V;
    reference.v[at] = v;
  }
  return reference;
}

class BackwardPassCases : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    Cases, BackwardPassCases,
    ::testing::Values(
        Case{.name = "plain"}, Case{.name = "on_actions", .mu = 0.7},
        Case{.name = "on_states", .mu = 0.7, .regularisation = Regularisation::kStates},
        Case{.name = "gaps", .gaps = true},
        Case{.name = "second_order", .mu = 3, .second_order = true},
        Case{.name = "second_order_with_gaps", .mu = 3, .gaps = true, .second_order = true},
        Case{.name = "box", .reach = 0.05}, Case{.name = "wide_box", .reach = 0.4},
        Case{.name = "box_on_actions", .mu = 0.7, .reach = 0.05},
        Case{.name = "box_on_states",
             .mu = 0.7,
             .regularisation = Regularisation::kStates,
             .reach = 0.2}),
    [](const auto& parameters) { return parameters.param.name; });

TEST_P(BackwardPassCases, EqualTheRecursionWrittenWithDenseMatrices) {
  const Case c = GetParam();
  const FormulaProblem<Curved> problem({});
  for (uint64_t stream = 0; stream < 5; ++stream) {
    const Trajectory trajectory(stream);
    const Expansion expansion(problem, trajectory);
    const Box box = MakeBox(trajectory, c.reach);
    std::vector<VectorXd> gaps(kN, VectorXd::Zero(kNx));
    AlignedVector<double> padded_gaps(static_cast<size_t>(kN * kLayout.ldx()));
    Random random(Key{32, stream});
    for (int t = 0; c.gaps && t < kN; ++t) {
      for (int i = 0; i < kNx; ++i) {
        const double gap = random.Normal();
        gaps[static_cast<size_t>(t)](i) = gap;
        padded_gaps.data()[t * kLayout.ldx() + i] = gap;
      }
    }
    BackwardPass pass(kLayout, kN, /*bounded=*/c.reach > 0, /*keep_values=*/true);
    const BackwardStatus status = pass.Run({.knots = expansion.knots.data(),
                                            .gaps = c.gaps ? padded_gaps.data() : nullptr,
                                            .mu = c.mu,
                                            .regularisation = c.regularisation,
                                            .low = c.reach > 0 ? box.low.data() : nullptr,
                                            .high = c.reach > 0 ? box.high.data() : nullptr,
                                            .us = trajectory.us.data(),
                                            .second_order = c.second_order ? &problem : nullptr,
                                            .xs = trajectory.xs.data()});
    ASSERT_EQ(status, BackwardStatus::kOk);
    const Reference expected = Recursion(problem, trajectory, gaps, box, c);
    const double tolerance = c.tolerance();
    for (int t = 0; t <= kN; ++t) {
      SCOPED_TRACE("knot " + std::to_string(t));
      const auto at = static_cast<size_t>(t);
      for (int i = 0; i < kNx; ++i) {
        EXPECT_NEAR(pass.value_gradient(t)[i], expected.v[at](i), tolerance * 10);
        for (int j = 0; j < kNx; ++j) {
          EXPECT_NEAR(pass.value_hessian(t)[i * kLayout.ldx() + j], expected.V[at](i, j),
                      tolerance * 10);
        }
      }
      if (t == kN) break;
      for (int i = 0; i < kNu; ++i) {
        EXPECT_NEAR(pass.feedforward(t)[i], expected.gains[at].k(i), tolerance);
        for (int j = 0; j < kNx; ++j) {
          EXPECT_NEAR(pass.feedback(t)[i * kLayout.ldx() + j], expected.gains[at].K(i, j),
                      tolerance * 10);
        }
      }
    }
    EXPECT_NEAR(pass.linear_change(), expected.linear, tolerance * 10);
    EXPECT_NEAR(pass.quadratic_change(), expected.quadratic, tolerance * 10);
  }
}

TEST(BackwardPass, TheBoxHoldsAtEveryKnot) {
  const FormulaProblem<Curved> problem({});
  const Trajectory trajectory(1);
  const Expansion expansion(problem, trajectory);
  const Box box = MakeBox(trajectory, 1e-3);  // so narrow that bounds hold at every knot
  BackwardPass pass(kLayout, kN, /*bounded=*/true, /*keep_values=*/false);
  ASSERT_EQ(pass.Run({.knots = expansion.knots.data(),
                      .low = box.low.data(),
                      .high = box.high.data(),
                      .us = trajectory.us.data()}),
            BackwardStatus::kOk);
  for (int t = 0; t < kN; ++t) {
    int held = 0;
    for (int i = 0; i < kNu; ++i) {
      const auto entry = static_cast<size_t>(t * kNu + i);
      const double u = trajectory.us[entry] + pass.feedforward(t)[i];
      EXPECT_GE(u, box.low[entry] - 1e-15) << t;
      EXPECT_LE(u, box.high[entry] + 1e-15) << t;
      if (u > box.low[entry] + 1e-12 && u < box.high[entry] - 1e-12) continue;
      ++held;
      for (int j = 0; j < kNx; ++j) {
        EXPECT_EQ(pass.feedback(t)[i * kLayout.ldx() + j], 0) << t << ": a held action responds";
      }
    }
    EXPECT_GE(held, 1) << t;
  }
}

TEST(BackwardPass, TheGradientIsTheLargestWhereNoBoundHolds) {
  const FormulaProblem<Curved> problem({});
  const Trajectory trajectory(2);
  const Expansion expansion(problem, trajectory);
  // Qu of the last knot is known: l_u + B'l_N'.
  const DenseKnot last = expansion.Dense(kN - 1);
  const VectorXd Qu = (last.lz + last.F.transpose() * expansion.Dense(kN).lz.tail(kNx)).head(kNu);
  // Every action but one stands at a bound that its gradient pushes it against.
  BackwardPass pass(kLayout, kN, /*bounded=*/true, /*keep_values=*/false);
  const auto gradient = [&](const Box& box) {
    EXPECT_EQ(pass.Run({.knots = expansion.knots.data(),
                        .low = box.low.data(),
                        .high = box.high.data(),
                        .us = trajectory.us.data()}),
              BackwardStatus::kOk);
    return pass.largest_gradient();
  };
  Box box{.low = trajectory.us, .high = trajectory.us};  // nothing can move
  EXPECT_EQ(gradient(box), 0);
  box.low.back() -= 10;
  box.high.back() += 10;
  EXPECT_NEAR(gradient(box), std::abs(Qu(kNu - 1)), 1e-12);
}

TEST(BackwardPass, DerivativesThatAreNotFiniteAreNamedWhereverTheyStand) {
  const FormulaProblem<Curved> problem({});
  const Trajectory trajectory(3);
  const Box box = MakeBox(trajectory, 1);
  // Every entry that the pass reads, at the first, a middle and the last knot.
  for (const double wrong :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    for (const int t : {0, 3, kN - 1, kN}) {
      for (int entry = 0; entry < 5; ++entry) {
        Expansion expansion(problem, trajectory);
        const KnotView<> view(expansion.knots[static_cast<size_t>(t)], kLayout);
        if (t == kN && entry != 1 && entry != 4) continue;
        double* const places[] = {&view.A(0, 1), &view.lxx(0, 0), &view.lux(0, 0), &view.lu(0),
                                  &view.lx(0)};
        *places[entry] = wrong;
        for (const bool bounded : {false, true}) {
          BackwardPass pass(kLayout, kN, bounded, /*keep_values=*/false);
          BackwardInput input{.knots = expansion.knots.data()};
          if (bounded) {
            input.us = trajectory.us.data();
            input.low = box.low.data();
            input.high = box.high.data();
          }
          EXPECT_EQ(pass.Run(input), BackwardStatus::kNotFinite)
              << "knot " << t << ", entry " << entry << ", bounded " << bounded;
        }
      }
    }
  }
}

}  // namespace
}  // namespace foreplan
