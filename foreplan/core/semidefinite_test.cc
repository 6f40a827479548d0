#include "foreplan/core/semidefinite.h"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <Eigen/Jacobi>
#include <cmath>
#include <limits>
#include <vector>

namespace foreplan {
namespace {

TEST(ProjectToPositiveSemidefinite, KeepsTheNonNegativePart) {
  // Eigenvalues 3 and -1 along (1, 1) and (1, -1).
  std::vector<double> matrix = {1, 2, 2, 1};
  std::vector<double> vectors(4);
  std::vector<double> scratch(4);
  ProjectToPositiveSemidefinite(2, matrix.data(), vectors.data(), scratch.data());
  for (const double entry : matrix) EXPECT_NEAR(entry, 1.5, 1e-14);
}

/// matrix: [n x n], row-major; the projection.
std::vector<double> Projected(int n, std::vector<double> matrix) {
  std::vector<double> vectors(matrix.size());
  std::vector<double> scratch(matrix.size());
  ProjectToPositiveSemidefinite(n, matrix.data(), vectors.data(), scratch.data());
  return matrix;
}

// Q diag(values) Q' with rotations of known angles: the projection is the same with the negative
// values left out. Several rotations are needed, so that eigenvectors must follow all of them.
TEST(ProjectToPositiveSemidefinite, TakesAwayNegativeEigenvaluesOnly) {
  constexpr int kSize = 4;
  Eigen::Matrix4d rotation = Eigen::Matrix4d::Identity();
  double angle = 0.3;
  for (int p = 0; p < kSize; ++p) {
    for (int q = p + 1; q < kSize; ++q, angle += 0.37) {
      rotation.applyOnTheRight(p, q,
                               Eigen::JacobiRotation<double>(std::cos(angle), std::sin(angle)));
    }
  }
  const Eigen::Vector4d values(5, -2, 0.5, -0.01);
  const Eigen::Matrix4d matrix = rotation * values.asDiagonal() * rotation.transpose();
  const Eigen::Matrix4d expected =
      rotation * values.cwiseMax(0).asDiagonal() * rotation.transpose();
  const std::vector<double> found =
      Projected(kSize, {matrix.data(), matrix.data() + matrix.size()});
  for (int i = 0; i < kSize * kSize; ++i) {
    // A few dozen rotations of numbers up to 5.
    EXPECT_NEAR(found[static_cast<size_t>(i)], expected.data()[i], 1e-13);
  }
}

TEST(ProjectToPositiveSemidefinite, LeavesWhatIsSemidefiniteToTheBit) {
  const std::vector<double> matrix = {2, -1, 0, -1, 2, -1, 0, -1, 2};
  EXPECT_EQ(Projected(3, matrix), matrix);
  EXPECT_EQ(Projected(2, {0, 0, 0, 0}), (std::vector<double>{0, 0, 0, 0}));
}

TEST(ProjectToPositiveSemidefinite, LeavesWhatIsNotFiniteToTheCaller) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Projected(2, {infinity, 1, 1, -1}), (std::vector<double>{infinity, 1, 1, -1}));
  const std::vector<double> with_nan = Projected(2, {-3, 0, 0, std::nan("")});
  EXPECT_EQ(with_nan[0], -3);
  EXPECT_EQ(with_nan[1], 0);
  EXPECT_TRUE(std::isnan(with_nan[3]));
}

}  // namespace
}  // namespace foreplan
