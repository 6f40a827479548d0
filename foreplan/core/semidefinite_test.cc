#include "foreplan/core/semidefinite.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace foreplan
