// How far planners look ahead, said in seconds.
#pragma once

#include <optional>
#include <string>

#include "foreplan/core/config.h"
#include "foreplan/core/options.h"

namespace foreplan {

/// Section [planner]: what holds for every planner.
struct HorizonOptions {
  double horizon_seconds = 0;  // what every planner looks ahead by [s]; 0: its own horizon's steps

  void Visit(OptionsVisitor& visitor);
};

/// Steps that [planner] horizon_seconds asks of that planner, the nearest number of steps of the
/// task's period; none where it is absent, or a later assignment gives the planner a `horizon` of
/// its own. Throws InputError where one file or assignment says both, where no task was read from
/// the configuration, and where no step or more than a planner takes would come of it.
std::optional<int> StepsOfHorizonSeconds(const std::string& planner, Config& config);

}  // namespace foreplan
