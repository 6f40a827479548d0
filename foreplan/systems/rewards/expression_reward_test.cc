#include "foreplan/systems/rewards/expression_reward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace foreplan {
namespace {

EnvironmentSpec Spec() {
  EnvironmentSpec spec;
  spec.observation = {{"x", "m"}, {"y", "m"}};
  spec.action = {{"push", "N"}};
  spec.action_low = {-1};
  spec.action_high = {1};
  return spec;
}

ExpressionReward Compile(const std::string& reward) {
  return {Spec(), {}, {"t: reward", reward}, std::optional<ExpressionText>()};
}

TEST(ExpressionReward, SaysWhyItIsNotFinite) {
  const std::vector<double> observation{0.5, -1.5}, action{0.25}, next{0.7, -1.2};
  const TransitionBatch batch{1, observation.data(), action.data(), next.data()};
  const ExpressionReward reward = Compile("log(x - 1)");
  const std::string why = reward.WhyNotFinite(Spec(), batch);
  EXPECT_THAT(why, testing::StartsWith("the logarithm of -0.3"));
  EXPECT_THAT(why, testing::EndsWith(", at x = 0.7"));
  EXPECT_EQ(DescribeNotFinite(reward, Spec(), batch), "is nan: " + why);
  EXPECT_EQ(DescribeNotFinite(Compile("1 / (x - 0.7)"), Spec(), batch),
            "is inf: a division by zero, at x = 0.7");
  EXPECT_EQ(DescribeNotFinite(Compile("x"), Spec(), batch), "");
}

}  // namespace
}  // namespace foreplan
