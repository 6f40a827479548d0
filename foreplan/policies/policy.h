// What maps an observation to an action.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// What is known when an action is due.
struct Situation {
  std::span<const double> observation;  // [no]
  std::span<const double> state;        // the system's full state; only oracles may look at it
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

/// "uniform" (within the bounds), "gaussian" (sd half of the half range, clamped), "smooth" (noise
/// that is correlated over ten steps), "sweep" (sines of rising frequency), "zero".
/// Throws InputError for an unknown name.
std::unique_ptr<Policy> MakeBasePolicy(const std::string& name, const EnvironmentSpec& spec);
std::vector<std::string> BasePolicyNames();

}  // namespace foreplan
