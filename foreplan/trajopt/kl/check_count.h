// A check of sizes that files of this folder share.
#pragma once

#include <fmt/format.h>

#include "foreplan/core/error.h"

namespace foreplan {

inline void CheckTrajectoryCount(const char* what, size_t found, size_t expected) {
  if (found == expected) return;
  throw InputError(fmt::format("trajectory: {}: found {}, expected {}", what, found, expected));
}

}  // namespace foreplan
