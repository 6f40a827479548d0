#include "foreplan/trajopt/box_qp.h"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/trajopt/testing/reference_problems.h"

namespace foreplan {
namespace {

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Largest |x - clamp(x - gradient)|: 0 at a KKT point.
double Residual(const RowMajor& H, const Eigen::VectorXd& q, const Eigen::VectorXd& low,
                const Eigen::VectorXd& high, const Eigen::VectorXd& x) {
  const Eigen::VectorXd moved = (x - (H * x + q)).cwiseMax(low).cwiseMin(high);
  return (x - moved).cwiseAbs().maxCoeff();
}

TEST(BoxQp, SolvesTenThousandRandomProblems) {
  BoxQp solver(12);
  int active = 0;
  for (uint64_t i = 0; i < 10000; ++i) {
    Random random(Key{11, i});
    const auto n = static_cast<Eigen::Index>(1 + random.Below(12));
    const double conditioning = std::pow(10.0, -random.Uniform(0, 6));
    RowMajor M(n, n);
    Eigen::VectorXd q(n);
    Eigen::VectorXd low(n);
    Eigen::VectorXd high(n);
    Eigen::VectorXd x(n);
    for (Eigen::Index r = 0; r < n; ++r) {
      for (Eigen::Index c = 0; c < n; ++c) M(r, c) = random.Normal();
      q[r] = 3 * random.Normal();
      low[r] = -2 * random.Uniform();
      high[r] = low[r] + (random.Below(8) == 0 ? 0.0 : 3 * random.Uniform());
      x[r] = 5 * random.Normal();  // may be outside
    }
    const RowMajor H = M * M.transpose() + conditioning * RowMajor::Identity(n, n);
    const BoxQpResult result = solver.Solve(static_cast<int>(n), H.data(), static_cast<int>(n),
                                            q.data(), low.data(), high.data(), x.data());
    ASSERT_EQ(result.status, BoxQpStatus::kSolved) << "problem " << i;
    ASSERT_LT(Residual(H, q, low, high, x), 1e-9) << "problem " << i;
    active += static_cast<int>(n) - static_cast<int>(solver.free().size());
  }
  EXPECT_GT(active, 10000);  // the bounds matter in these problems
}

TEST(BoxQp, ReachesTheReferenceSolutionsAndTheirInverse) {
  const std::vector<std::pair<int, double>> known = {
      {8, -7.351328708944e-01}, {36, -4.898583638020e+00}, {76, -1.951705100129e+01}};
  for (const auto& [n, cost] : known) {
    const ReferenceBoxQp problem = MakeReferenceBoxQp(n);
    const Eigen::VectorXd low = Eigen::VectorXd::Zero(n);
    const Eigen::VectorXd high = Eigen::VectorXd::Ones(n);
    Eigen::VectorXd x = Eigen::VectorXd::Constant(n, 0.5);
    BoxQp solver(n);
    const BoxQpResult result =
        solver.Solve(n, problem.H.data(), n, problem.q.data(), low.data(), high.data(), x.data());
    EXPECT_EQ(result.status, BoxQpStatus::kSolved);
    EXPECT_NEAR(0.5 * x.dot(problem.H * x) + problem.q.dot(x), cost,
                1e-12 * std::abs(cost) + 1e-12);
    const auto free = solver.free();
    const auto f = static_cast<Eigen::Index>(free.size());
    RowMajor block(f, f);
    for (Eigen::Index i = 0; i < f; ++i) {
      for (Eigen::Index j = 0; j < f; ++j) {
        block(i, j) = problem.H(free[static_cast<size_t>(i)], free[static_cast<size_t>(j)]);
      }
    }
    const int stride = KnotLayout::Padded(static_cast<int>(f));
    RowMajor inverse(f, stride);
    solver.FreeInverse(inverse.data(), stride);
    EXPECT_LT((inverse.leftCols(f) * block - RowMajor::Identity(f, f)).cwiseAbs().maxCoeff(),
              1e-11);

    // From the solution itself: no step is needed.
    const BoxQpResult warm =
        solver.Solve(n, problem.H.data(), n, problem.q.data(), low.data(), high.data(), x.data());
    EXPECT_EQ(warm.iterations, 0);
  }
}

TEST(BoxQp, NamesWhatIsWrong) {
  BoxQp solver(2);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const RowMajor identity = RowMajor::Identity(2, 2);
  const Eigen::Vector2d q(1, -1);
  const Eigen::Vector2d low(-1, -1);
  const Eigen::Vector2d high(1, 1);
  Eigen::Vector2d x(0, 0);
  const auto status = [&](const RowMajor& H, const Eigen::Vector2d& g, const Eigen::Vector2d& a,
                          const Eigen::Vector2d& b) {
    x.setZero();
    return solver.Solve(2, H.data(), 2, g.data(), a.data(), b.data(), x.data()).status;
  };
  EXPECT_EQ(status(identity, q, high, low), BoxQpStatus::kEmptyBox);
  EXPECT_EQ(status(identity, q, {nan, 0}, high), BoxQpStatus::kEmptyBox);
  EXPECT_EQ(status(-identity, {0.1, 0.1}, low, high), BoxQpStatus::kIndefinite);
  EXPECT_EQ(status(nan * identity, q, low, high), BoxQpStatus::kIndefinite);
  EXPECT_EQ(status(identity, {nan, 0}, low, high), BoxQpStatus::kIndefinite);
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(status(identity, {0, infinity}, low, high), BoxQpStatus::kIndefinite);
  EXPECT_EQ(status(identity, {-infinity, 0}, low, high), BoxQpStatus::kIndefinite);
  EXPECT_EQ(status(identity, q, low, high), BoxQpStatus::kSolved);
}

TEST(BoxQp, AllocatesNothing) {
  const int n = 36;
  const ReferenceBoxQp problem = MakeReferenceBoxQp(n);
  const std::vector<double> low(n, -1.0);
  const std::vector<double> high(n, 1.0);
  std::vector<double> x(n, 0.0);
  BoxQp solver(n);
  EXPECT_EQ(testing::CountAllocations([&] {
              solver.Solve(n, problem.H.data(), n, problem.q.data(), low.data(), high.data(),
                           x.data());
            }),
            0);
}

}  // namespace
}  // namespace foreplan
