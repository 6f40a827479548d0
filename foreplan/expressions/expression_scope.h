// The vectors whose components expressions name.
#pragma once

#include <span>

#include "foreplan/data/component.h"

namespace foreplan {

/// Whose components must outlive it: {spec.observation, spec.action}.
struct ExpressionScope {
  std::span<const Component> observation;
  std::span<const Component> action;
};

}  // namespace foreplan
