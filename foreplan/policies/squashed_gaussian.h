// Policies that are normal distributions squashed into the bounds of the actions.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/nets/mlp.h"
#include "foreplan/policies/observation_encoder.h"
#include "foreplan/policies/policy.h"

namespace foreplan {

/// Section [actor_critic.policy].
struct SquashedGaussianOptions {
  int hidden_layers = 3;               // 1 ... 8
  int width = 256;                     // units per hidden layer, 1 ... 4096
  std::string kernel = "auto";         // dense products: auto, onednn, eigen
  std::vector<std::string> omit = {};  // observation components that the policy does not see

  void Visit(OptionsVisitor& visitor);
};

/// Actions of one row, in half ranges: with the network's outputs (mu, rho) and xi ~ N(0, I),
///   sigma = softplus(rho) + 1e-5,  z = mu + sigma xi,  a = tanh z,
///   ln pi(a|o) = sum_j -xi_j^2/2 - ln sigma_j - ln(2 pi)/2 - ln(1 - a_j^2),
///   ln(1 - tanh^2 z) = 2 (ln 2 - z - softplus(-2 z))
/// (Haarnoja et al. 2018, appendix C), from z, as a may round to 1.
struct SquashedGaussian {
  static constexpr double kLeastDeviation = 1e-5;

  /// output: [2 nu], noise: [nu]; action and deviation (sigma): [nu]. Returns ln pi.
  static double Draw(int nu, const float* output, const double* noise, double* action,
                     double* deviation);
  /// From a gradient by the action of what Draw drew, by_action: [nu], that of
  ///   (what depends on the action) - entropy_weight ln pi
  /// by the network's outputs, the noise held: d_output: [2 nu].
  static void PullBack(int nu, const float* output, const double* noise, const double* action,
                       const double* deviation, const double* by_action, double entropy_weight,
                       float* d_output);
};

/// u = middle + half range * a, a as SquashedGaussian draws it; the mean action is tanh mu. Which
/// observations it may see, and how, is the encoder's. Parameters alone: SquashedActor acts by
/// them. Trained by ActorCritic.
class SquashedGaussianPolicy {
 public:
  /// Bounds: [nu] each. Throws InputError (options, bounds that are infinite or empty).
  SquashedGaussianPolicy(const FeatureMap& features, std::span<const double> low,
                         std::span<const double> high, const SquashedGaussianOptions& options,
                         Key key);

  [[nodiscard]] int observation_dim() const { return encoder_.observation_dim(); }
  [[nodiscard]] int action_dim() const { return static_cast<int>(middle_.size()); }
  [[nodiscard]] const Mlp& mlp() const { return mlp_; }
  [[nodiscard]] const DenseKernel& kernel() const { return kernel_; }
  [[nodiscard]] const ObservationEncoder& encoder() const { return encoder_; }
  [[nodiscard]] std::span<float> parameters() { return parameters_; }
  [[nodiscard]] std::span<const float> parameters() const { return parameters_; }
  [[nodiscard]] double low(int i) const { return low_[static_cast<size_t>(i)]; }
  [[nodiscard]] double high(int i) const { return high_[static_cast<size_t>(i)]; }
  /// d u_i / d a_i.
  [[nodiscard]] double half_range(int i) const { return half_range_[static_cast<size_t>(i)]; }
  /// From half ranges to the task's units, within the bounds where rounding would leave them, and
  /// back: [nu] each.
  void ToTask(const double* action, double* task_action) const;
  void FromTask(const double* task_action, double* action) const;
  /// The scale in which an untrained policy sees observations: another function.
  void set_scale(Normaliser normaliser) { encoder_.normaliser() = std::move(normaliser); }
  /// Sees observations in another scale from now on, and stays the function that it is.
  void Rescale(const Normaliser& normaliser);

  /// Weights and normaliser, under names that start with `prefix`.
  void Save(const std::string& prefix, TensorFile& file) const;
  /// Throws InputError naming what is missing, of another size, or no number that it can be; the
  /// policy is then as it was.
  void Restore(const std::string& prefix, const TensorFile& file);

 private:
  ObservationEncoder encoder_;
  std::vector<double> low_, high_, middle_, half_range_;  // [nu]
  Mlp mlp_;
  const DenseKernel& kernel_;
  std::vector<float> parameters_;
};

enum class PolicyAction {
  kMean,     // within the bounds
  kSampled,  // with the policy's noise
};

/// Acts by a squashed Gaussian policy as it is at the time. Several may share one policy.
class SquashedActor final : public Policy {
 public:
  /// The policy must outlive the actor.
  SquashedActor(const SquashedGaussianPolicy& policy, PolicyAction action);

  void Act(const Situation& situation, std::span<double> action) override;
  /// ln pi of the action that was sampled last, in half ranges.
  [[nodiscard]] double log_density() const { return log_density_; }

 private:
  const SquashedGaussianPolicy& policy_;
  PolicyAction action_;
  MlpGradient network_;                                  // of one row
  std::vector<float> input_;                             // [inputs]
  std::vector<double> noise_, half_action_, deviation_;  // [nu]
  double log_density_ = 0;
};

}  // namespace foreplan
