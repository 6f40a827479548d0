// What the small models of tests have in common. For tests.
#pragma once

#include <algorithm>
#include <memory>
#include <span>

#include "foreplan/models/dynamics.h"

namespace foreplan::testing {

/// A deterministic model whose state is its observation; Step is left to write.
template <int kStates, int kActions>
class ObservedState : public Dynamics {
 public:
  [[nodiscard]] int state_dim() const override { return kStates; }
  [[nodiscard]] int observation_dim() const override { return kStates; }
  [[nodiscard]] int action_dim() const override { return kActions; }
  [[nodiscard]] bool observation_is_state() const override { return true; }
  [[nodiscard]] bool is_stochastic() const override { return false; }
  [[nodiscard]] std::unique_ptr<Workspace> MakeWorkspace(int /*max_rows*/) const override {
    return std::make_unique<Workspace>();
  }
  void Observe(std::span<const double> state, std::span<double> observation,
               Workspace& /*workspace*/) const override {
    std::ranges::copy(state, observation.begin());
  }
};

}  // namespace foreplan::testing
