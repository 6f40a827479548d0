// Which models a policy can be imagined in.
#pragma once

#include <string>

#include "foreplan/models/dynamics.h"
#include "foreplan/policies/squashed_gaussian.h"
#include "foreplan/systems/rewards/reward.h"

namespace foreplan {

/// Throws InputError, which starts with `who`, unless there are a model, whose state is what is
/// observed, and a reward, both of the policy's sizes.
void CheckImagines(const std::string& who, const SquashedGaussianPolicy& policy,
                   const Dynamics* dynamics, const Reward* reward);

}  // namespace foreplan
