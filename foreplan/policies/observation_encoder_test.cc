#include "foreplan/policies/observation_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/core/size.h"
#include "foreplan/policies/testing/network_in_double.h"

namespace foreplan {
namespace {

/// x, an angle, one that is not seen, v: inputs x, sin, cos, v.
ObservationEncoder MakeEncoder() {
  EnvironmentSpec spec;
  spec.observation = {{"x", "m"}, {"angle", "rad"}, {"hidden", "m"}, {"v", "m/s"}};
  Encoding encoding;
  encoding.sin_cos = {"angle"};
  encoding.omit = {"hidden"};
  ObservationEncoder encoder{FeatureMap(spec, encoding)};
  Normaliser normaliser(4);
  normaliser.mean = {1, 0.2, -0.1, 3};
  normaliser.scale = {2, 0.5, 0.8, 4};
  encoder.normaliser() = normaliser;
  return encoder;
}

TEST(ObservationEncoder, EncodesNormalisedFeatures) {
  const ObservationEncoder encoder = MakeEncoder();
  ASSERT_EQ(encoder.inputs(), 4);
  ASSERT_EQ(encoder.observation_dim(), 4);
  const std::vector<double> observation = {2, 0.3, 77, -1, 0, -2, -77, 5};
  std::vector<float> x(8);
  encoder.Encode(2, observation.data(), x.data());
  for (size_t row = 0; row < 2; ++row) {
    const double* o = &observation[4 * row];
    const std::array<double, 4> expected = {(o[0] - 1) / 2, (std::sin(o[1]) - 0.2) / 0.5,
                                            (std::cos(o[1]) + 0.1) / 0.8, (o[3] - 3) / 4};
    for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(x[4 * row + i], expected[i], 1e-6);  // float
  }
}

TEST(ObservationEncoder, PullBackEqualsDifferencesWhateverStandsBetweenRows) {
  const ObservationEncoder encoder = MakeEncoder();
  const std::vector<double> observation = {2, 0.3, 77, -1, 0, -2, -77, 5};
  constexpr int kStride = 6;
  const std::vector<float> d_x = {1, -2, 0.5, 3, 1e9, 1e9, 0.1F, 1, 2, -0.3F, 1e9, 1e9};
  std::array<double, 4> by_input;
  std::vector<double> found(8, 1e9);
  encoder.PullBack(2, observation.data(), d_x.data(), kStride, by_input, found.data());
  const auto value = [&](size_t row, std::vector<double> o) {
    const std::vector<double> x =
        Normalised(encoder.features(), encoder.normaliser(), o.data(), nullptr);
    double sum = 0;
    for (size_t i = 0; i < 4; ++i) sum += static_cast<double>(d_x[kStride * row + i]) * x[i];
    return sum;
  };
  for (size_t row = 0; row < 2; ++row) {
    for (size_t i = 0; i < 4; ++i) {
      std::vector<double> o(4);
      std::copy_n(&observation[4 * row], 4, o.begin());
      const double h = 1e-6;
      o[i] += h;
      const double above = value(row, o);
      o[i] -= 2 * h;
      EXPECT_NEAR(found[4 * row + i], (above - value(row, o)) / (2 * h), 1e-7);  // 1e-16 / h
    }
  }
}

TEST(ObservationEncoder, KnowsWhatNetworksDigest) {
  const ObservationEncoder encoder = MakeEncoder();
  std::array<float, 4> x = {1, -ObservationEncoder::kFarthest, 0, ObservationEncoder::kFarthest};
  EXPECT_TRUE(encoder.IsDigestible(x.data()));
  for (const float bad :
       {2 * ObservationEncoder::kFarthest, -2 * ObservationEncoder::kFarthest,
        std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    for (size_t i = 0; i < 4; ++i) {
      std::array<float, 4> spoilt = x;
      spoilt[i] = bad;
      EXPECT_FALSE(encoder.IsDigestible(spoilt.data()));
    }
  }
}

TEST(ObservationEncoder, MeasuresMeanAndDeviationOfValuesAndLeavesSinesAlone) {
  const ObservationEncoder encoder = MakeEncoder();
  const std::vector<double> observation = {1, 0.1, 0, 7, 3, 0.2, 0, 7, 5, 0.3, 9, 7};
  const Normaliser measured = encoder.Measure(3, observation.data());
  EXPECT_EQ(measured.mean, (std::vector<double>{3, 0, 0, 7}));
  EXPECT_NEAR(measured.scale[0], std::sqrt(8.0 / 3), 1e-12);
  EXPECT_EQ(measured.scale[1], 1);
  EXPECT_EQ(measured.scale[2], 1);
  EXPECT_EQ(measured.scale[3], 1);  // a constant is only centred
  Dataset data(4, 1);
  const std::vector<double> action = {0};
  for (size_t row = 0; row < 3; ++row) {
    data.Add({.observation = std::span(observation).subspan(4 * row, 4),
              .action = action,
              .next_observation = std::span(observation).subspan(4 * row, 4)});
  }
  EXPECT_EQ(encoder.Measure(data).mean, measured.mean);
  EXPECT_EQ(encoder.Measure(data).scale, measured.scale);
}

TEST(RescaleFirstLayer, KeepsTheFunction) {
  // Five inputs, of which the first three come in another scale.
  const Mlp mlp({5, 16, 16, 2});
  std::vector<float> parameters(Size(mlp.parameters()));
  Random random(Key{1, 0});
  for (float& parameter : parameters) parameter = static_cast<float>(0.5 * random.Normal());
  Normaliser from(3);
  Normaliser to(3);
  from.mean = {1, -2, 0};
  from.scale = {0.5, 3, 1};
  to.mean = {0.5, 4, 0.1};
  to.scale = {2, 1, 0.3};
  std::vector<float> rescaled = parameters;
  RescaleFirstLayer(mlp, from, to, rescaled);
  for (int sample = 0; sample < 20; ++sample) {
    std::vector<double> before(5);
    std::vector<double> after(5);
    for (size_t i = 0; i < 5; ++i) {
      const double feature = random.Normal();
      before[i] = i < 3 ? (feature - from.mean[i]) / from.scale[i] : feature;
      after[i] = i < 3 ? (feature - to.mean[i]) / to.scale[i] : feature;
    }
    const auto y = EvaluateInDouble(mlp, {parameters.begin(), parameters.end()}, before);
    const auto other = EvaluateInDouble(mlp, {rescaled.begin(), rescaled.end()}, after);
    // Parameters of a few units are rounded to float.
    for (size_t i = 0; i < 2; ++i) EXPECT_NEAR(other[i], y[i], 1e-6 * (1 + std::abs(y[i])));
  }
}

}  // namespace
}  // namespace foreplan
