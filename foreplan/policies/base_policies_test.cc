#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/policies/policy.h"

namespace foreplan {
namespace {

SystemSpec Spec(double low, double high) {
  SystemSpec spec;
  spec.action = {{"force", "N"}};
  spec.action_low = {low};
  spec.action_high = {high};
  return spec;
}

std::vector<double> Actions(const std::string& name, double low, double high, int count) {
  const auto policy = MakeBasePolicy(name, Spec(low, high));
  policy->Reset(Key{});
  std::vector<double> actions;
  for (int t = 0; t < count; ++t) {
    double action = 0;
    const Key key = Key{.seed = 1, .stream = 0}.Fold(static_cast<uint64_t>(t));
    policy->Act({.observation = {}, .state = {}, .time = t, .key = key}, {&action, 1});
    actions.push_back(action);
  }
  return actions;
}

struct Moments {
  double mean = 0;
  double deviation = 0;
};

Moments MomentsOf(const std::vector<double>& values) {
  double mean = 0;
  double square = 0;
  for (const double value : values) {
    mean += value / static_cast<double>(values.size());
    square += value * value / static_cast<double>(values.size());
  }
  return {mean, std::sqrt(square - mean * mean)};
}

TEST(BasePolicies, UniformFillsTheBounds) {
  const auto actions = Actions("uniform", -1, 3, 10000);
  const auto [least, most] = std::minmax_element(actions.begin(), actions.end());
  EXPECT_GE(*least, -1);
  EXPECT_LE(*most, 3);
  EXPECT_NEAR(MomentsOf(actions).mean, 1.0, 0.06);  // standard error 0.012
  // Standard error of the deviation 4 / sqrt(12): below 1 %.
  EXPECT_NEAR(MomentsOf(actions).deviation, 1.155, 0.03);
}

TEST(BasePolicies, GaussianHasHalfOfTheHalfRangeAndIsClamped) {
  const auto actions = Actions("gaussian", -1, 3, 10000);
  const auto [least, most] = std::minmax_element(actions.begin(), actions.end());
  EXPECT_EQ(*least, -1);
  EXPECT_EQ(*most, 3);
  EXPECT_NEAR(MomentsOf(actions).mean, 1.0, 0.05);  // standard error 0.01
  // Clamping a standard normal at +-2 leaves a deviation of 0.9594.
  EXPECT_NEAR(MomentsOf(actions).deviation, 0.959, 0.03);
}

TEST(BasePolicies, ZeroIsZeroOrTheNearestBound) {
  EXPECT_EQ(Actions("zero", -1, 3, 2), (std::vector<double>{0, 0}));
  EXPECT_EQ(Actions("zero", 0.5, 3, 2), (std::vector<double>{0.5, 0.5}));
}

TEST(BasePolicies, TheSameKeyGivesTheSameAction) {
  for (const auto& name : BasePolicyNames()) {
    EXPECT_EQ(Actions(name, -1, 1, 5), Actions(name, -1, 1, 5));
  }
}

TEST(BasePolicies, AnUnknownNameIsAnswered) {
  try {
    MakeBasePolicy("unifrom", Spec(-1, 1));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "policy: unknown base policy 'unifrom' (did you mean 'uniform'?); known: uniform, "
                 "gaussian, zero");
  }
}

}  // namespace
}  // namespace foreplan
