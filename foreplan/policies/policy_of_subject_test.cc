#include "foreplan/policies/policy_of_subject.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "foreplan/core/testing/message_of.h"

namespace foreplan {
namespace {

using testing::HasSubstr;

ModelSubject Subject() {
  EnvironmentSpec spec;
  spec.observation = {{"x", "m"}, {"angle", "rad"}, {"rate", "rad/s"}, {"still", ""}};
  spec.action = {{"push", "N"}, {"turn", ""}};
  spec.action_low = {-1, 0.5};
  spec.action_high = {2, 0.75};
  return {spec, Encoding{.sin_cos = {"angle"}, .omit = {"still"}, .input_texts = {"x * u"}}};
}

TEST(PolicyOfSubject, ABackpropPolicySeesWhatItsOwnOptionsDoNotOmit) {
  using Bounded = std::vector<bool>;
  const NetworkPolicy all = MakeBackpropPolicy(Subject(), {.width = 4}, Key{1, 0});
  EXPECT_EQ(all.features().SinesAndCosines(), (Bounded{false, true, true, false, false}));
  const NetworkPolicy less =
      MakeBackpropPolicy(Subject(), {.width = 4, .omit = {"angle"}}, Key{1, 0});
  EXPECT_EQ(less.features().SinesAndCosines(), (Bounded{false, false, false}));
  EXPECT_EQ(less.output(), PolicyOutput::kTanh);
  EXPECT_EQ(less.low(1), 0.5);
  EXPECT_EQ(less.high(0), 2);
}

TEST(PolicyOfSubject, ASquashedPolicyDoesNotSeeWhatTheEncodingOmitsEither) {
  using Bounded = std::vector<bool>;
  const SquashedGaussianPolicy all =
      MakeSquashedPolicy(Subject(), {.hidden_layers = 1, .width = 4}, Key{1, 0});
  EXPECT_EQ(all.encoder().features().SinesAndCosines(), (Bounded{false, true, true, false}));
  const SquashedGaussianPolicy less =
      MakeSquashedPolicy(Subject(), {.hidden_layers = 1, .width = 4, .omit = {"angle"}}, Key{1, 0});
  EXPECT_EQ(less.encoder().features().SinesAndCosines(), (Bounded{false, false}));
  EXPECT_EQ(less.half_range(0), 1.5);
  EXPECT_EQ(less.observation_dim(), 4);
}

TEST(PolicyOfSubject, NamesThatAreNoComponentsAreRefused) {
  EXPECT_THAT(
      MessageOf([] { static_cast<void>(MakeBackpropPolicy(Subject(), {.omit = {"xx"}}, Key{})); }),
      HasSubstr("policy_backprop.policy.omit: unknown observation component 'xx'"));
  EXPECT_THAT(
      MessageOf([] { static_cast<void>(MakeSquashedPolicy(Subject(), {.omit = {"xx"}}, Key{})); }),
      HasSubstr("actor_critic.policy.omit: unknown observation component 'xx'"));
}

}  // namespace
}  // namespace foreplan
