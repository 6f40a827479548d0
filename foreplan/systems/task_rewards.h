// The rewards of a task, made of what its definition says.
#pragma once

#include <memory>

#include "foreplan/systems/rewards/reward.h"
#include "foreplan/systems/task_definition.h"

namespace foreplan {

struct TaskRewards {
  /// Reward and termination; where the environment pays, the termination alone, or null.
  std::shared_ptr<const Reward> reward;
  std::shared_ptr<const Reward> planning;  // null: learned
  bool environment_pays = false;
};

/// Throws InputError, with the place of a text, for what is no reward, does not fit the sizes, or
/// is not finite where an episode of `system` begins; null: nobody knows where that is.
TaskRewards MakeTaskRewards(const TaskDefinition& definition, const EnvironmentSpec& spec,
                            const System* system);

/// Whether a text is the name of a reward, shipped or registered.
bool IsRewardName(const std::string& text);

}  // namespace foreplan
