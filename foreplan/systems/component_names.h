// Names of a system's components, and the columns of logged data that hold them.
#pragma once

#include <algorithm>
#include <iterator>
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

[[nodiscard]] inline std::vector<std::string> Units(const std::vector<Component>& components) {
  std::vector<std::string> units;
  units.reserve(components.size());
  for (const Component& component : components) units.push_back(component.unit);
  return units;
}

/// What of a system's state has a name and is not observed.
[[nodiscard]] inline std::vector<Component> Unobserved(const SystemSpec& spec) {
  std::vector<Component> unobserved;
  std::ranges::copy_if(spec.state, std::back_inserter(unobserved), [&](const Component& component) {
    return std::ranges::find(spec.observation, component.name, &Component::name) ==
           spec.observation.end();
  });
  return unobserved;
}

/// Columns by the names of the system's components and in their units, one row per control period.
[[nodiscard]] inline RecordingColumns ColumnsOf(const EnvironmentSpec& spec) {
  return {.observation = Names(spec.observation),
          .action = Names(spec.action),
          .dt = spec.dt,
          .observation_units = Units(spec.observation),
          .action_units = Units(spec.action)};
}

}  // namespace foreplan
