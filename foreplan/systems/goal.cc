#include "foreplan/systems/goal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "foreplan/core/error.h"
#include "foreplan/systems/component_names.h"

namespace foreplan {

void GoalOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("distance", distance, "name of the distance of components and target");
  visitor.Field("components", components, "observation components; none: no goal");
  visitor.Field("target", target, {}, "as many numbers");
  visitor.Field("success", success, "name of: success_component, or the distance, < success_below");
  visitor.Field("success_component", success_component,
                "observation component; empty: the distance");
  visitor.Field("success_below", success_below, {}, "at the end of an episode");
}

Goal::Goal(const std::string& where, const GoalOptions& options, const EnvironmentSpec& spec)
    : options_(options) {
  if (options.components.empty()) return;
  const std::vector<std::string> known = Names(spec.observation);
  const auto place = [&](const char* key, const std::string& name) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found != known.end()) return static_cast<size_t>(found - known.begin());
    throw UnknownName(fmt::format("{}: goal.{}", where, key), "observation component", name, known);
  };
  for (const std::string& name : options.components) places_.push_back(place("components", name));
  if (!options.success_component.empty()) {
    success_place_ = place("success_component", options.success_component);
  }
  if (options.target.size() != places_.size()) {
    throw InputError(fmt::format("{}: goal.target: found {} numbers, expected {}", where,
                                 options.target.size(), places_.size()));
  }
}

double Goal::Distance(std::span<const double> observation) const {
  double square = 0;
  for (size_t i = 0; i < places_.size(); ++i) {
    const double difference = observation[places_[i]] - options_.target[i];
    square += difference * difference;
  }
  return std::sqrt(square);
}

bool Goal::Reached(std::span<const double> observation) const {
  const double value = success_place_ ? observation[*success_place_] : Distance(observation);
  return value < options_.success_below;
}

}  // namespace foreplan
