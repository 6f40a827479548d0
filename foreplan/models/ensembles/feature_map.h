// How observations and actions become network inputs, and network outputs next observations.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "foreplan/data/normaliser.h"
#include "foreplan/models/observation_difference.h"
#include "foreplan/systems/input_expressions.h"
#include "foreplan/systems/system.h"
#include "foreplan/systems/task.h"

namespace foreplan {

/// The task's encoding, resolved to indices. Inputs: per observation component its value, or
/// (sin, cos) for angles, or nothing; then the action; then the encoding's expressions. Targets:
/// per component the change o' - o, of angles within [-pi, pi], for integrated components o' - (o +
/// dt rate) with the component that is their rate, or o' itself for absolute ones; 0 for those
/// whose motion is known.
class FeatureMap {
 public:
  /// Throws InputError for a name that is no observation component, or that has no rate.
  FeatureMap(const EnvironmentSpec& spec, const Encoding& encoding);
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
  /// Throws InputError that points into the expression whose input is not finite for that row of
  /// data; `when` says which row.
  void CheckFinite(const double* observation, const double* action, std::string_view when) const {
    if (expressions_) expressions_->CheckFinite(observation, action, when);
  }
  /// Which inputs are sines and cosines: [inputs].
  [[nodiscard]] std::vector<bool> SinesAndCosines() const;
  /// Derivatives of the encoding's expressions, for PullBack; nothing where there are none.
  /// jacobian: [expression_jacobian_size].
  void ExpressionJacobian(const double* observation, const double* action, double* jacobian) const;
  [[nodiscard]] size_t expression_jacobian_size() const;
  /// Chain rule through Input: from a row of derivatives by the inputs, [inputs], those by
  /// observation, [no], and action, [nu]. expression_jacobian may be null without expressions.
  void PullBack(const double* observation, const double* expression_jacobian,
                const double* by_input, double* by_observation, double* by_action) const;
  /// How a component of the observation enters.
  enum class Entry { kValue, kSinCos, kOmitted };
  [[nodiscard]] Entry entry(int component) const { return entry_[static_cast<size_t>(component)]; }
  /// Of the encoding; null where there are none.
  [[nodiscard]] const InputExpressions* expressions() const { return expressions_.get(); }
  /// 1 for components that are predicted as a difference, 0 for others: [no].
  [[nodiscard]] std::span<const double> kept() const { return kept_; }
  /// How far apart observations are.
  [[nodiscard]] const ObservationDifference& difference() const { return difference_; }
  /// Components that move on by dt times another, their rate, before the prediction is added.
  struct Integrated {
    int component = 0;
    int rate = 0;
  };
  [[nodiscard]] std::span<const Integrated> integrated() const { return integrated_; }
  [[nodiscard]] double dt() const { return dt_; }
  /// observation, next_observation, target: [no].
  void Target(const double* observation, const double* next_observation, double* target) const;
  /// Components that move as is known, whatever is predicted.
  [[nodiscard]] std::span<const KnownMotion> known() const { return known_; }
  /// Sets these.
  void Move(const double* observation, const double* action, double* next_observation) const {
    for (const KnownMotion& motion : known_) {
      next_observation[motion.component] = motion.Next(observation, action);
    }
  }
  /// next_observation from a predicted target, which it may be. All [no]; action: [nu].
  void Apply(const double* observation, const double* action, const double* target,
             double* next_observation) const {
    for (size_t i = 0; i < entry_.size(); ++i) {
      next_observation[i] = target[i] + (kept_[i] != 0 ? observation[i] : 0.0);
    }
    for (const auto [component, rate] : integrated_) {
      next_observation[component] += dt_ * observation[rate];
    }
    Move(observation, action, next_observation);
  }

 private:
  std::vector<Entry> entry_;  // [no]
  std::vector<double> kept_;  // [no]
  ObservationDifference difference_;
  std::vector<Integrated> integrated_;
  std::vector<KnownMotion> known_;
  std::shared_ptr<const InputExpressions> expressions_;  // or null
  double dt_ = 0;                                        // [s]
  int action_dim_;
  int inputs_ = 0;
};

}  // namespace foreplan
