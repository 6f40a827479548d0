#include "foreplan/policies/onnx_policy.h"

#include <gtest/gtest.h>

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

TEST(OnnxPolicy, ActsAsThePolicyDoesWithinItsBounds) { ExpectAgreement(PolicyOutput::kTanh); }

TEST(OnnxPolicy, ClampsActionsThatNothingSquashes) { ExpectAgreement(PolicyOutput::kNone); }

}  // namespace
}  // namespace foreplan
