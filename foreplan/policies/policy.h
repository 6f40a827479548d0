// What maps an observation to an action.
#pragma once

#include <concepts>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// What is known when an action is due.
struct Situation {
  std::span<const double> observation;  // [no]
  int time = 0;                         // steps since the episode began
  Key key;                              // of this decision
};

class Policy {
 public:
  virtual ~Policy() = default;

  /// Called when an episode begins: what a policy remembers of the one before is forgotten. The
  /// default is for one that remembers nothing.
  virtual void Reset(Key /*key*/) {}

  virtual void Act(const Situation& situation, std::span<double> action) = 0;  // action: [nu]
};

/// What a policy is besides when it acts by the full state, which a simulator shows and nothing
/// else does. Whoever runs it shows it the state before every action, as RunEpisode does.
class Oracle {
 public:
  virtual ~Oracle() = default;

  virtual void See(std::span<const double> state) = 0;  // [state_dim], valid during the call
};

/// A policy that is an oracle by being given the full state in the place of the observation: what
/// plans on the true system, or tracks a plan of it.
template <std::derived_from<Policy> Base>
class OracleOf final : public Base, public Oracle {
 public:
  using Base::Base;
  explicit OracleOf(Base base) : Base(std::move(base)) {}

  void See(std::span<const double> state) override { state_.assign(state.begin(), state.end()); }
  void Act(const Situation& situation, std::span<double> action) override {
    Situation seen = situation;
    seen.observation = state_;
    Base::Act(seen, action);
  }

 private:
  std::vector<double> state_;  // [state_dim]
};

/// "uniform" (within the bounds), "gaussian" (sd half of the half range, clamped), "smooth" (noise
/// that is correlated over ten steps), "sweep" (sines of rising frequency), "zero".
/// Throws InputError for an unknown name.
std::unique_ptr<Policy> MakeBasePolicy(const std::string& name, const EnvironmentSpec& spec);
std::vector<std::string> BasePolicyNames();

}  // namespace foreplan
