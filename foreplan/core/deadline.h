// When work has to end.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <utility>

namespace foreplan {

/// A moment; none: never.
using Deadline = std::optional<std::chrono::steady_clock::time_point>;

[[nodiscard]] inline bool HasPassed(const Deadline& deadline) {
  return deadline && std::chrono::steady_clock::now() >= *deadline;
}

/// A moment, or whenever another thread asks for it.
struct Cutoff {
  Cutoff(Deadline at = {}, std::stop_token asked = {})  // NOLINT(google-explicit-constructor)
      : deadline(at), stop(std::move(asked)) {}

  Deadline deadline;
  std::stop_token stop;

  [[nodiscard]] bool IsReached() const { return stop.stop_requested() || HasPassed(deadline); }
};

}  // namespace foreplan
