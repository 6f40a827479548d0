// The box that actions live in.
#pragma once

#include <utility>
#include <vector>

#include "foreplan/systems/environment.h"

namespace foreplan {

struct ActionBounds {
  ActionBounds() = default;
  ActionBounds(std::vector<double> lowest, std::vector<double> highest)
      : low(std::move(lowest)), high(std::move(highest)) {}
  ActionBounds(const EnvironmentSpec& spec)  // NOLINT(google-explicit-constructor): its part
      : low(spec.action_low), high(spec.action_high) {}

  std::vector<double> low;   // [nu]
  std::vector<double> high;  // [nu]
};

}  // namespace foreplan
