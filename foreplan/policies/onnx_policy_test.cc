#include "foreplan/policies/onnx_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/data/testing/onnx_evaluation.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;

constexpr int kRows = 20;

EnvironmentSpec Spec() {
  EnvironmentSpec spec;
  spec.observation = {{"x", "m"}, {"angle", "rad"}, {"still", ""}};
  return spec;
}

void ExpectAgreement(PolicyOutput output) {
  const Numbers low = {-1, 0.5};
  const Numbers high = {2, 0.75};
  NetworkPolicy policy(FeatureMap(Spec(), {.sin_cos = {"angle"}, .omit = {"still"}}), low, high,
                       {.hidden_layers = 2, .width = 16, .output = output}, Key{3, 3});
  policy.input_normaliser().mean = {0.5, 0, 0.25};
  policy.input_normaliser().scale = {0.5, 1, 2};
  policy.output_normaliser().mean = {1, 0.6};
  policy.output_normaliser().scale = {4, 5};
  Eigen::Matrix2d covariance;
  covariance << 0.5, 0.125, 0.125, 0.25;
  policy.set_covariance(covariance);
  Random random(Key{7, 7});
  Numbers observation;
  for (int i = 0; i < 3 * kRows; ++i) observation.push_back(random.Uniform(-4, 4));
  const auto values = OnnxEvaluation(PolicyGraph(policy).Model({}))
                          .Run({{"observation", {11, {kRows, 3}, observation}}});
  const OnnxTensor& found = values.at("action");
  ASSERT_EQ(found.shape, (std::vector<int64_t>{kRows, 2}));
  bool at_bound = false;
  for (size_t row = 0; row < kRows; ++row) {
    Numbers action(2);
    policy.ActByMean(std::span(observation).subspan(3 * row, 3), action);
    // The network computes in floats, in another order of sums.
    for (size_t i = 0; i < 2; ++i) EXPECT_NEAR(found.values[2 * row + i], action[i], 1e-5);
    at_bound = at_bound || action[1] == high[1];
  }
  EXPECT_EQ(at_bound, output == PolicyOutput::kNone) << "whether clamping is seen";
  EXPECT_EQ(values.at("covariance").values, (Numbers{0.5, 0.125, 0.125, 0.25}));
}

/// What the network itself says of the deviation.
double DeviationOf(const SquashedGaussianPolicy& policy, std::span<const double> observation,
                   int action) {
  std::vector<float> input(static_cast<size_t>(policy.encoder().inputs()));
  policy.encoder().Encode(1, observation.data(), input.data());
  MlpGradient network(policy.mlp(), policy.kernel(), 1);
  const float* output = network.Forward(policy.parameters(), 1, input.data());
  const Numbers noise(2);
  Numbers drawn(2);
  Numbers deviation(2);
  SquashedGaussian::Draw(2, output, noise.data(), drawn.data(), deviation.data());
  return deviation[static_cast<size_t>(action)];
}

TEST(OnnxPolicy, ASquashedPolicyHasItsMeanActionAndItsDeviations) {
  const Numbers low = {-1, 0.5};
  const Numbers high = {2, 0.75};
  SquashedGaussianPolicy policy(FeatureMap(Spec(), {.sin_cos = {"angle"}, .omit = {"still"}}), low,
                                high, {.hidden_layers = 2, .width = 16}, Key{3, 3});
  Normaliser normaliser(3);
  normaliser.mean = {0.5, 0, 0.25};
  normaliser.scale = {0.5, 1, 2};
  policy.Rescale(normaliser);
  for (float& parameter : policy.parameters()) parameter *= 8;  // deviations far from each other
  Random random(Key{7, 7});
  Numbers observation;
  for (int i = 0; i < 3 * kRows; ++i) observation.push_back(random.Uniform(-4, 4));
  const auto values = OnnxEvaluation(PolicyGraph(policy).Model({}))
                          .Run({{"observation", {11, {kRows, 3}, observation}}});
  const OnnxTensor& found = values.at("action");
  const OnnxTensor& deviation = values.at("deviation");
  ASSERT_EQ(found.shape, (std::vector<int64_t>{kRows, 2}));
  ASSERT_EQ(deviation.shape, (std::vector<int64_t>{kRows, 2}));
  SquashedActor actor(policy, PolicyAction::kMean);
  double least = 1;
  double largest = 0;
  for (size_t row = 0; row < kRows; ++row) {
    const std::span<const double> seen = std::span(observation).subspan(3 * row, 3);
    Numbers action(2);
    actor.Act({.observation = seen, .time = 0, .key = {}}, action);
    // The network computes in floats, in another order of sums, of numbers to 100.
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_NEAR(found.values[2 * row + i], action[i], 1e-5);
      const double expected = DeviationOf(policy, seen, static_cast<int>(i));
      EXPECT_NEAR(deviation.values[2 * row + i], expected, 1e-5 * std::max(1.0, expected));
      least = std::min(least, expected);
      largest = std::max(largest, expected);
    }
  }
  EXPECT_LT(least, 1e-3) << "both ends of the softplus are seen";
  EXPECT_GT(largest, 10);
}

TEST(OnnxPolicy, ActsAsThePolicyDoesWithinItsBounds) { ExpectAgreement(PolicyOutput::kTanh); }

TEST(OnnxPolicy, ClampsActionsThatNothingSquashes) { ExpectAgreement(PolicyOutput::kNone); }

}  // namespace
}  // namespace foreplan
