// A planned trajectory as a table and as a figure.
#pragma once

#include <string>
#include <vector>

#include "foreplan/systems/system.h"

namespace foreplan {

struct PlannedTrajectory {
  int steps = 0;
  std::vector<double> observations;  // [steps + 1 x no]
  std::vector<double> actions;       // [steps x nu]
  std::vector<double> rewards;       // [steps]
};

/// One row per step: time [s], observation, action, reward; the last row holds the end.
std::string TrajectoryCsv(const EnvironmentSpec& spec, const PlannedTrajectory& trajectory);

/// One panel per component over time, observations first; bounds of actions as dashed lines.
std::string TrajectorySvg(const std::string& title, const EnvironmentSpec& spec,
                          const PlannedTrajectory& trajectory);

}  // namespace foreplan
