// Which models a policy can be imagined in, and what of that is of use.
#pragma once

#include <span>
#include <string>

#include "foreplan/data/observation_range.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/policies/squashed_gaussian.h"
#include "foreplan/systems/rewards/reward.h"

namespace foreplan {

/// Throws InputError, which starts with `who`, unless there are a model, whose state is what is
/// observed, and a reward, both of the policy's sizes.
void CheckImagines(const std::string& who, const SquashedGaussianPolicy& policy,
                   const Dynamics* dynamics, const Reward* reward);

/// Whether an imagined step is of use: the observation that it leads to is finite, in the range,
/// and with its encoding x nothing that networks cannot digest; the reward is finite.
[[nodiscard]] bool IsOfUse(std::span<const double> observation, const float* x, double reward,
                           const ObservationEncoder& encoder, const ObservationRange& range);

}  // namespace foreplan
