#include "foreplan/nets/losses.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "foreplan/core/random.h"

namespace foreplan {
namespace {

constexpr int kRows = 5;
constexpr int kDim = 3;

struct Likelihood {
  std::vector<float> mean, target, log_variance;
  std::vector<float> d_mean = std::vector<float>(kRows * kDim);
  std::vector<float> d_log_variance = std::vector<float>(kDim);

  Likelihood() {
    Random random(Key{3, 1});
    for (int i = 0; i < kRows * kDim; ++i) {
      mean.push_back(static_cast<float>(random.Normal()));
      target.push_back(static_cast<float>(random.Normal()));
    }
    for (int i = 0; i < kDim; ++i) {
      log_variance.push_back(static_cast<float>(random.Uniform(-2, 1)));
    }
  }
  double Evaluate(double beta = 0) {
    return ConstantNoiseNll(kRows, kDim, mean.data(), target.data(), log_variance.data(), beta,
                            d_mean.data(), d_log_variance.data());
  }
};

TEST(ConstantNoiseNll, IsTheMeanOfTheFormula) {
  Likelihood likelihood;
  double expected = 0;
  for (size_t i = 0; i < kRows * kDim; ++i) {
    const double error = static_cast<double>(likelihood.mean[i]) - likelihood.target[i];
    const double lv = likelihood.log_variance[i % kDim];
    expected += (error * error * std::exp(-lv) + lv) / (kRows * kDim);
  }
  EXPECT_NEAR(likelihood.Evaluate(), expected, 1e-6);  // float
}

TEST(ConstantNoiseNll, GradientEqualsDifferences) {
  Likelihood likelihood;
  likelihood.Evaluate();
  const std::vector<float> d_mean = likelihood.d_mean;
  const std::vector<float> d_log_variance = likelihood.d_log_variance;
  const auto expect = [&](float& value, float gradient) {
    const float kept = value;
    const float h = 1e-2F;  // floats leave 1e-7 / 1e-2 of rounding, third derivatives 1e-4
    value = kept + h;
    const double above = likelihood.Evaluate();
    value = kept - h;
    const double below = likelihood.Evaluate();
    value = kept;
    EXPECT_NEAR(gradient, (above - below) / (2 * h), 2e-4);
  };
  for (size_t i = 0; i < kRows * kDim; ++i) expect(likelihood.mean[i], d_mean[i]);
  for (size_t i = 0; i < kDim; ++i) expect(likelihood.log_variance[i], d_log_variance[i]);
}

TEST(ConstantNoiseNll, BetaOneLearnsTheMeanByLeastSquaresAndTheNoiseByTheLikelihood) {
  Likelihood likelihood;
  likelihood.Evaluate();
  const std::vector<float> by_likelihood = likelihood.d_log_variance;
  likelihood.Evaluate(1);
  std::vector<float> squares(kRows * kDim);
  SquaredError(kRows, kDim, likelihood.mean.data(), likelihood.target.data(), squares.data());
  for (size_t i = 0; i < squares.size(); ++i) {
    EXPECT_NEAR(likelihood.d_mean[i], squares[i], 1e-6 * (1 + std::abs(squares[i])));  // float
  }
  EXPECT_EQ(likelihood.d_log_variance, by_likelihood);
}

}  // namespace
}  // namespace foreplan
