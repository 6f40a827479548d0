// What a policy would do, as candidates for a planner.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "foreplan/models/dynamics.h"

namespace foreplan {

/// Gives planners action sequences to begin with: sampling planners look at them with the
/// candidates of their first iteration, iLQR with its guesses. They are judged like all others, so
/// a bad proposal costs its places and no more.
class PolicyProposal {
 public:
  virtual ~PolicyProposal() = default;

  /// Writes at most as many sequences as there is room for, at least one, and returns how many.
  /// They are clamped to the bounds, with the middle for what is no number. state: [state_dim];
  /// sequences: [room x horizon x nu]. Called by the planner's thread, once a decision.
  virtual int Propose(std::span<const double> state, int horizon, std::span<double> sequences) = 0;
};

/// One sequence: the actions of a policy along the expected next states of a model,
///   u_t = pi(o_t),  x_{t+1} = E[f(x_t, u_t)].
/// It is for the policy to keep to the bounds of the actions. Allocates only when it is made, and
/// when it gets another model.
class PolicyRollout final : public PolicyProposal {
 public:
  /// pi; may keep a state of its own.
  using Policy = std::function<void(std::span<const double> observation, std::span<double> action)>;

  PolicyRollout(std::shared_ptr<const Dynamics> dynamics, Policy policy);

  /// From now on another version of the model. Throws InputError unless it has the same sizes.
  void set_dynamics(std::shared_ptr<const Dynamics> dynamics);
  int Propose(std::span<const double> state, int horizon, std::span<double> sequences) override;

 private:
  std::shared_ptr<const Dynamics> dynamics_;
  Policy policy_;
  std::unique_ptr<Dynamics::Workspace> workspace_;
  std::vector<double> state_, next_state_;              // [state_dim]
  std::vector<double> observation_, next_observation_;  // [no]
};

}  // namespace foreplan
