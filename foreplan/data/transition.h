// One step of an environment.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

namespace foreplan {

/// What comes after a step. A time limit is no termination: the state it leaves has a future, whose
/// value counts.
enum class StepEnd : uint8_t {
  kContinues,   // another step of the episode
  kTerminated,  // nothing: the task has ended in a state without a future
  kTruncated,   // nothing that was recorded: a time limit, a bound of the run, a failure
};

/// Spans are the caller's.
struct Transition {
  std::span<const double> observation;       // [no]
  std::span<const double> action;            // [nu], inside the bounds
  std::span<const double> next_observation;  // [no]
  int episode = 0;
  double reward =
      std::numeric_limits<double>::quiet_NaN();  // NaN: not known, as in logs without rewards
  StepEnd end = StepEnd::kContinues;
};

}  // namespace foreplan
