// How observations and actions become network inputs, and network outputs next observations.
#pragma once

#include <vector>

#include "foreplan/data/normaliser.h"
#include "foreplan/systems/system.h"
#include "foreplan/systems/task.h"

namespace foreplan {

/// The task's encoding, resolved to indices. Inputs: per observation component its value, or
/// (sin, cos) for angles, or nothing; then the action. Targets: per component the change
/// o' - o, or o' itself for absolute components.
class FeatureMap {
 public:
  /// Throws InputError for a name that is no observation component.
  FeatureMap(const SystemSpec& spec, const Encoding& encoding);
  /// Of observations alone, each component as it is.
  explicit FeatureMap(int observation_dim);

  [[nodiscard]] int observation_dim() const { return static_cast<int>(entry_.size()); }
  [[nodiscard]] int action_dim() const { return action_dim_; }
  [[nodiscard]] int inputs() const { return inputs_; }
  [[nodiscard]] int targets() const { return observation_dim(); }

  /// observation: [no], action: [nu], input: [inputs].
  void Input(const double* observation, const double* action, double* input) const;
  /// Normalised inputs of several rows, equal to Input's but for rounding (1e-15) before they are
  /// cut to float. observation: [rows x no], action: [rows x nu], input: [rows x inputs].
  void Inputs(int rows, const double* observation, const double* action,
              const Normaliser& normaliser, float* input) const;
  /// Which inputs are sines and cosines: [inputs].
  [[nodiscard]] std::vector<bool> SinesAndCosines() const;
  /// Chain rule through Input: from a row of derivatives by the inputs, [inputs], those by
  /// observation, [no], and action, [nu].
  void PullBack(const double* observation, const double* by_input, double* by_observation,
                double* by_action) const;
  /// Whether component i is predicted as such instead of as a difference.
  [[nodiscard]] bool is_absolute(int i) const { return kept_[static_cast<size_t>(i)] == 0; }
  /// 1 for components that are predicted as a difference, 0 for others: [no].
  [[nodiscard]] std::span<const double> kept() const { return kept_; }
  /// observation, next_observation, target: [no].
  void Target(const double* observation, const double* next_observation, double* target) const;
  /// next_observation from a predicted target; next_observation may be observation. All [no].
  void Apply(const double* observation, const double* target, double* next_observation) const {
    for (size_t i = 0; i < entry_.size(); ++i) {
      next_observation[i] = target[i] + (kept_[i] != 0 ? observation[i] : 0.0);
    }
  }

 private:
  enum class Entry { kValue, kSinCos, kOmitted };
  std::vector<Entry> entry_;  // [no]
  std::vector<double> kept_;  // [no]
  int action_dim_;
  int inputs_ = 0;
};

}  // namespace foreplan
