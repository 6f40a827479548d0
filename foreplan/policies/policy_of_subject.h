// Policies of what is observed: what they see of it, how large they are, the bounds they act
// within.
#pragma once

#include <string>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/models/model_subject.h"
#include "foreplan/policies/network_policy.h"
#include "foreplan/policies/squashed_gaussian.h"

namespace foreplan {

/// Section [policy_backprop.policy]: a network that sees the observation, angles of the task's
/// encoding as (sin, cos), and ends in tanh from one bound of the action to the other.
struct BackpropPolicyOptions {
  int hidden_layers = 2;
  int width = 64;
  std::string kernel = "auto";
  std::vector<std::string> omit = {};  // observation components that the policy does not see

  void Visit(OptionsVisitor& visitor);
};

/// Sections of configurations that make policies, for messages and files.
inline constexpr const char* kBackpropPolicySection = "policy_backprop.policy";
inline constexpr const char* kSquashedPolicySection = "actor_critic.policy";
/// What names of a policy's tensors begin with.
inline constexpr const char* kPolicyPrefix = "policy.";

/// Untrained, of what observations and bounds are known of. Throws InputError.
[[nodiscard]] NetworkPolicy MakeBackpropPolicy(const ModelSubject& subject,
                                               const BackpropPolicyOptions& options, Key key);

/// The same of section [actor_critic.policy]. It sees neither what the options omit nor what the
/// task's encoding does.
[[nodiscard]] SquashedGaussianPolicy MakeSquashedPolicy(const ModelSubject& subject,
                                                        const SquashedGaussianOptions& options,
                                                        Key key);

}  // namespace foreplan
