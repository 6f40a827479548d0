// The moment at which work has to end.
#pragma once

#include <chrono>
#include <optional>

namespace foreplan {

/// None: never.
using Deadline = std::optional<std::chrono::steady_clock::time_point>;

[[nodiscard]] inline bool HasPassed(const Deadline& deadline) {
  return deadline && std::chrono::steady_clock::now() >= *deadline;
}

}  // namespace foreplan
