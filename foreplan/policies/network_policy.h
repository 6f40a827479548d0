// Policies that are networks.
#pragma once

#include <Eigen/Core>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/data/normaliser.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/models/ensembles/feature_map.h"
#include "foreplan/models/local/rollout_view.h"
#include "foreplan/nets/mlp.h"
#include "foreplan/nets/mlp_jacobian.h"
#include "foreplan/policies/linear_gaussian.h"
#include "foreplan/policies/observation_encoder.h"
#include "foreplan/policies/policy.h"

namespace foreplan {

/// What follows the network's last layer.
enum class PolicyOutput {
  kNone,  // scaled to the actions that it learned from
  kTanh,  // from one bound to the other
};

/// Section [policy].
struct NetworkPolicyOptions {
  int hidden_layers = 2;  // 1 ... 8
  int width = 64;         // units per hidden layer, 1 ... 4096
  PolicyOutput output = PolicyOutput::kNone;
  std::string kernel = "auto";  // dense products: auto, onednn, eigen

  void Visit(OptionsVisitor& visitor);
};

/// u ~ N(pi(x), covariance): a network's mean and one covariance for all states and times, 0 at
/// first. x is the observation; the network sees its features. Trained by PolicyTrainer from
/// teachers and by PolicyGradientTrainer through a model.
class NetworkPolicy final : public Policy {
 public:
  /// Bounds: [nu] each. Throws InputError (options, sizes, infinite bounds for tanh).
  NetworkPolicy(int nx, std::span<const double> low, std::span<const double> high,
                const NetworkPolicyOptions& options, Key key);
  /// Sees features of the observation instead of its components; they take no action.
  NetworkPolicy(const FeatureMap& features, std::span<const double> low,
                std::span<const double> high, const NetworkPolicyOptions& options, Key key);

  [[nodiscard]] int state_dim() const { return encoder_.observation_dim(); }
  [[nodiscard]] int action_dim() const { return mlp_.outputs(); }
  [[nodiscard]] const Eigen::MatrixXd& covariance() const { return covariance_; }
  /// [nu x nu]. Throws InputError unless symmetric and positive semidefinite.
  void set_covariance(const Eigen::MatrixXd& covariance);

  /// pi at states, one per column: [nx x rows] -> [nu x rows].
  void Mean(const Eigen::Ref<const Eigen::MatrixXd>& states, Eigen::MatrixXd& actions);
  /// The same, and d pi / d x one below the other: [nu rows x nx].
  void Linearize(const Eigen::Ref<const Eigen::MatrixXd>& states, Eigen::MatrixXd& actions,
                 Eigen::MatrixXd& jacobians);
  /// pi at a state [nx] plus noise in units of the policy's deviations [nu].
  [[nodiscard]] Eigen::VectorXd MeanPlusNoise(const Eigen::Ref<const Eigen::VectorXd>& state,
                                              const Eigen::Ref<const Eigen::VectorXd>& noise);

  // Policy
  void Reset(Key /*key*/) override {}
  void Act(const Situation& situation, std::span<double> action) override;
  /// Without noise, clamped to the bounds as well.
  void ActByMean(std::span<const double> observation, std::span<double> action);

  /// Weights, normalisers, covariance, under names that start with `prefix`.
  void Save(const std::string& prefix, TensorFile& file) const;
  /// Throws InputError naming what is missing, of another size, or no number that it can be; the
  /// policy is then as it was.
  void Restore(const std::string& prefix, const TensorFile& file);

  // What a trainer needs.
  [[nodiscard]] const Mlp& mlp() const { return mlp_; }
  [[nodiscard]] const DenseKernel& kernel() const { return kernel_; }
  [[nodiscard]] std::span<float> parameters() { return parameters_; }
  [[nodiscard]] std::span<const float> parameters() const { return parameters_; }
  /// How the network sees states.
  [[nodiscard]] const ObservationEncoder& encoder() const { return encoder_; }
  [[nodiscard]] ObservationEncoder& encoder() { return encoder_; }
  [[nodiscard]] const FeatureMap& features() const { return encoder_.features(); }
  [[nodiscard]] double low(int i) const { return low_[static_cast<size_t>(i)]; }
  [[nodiscard]] double high(int i) const { return high_[static_cast<size_t>(i)]; }
  /// Of the features.
  [[nodiscard]] Normaliser& input_normaliser() { return encoder_.normaliser(); }
  [[nodiscard]] const Normaliser& input_normaliser() const { return encoder_.normaliser(); }
  [[nodiscard]] PolicyOutput output() const { return options_.output; }
  [[nodiscard]] const Normaliser& output_normaliser() const { return output_; }
  [[nodiscard]] Normaliser& output_normaliser() { return output_; }
  /// Action i of the network's output y, and its derivative.
  struct Squashed {
    double action, slope;
  };
  [[nodiscard]] Squashed Squash(int i, double y) const;
  /// An affine output learns its scale from actions, one per column: [nu x rows].
  void ScaleOutput(const Eigen::Ref<const Eigen::MatrixXd>& actions);

 private:
  void Evaluate(const Eigen::Ref<const Eigen::MatrixXd>& states, Eigen::MatrixXd& actions,
                Eigen::MatrixXd* jacobians);
  void Clamp(std::span<double> action) const;
  /// As set_covariance; `name` is that in messages.
  void SetCovariance(const Eigen::MatrixXd& covariance, const std::string& name);

  NetworkPolicyOptions options_;
  ObservationEncoder encoder_;
  std::vector<double> low_, high_;  // [nu]
  Mlp mlp_;
  const DenseKernel& kernel_;
  std::vector<float> parameters_;
  Normaliser output_;  // of kNone
  Eigen::MatrixXd covariance_;
  Eigen::MatrixXd root_;  // L of covariance = L L'
  MlpJacobian network_;
  std::vector<float> inputs_;       // [rows at a time x inputs]
  std::vector<double> by_input_;    // [inputs]
  std::vector<double> by_state_;    // [nx]
  Eigen::MatrixXd state_, action_;  // of Act
};

/// A network policy without its noise.
class MeanPolicy final : public Policy {
 public:
  /// The policy must outlive this one.
  explicit MeanPolicy(NetworkPolicy& policy) : policy_(policy) {}

  void Reset(Key /*key*/) override {}
  void Act(const Situation& situation, std::span<double> action) override {
    policy_.ActByMean(situation.observation, action);
  }

 private:
  NetworkPolicy& policy_;
};

/// The policy's linearisation along rollouts, for steps that need a linear-Gaussian policy: at
/// every time 0 ... T - 1 the mean of its actions and Jacobians over the rollouts, its covariance
/// as noise.
[[nodiscard]] LinearGaussianPolicy LinearizeAlong(NetworkPolicy& policy,
                                                  const RolloutView& rollouts);

}  // namespace foreplan
