// What planners plan with, as it stands at one time.
#pragma once

#include <memory>

#include "foreplan/models/dynamics.h"
#include "foreplan/systems/rewards/reward.h"

namespace foreplan {

/// A version of a model, and of the reward that was learned from the same data.
struct ModelVersion {
  std::shared_ptr<const Dynamics> dynamics;
  std::shared_ptr<const Reward> reward = {};  // null: not learned, the one there is stays
};

}  // namespace foreplan
