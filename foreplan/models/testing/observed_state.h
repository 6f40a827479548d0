// What the small models of tests have in common. For tests.
#pragma once

#include "foreplan/models/dynamics.h"

namespace foreplan::testing {

/// A deterministic model whose state is its observation; Step is left to write.
template <int kStates, int kActions>
class ObservedState : public Dynamics {
 public:
  [[nodiscard]] int state_dim() const override { return kStates; }
  [[nodiscard]] int action_dim() const override { return kActions; }
};

}  // namespace foreplan::testing
