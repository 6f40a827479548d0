// What a learned reward sees of a transition.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "foreplan/data/dataset.h"
#include "foreplan/models/ensembles/feature_map.h"
#include "foreplan/systems/encoding.h"
#include "foreplan/systems/environment.h"

namespace foreplan {

/// Inputs of a transition (o, u, o'), in this order:
///   o and u as the dynamics sees them: angles as (sin, cos), without what the encoding omits, with
///   its expressions;
///   o', angles as (sin, cos), with all components: a reward may be of a place of which the motion
///   is no function;
///   o' - o of components that the encoding omits, but predicts as a difference: a reward may be of
///   how fast one moves from place to place.
class TransitionFeatures {
 public:
  /// Throws InputError for a name that is no observation component.
  TransitionFeatures(const EnvironmentSpec& spec, const Encoding& encoding);

  [[nodiscard]] int observation_dim() const { return before_.observation_dim(); }
  [[nodiscard]] int action_dim() const { return before_.action_dim(); }
  /// nz = 2 no + nu, the size of z = (o, u, o').
  [[nodiscard]] int variables() const { return 2 * observation_dim() + action_dim(); }
  [[nodiscard]] int inputs() const;

  /// o, o': [no]; u: [nu]; input: [inputs].
  void Input(const double* observation, const double* action, const double* next_observation,
             double* input) const;

  [[nodiscard]] size_t expression_jacobian_size() const {
    return before_.expression_jacobian_size();
  }
  /// Chain rule through Input: from derivatives by the inputs, [inputs], those by z: [nz].
  /// expression_jacobian: room for as many numbers as its size.
  void PullBack(const double* observation, const double* action, const double* next_observation,
                const double* by_input, double* by_transition, double* expression_jacobian) const;

  /// By how much each of z must change to move one of the inputs that it enters by its deviation,
  /// the one that moves first: from scale [inputs], at z = 0; 1 where it enters none: [nz].
  [[nodiscard]] std::vector<double> Deviations(std::span<const double> scale) const;

  /// Throws RunError naming expression and row where an input of the data is not finite.
  void CheckFinite(const Dataset& data) const;

 private:
  FeatureMap before_;            // of (o, u)
  FeatureMap after_;             // of o'
  std::vector<size_t> changes_;  // components whose o' - o is an input
};

}  // namespace foreplan
