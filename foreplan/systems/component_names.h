// Names of a system's components, and the columns of logged data that hold them.
#pragma once

#include <string>
#include <vector>

#include "foreplan/data/recording.h"
#include "foreplan/systems/system.h"

namespace foreplan {

[[nodiscard]] inline std::vector<std::string> Names(const std::vector<Component>& components) {
  std::vector<std::string> names;
  names.reserve(components.size());
  for (const Component& component : components) names.push_back(component.name);
  return names;
}

/// Columns by the names of the system's components, one row per control period.
[[nodiscard]] inline RecordingColumns ColumnsOf(const EnvironmentSpec& spec) {
  return {.observation = Names(spec.observation), .action = Names(spec.action), .dt = spec.dt};
}

}  // namespace foreplan
