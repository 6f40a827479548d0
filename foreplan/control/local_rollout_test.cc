#include "foreplan/control/local_rollout.h"

#include <gtest/gtest.h>

#include <cmath>

namespace foreplan {
namespace {

using Eigen::MatrixXd;

TEST(ExplorationNoise, HasUnitVarianceWhiteOrSmooth) {
  const int steps = 400;
  for (const double smoothing : {0.0, 2.0}) {
    const MatrixXd noise = ExplorationNoise(3, steps, smoothing, Key{1, 0});
    for (Eigen::Index i = 0; i < 3; ++i) {
      const double mean = noise.row(i).mean();
      const double variance = (noise.row(i).array() - mean).square().mean();
      const double next =
          (noise.row(i).tail(steps - 1).array() * noise.row(i).head(steps - 1).array()).mean();
      if (smoothing == 0) {
        EXPECT_NEAR(variance, 1, 4 * std::sqrt(2.0 / steps));
        EXPECT_NEAR(next, 0, 4 / std::sqrt(steps));
      } else {
        EXPECT_NEAR(variance, 1, 1e-12);
        // Correlation of neighbours: exp(-1 / (4 * 2^2)) = 0.94, of a series with its mean.
        EXPECT_GT(next - mean * mean, 0.85);
      }
    }
  }
}

}  // namespace
}  // namespace foreplan
