#include "foreplan/critics/imagined_model.h"

#include <fmt/format.h>

#include <cmath>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/models/imagination.h"

namespace foreplan {

void CheckImagines(const std::string& who, const SquashedGaussianPolicy& policy,
                   const Dynamics* dynamics, const Reward* reward) {
  CheckModelAndReward(who, dynamics, reward);
  if (!dynamics->observation_is_state()) {
    throw InputError(who +
                     ": dynamics: found a model whose state is not what is observed, expected one "
                     "of observations");
  }
  if (dynamics->observation_dim() == policy.observation_dim() &&
      dynamics->action_dim() == policy.action_dim()) {
    return;
  }
  throw InputError(
      fmt::format("{}: dynamics: found a model of {} observed numbers and {} actions, expected the "
                  "policy's {} and {}",
                  who, dynamics->observation_dim(), dynamics->action_dim(),
                  policy.observation_dim(), policy.action_dim()));
}

bool IsOfUse(std::span<const double> observation, const float* x, double reward,
             const ObservationEncoder& encoder, const ObservationRange& range) {
  return AllFinite(observation) && range.Holds(observation) && encoder.IsDigestible(x) &&
         std::isfinite(reward);
}

}  // namespace foreplan
