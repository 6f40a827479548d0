#include "foreplan/planners/colored_noise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

namespace foreplan {
namespace {

constexpr Key kKey{.seed = 5, .stream = 0};

double MeanVariance(const ColoredNoise& noise, int horizon) {
  double sum = 0;
  for (int t = 0; t < horizon; ++t) sum += noise.Variance(t);
  return sum / horizon;
}

TEST(ColoredNoise, HasTheVarianceOfThePublishedGenerator) {
  // The published figures have three digits.
  EXPECT_NEAR(MeanVariance(ColoredNoise(30, 2), 30), 1.32, 0.005);
  EXPECT_NEAR(MeanVariance(ColoredNoise(30, 4), 30), 1.46, 0.005);
  EXPECT_EQ(MeanVariance(ColoredNoise(30, 0), 30), 1.0);
  EXPECT_EQ(MeanVariance(ColoredNoise(1, 2), 1), 1.0);
}

// Sample variance per step and power per frequency of many draws.
class Samples {
 public:
  Samples(int horizon, double beta, size_t nu, int draws) : power_(static_cast<size_t>(horizon)) {
    const ColoredNoise noise(horizon, beta);
    const auto h = static_cast<size_t>(horizon);
    std::vector<double> sequence(h * nu);
    std::vector<double> scratch(noise.scratch_size());
    for (int draw = 0; draw < draws; ++draw) {
      Random random(kKey.Fold(static_cast<uint64_t>(draw)));
      noise.Fill(random, nu, sequence, scratch);
      for (size_t i = 0; i < nu; ++i)
        Add(sequence, h, nu, i, 1.0 / (draws * static_cast<double>(nu)));
      cross_ += sequence[0] * sequence[nu - 1] / draws;
    }
  }
  double variance() const { return variance_; }
  double cross() const { return cross_; }  // of the first and last component
  double power(size_t k) const { return power_[k]; }

 private:
  void Add(const std::vector<double>& sequence, size_t h, size_t nu, size_t i, double share) {
    for (size_t k = 0; k <= h / 2; ++k) {
      std::complex<double> sum = 0;
      for (size_t t = 0; t < h; ++t) {
        const double phase =
            -2 * std::numbers::pi * static_cast<double>(k * t) / static_cast<double>(h);
        sum += std::polar(sequence[t * nu + i], phase);
      }
      power_[k] += share * std::norm(sum);
    }
    for (size_t t = 0; t < h; ++t) {
      variance_ += share * sequence[t * nu + i] * sequence[t * nu + i] / static_cast<double>(h);
    }
  }

  double variance_ = 0;
  double cross_ = 0;
  std::vector<double> power_;
};

TEST(ColoredNoise, SamplesHaveTheVarianceAndTheSpectrum) {
  const Samples samples(30, 2.0, 3, 4000);
  // 12,000 sequences whose variance lies mostly in 3 components: standard error about 1 %.
  EXPECT_NEAR(samples.variance(), 1.318, 0.05);
  // Power falls as 1/k^2; each estimate has a standard error of 1 % (2 degrees, 12,000 draws).
  for (size_t k = 2; k < 15; ++k) {
    const double expected = samples.power(1) / static_cast<double>(k * k);
    EXPECT_NEAR(samples.power(k) / expected, 1.0, 0.05) << k;
  }
  // Independent components: standard error 1.3 / sqrt(4000) = 0.02.
  EXPECT_NEAR(samples.cross(), 0.0, 0.08);
}

TEST(ColoredNoise, OddHorizonsHaveTheSpectrumToo) {
  const Samples samples(9, 1.0, 1, 12000);
  for (size_t k = 2; k <= 4; ++k) {
    const double expected = samples.power(1) / static_cast<double>(k);
    EXPECT_NEAR(samples.power(k) / expected, 1.0, 0.05) << k;  // standard error 1.3 %
  }
}

TEST(ColoredNoise, BetaZeroIsWhite) {
  const Samples samples(10, 0.0, 1, 12000);
  EXPECT_NEAR(samples.variance(), 1.0, 0.03);  // 120,000 normals: standard error 0.4 %
  // Standard error 1 % (2 degrees of freedom) to 1.3 % (1 degree).
  for (size_t k = 0; k <= 5; ++k) EXPECT_NEAR(samples.power(k), 10.0, 0.6) << k;
}

}  // namespace
}  // namespace foreplan
