// The vectors whose components expressions name, and names that they cannot use.
#pragma once

#include <span>

#include "foreplan/data/component.h"

namespace foreplan {

/// Whose components must outlive it: {spec.observation, spec.action, unobserved}.
struct ExpressionScope {
  std::span<const Component> observation;
  std::span<const Component> action;
  std::span<const Component> unobserved = {};
};

}  // namespace foreplan
