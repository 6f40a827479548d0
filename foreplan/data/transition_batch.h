// Transitions as rewards and expressions read them.
#pragma once

namespace foreplan {

/// How many numbers the vectors of a transition have.
struct TransitionSizes {
  int observation = 0;
  int action = 0;

  friend bool operator==(const TransitionSizes&, const TransitionSizes&) = default;
};

/// Row-major rows of transitions.
struct TransitionBatch {
  int rows = 0;
  const double* observation = nullptr;       // [rows x no]
  const double* action = nullptr;            // [rows x nu], inside the bounds
  const double* next_observation = nullptr;  // [rows x no]
};

}  // namespace foreplan
