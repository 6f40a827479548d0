// Components of a vector in documents and files.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "foreplan/data/component.h"

namespace foreplan {

/// [{"name", "unit"}, ...].
[[nodiscard]] inline nlohmann::ordered_json ComponentsJson(
    const std::vector<Component>& components) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Component& component : components) {
    list.push_back({{"name", component.name}, {"unit", component.unit}});
  }
  return list;
}

}  // namespace foreplan
