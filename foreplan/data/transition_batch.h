// Transitions as rewards and expressions read them.
#pragma once

namespace foreplan {

/// Row-major rows of transitions.
struct TransitionBatch {
  int rows = 0;
  const double* observation = nullptr;       // [rows x no]
  const double* action = nullptr;            // [rows x nu], inside the bounds
  const double* next_observation = nullptr;  // [rows x no]
};

}  // namespace foreplan
