#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/policies/policy.h"

namespace foreplan {
namespace {

EnvironmentSpec Spec(double low, double high) {
  EnvironmentSpec spec;
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
    policy->Act({.observation = {}, .time = t, .key = key}, {&action, 1});
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

/// Correlation of neighbours in time.
double Autocorrelation(const std::vector<double>& values) {
  const auto [mean, deviation] = MomentsOf(values);
  double sum = 0;
  for (size_t t = 1; t < values.size(); ++t) sum += (values[t] - mean) * (values[t - 1] - mean);
  return sum / static_cast<double>(values.size() - 1) / (deviation * deviation);
}

TEST(BasePolicies, SmoothIsCorrelatedInTimeAndReachesTheBounds) {
  const auto actions = Actions("smooth", -1, 3, 10000);
  const auto [least, most] = std::minmax_element(actions.begin(), actions.end());
  EXPECT_EQ(*least, -1);
  EXPECT_EQ(*most, 3);
  // About 10000 / 20 independent draws of a deviation below 2: standard error below 0.09.
  EXPECT_NEAR(MomentsOf(actions).mean, 1.0, 0.3);
  EXPECT_GT(Autocorrelation(actions), 0.85);  // exp(-1 / 10) = 0.905 before clamping
  EXPECT_NEAR(Autocorrelation(Actions("uniform", -1, 3, 10000)), 0, 0.04);  // standard error 0.01
}

TEST(BasePolicies, SweepGoesFromBoundToBoundFasterAndFaster) {
  const auto actions = Actions("sweep", -1, 3, 200);
  const auto [least, most] = std::minmax_element(actions.begin(), actions.end());
  EXPECT_LT(*least, -0.9);
  EXPECT_GT(*most, 2.9);
  const auto crossings = [&](int begin, int end) {
    int count = 0;
    for (int t = begin + 1; t < end; ++t) {
      const auto i = static_cast<size_t>(t);
      count += (actions[i] > 1) != (actions[i - 1] > 1) ? 1 : 0;
    }
    return count;
  };
  EXPECT_LE(crossings(0, 50), 3);     // periods of 100 to 56 steps
  EXPECT_GE(crossings(150, 200), 7);  // 18 to 10
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
                 "gaussian, smooth, sweep, zero");
  }
}

}  // namespace
}  // namespace foreplan
