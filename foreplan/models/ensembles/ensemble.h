// Ensembles of dynamics networks (Chua et al. 2018, "PETS").
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/core/options.h"
#include "foreplan/data/normaliser.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/models/ensembles/feature_map.h"
#include "foreplan/nets/losses.h"
#include "foreplan/nets/mlp.h"
#include "foreplan/nets/prediction_kernel.h"

namespace foreplan {

/// Which member predicts a particle's next step (Chua et al. 2018, section 4.2).
enum class Propagation {
  kTsInf,        // a particle keeps its member for the whole rollout
  kTs1,          // members are dealt out anew to the particles at each step
  kExpectation,  // the mean of all members' means; no noise, one particle
};

/// Where a probabilistic member has the standard deviations of its noise from.
enum class MemberNoise {
  kPredicted,  // the network predicts them, other ones for every input
  kConstant,   // one per component, learned beside the network, the same for every input
};

/// Section [model].
struct EnsembleOptions {
  int members = 5;        // networks, 1 ... 64
  int hidden_layers = 3;  // 1 ... 8
  int width = 200;        // units per hidden layer, 1 ... 4096
  Activation activation = Activation::kSwish;
  bool layer_norm = false;    // hidden layers are normalised row by row (nets/mlp.h)
  bool probabilistic = true;  // mean and variance; else the mean only
  MemberNoise noise = MemberNoise::kPredicted;  // of probabilistic members
  bool normalise_targets = true;
  Propagation propagation = Propagation::kTsInf;
  std::string kernel = "auto";            // dense products: auto, onednn, eigen
  Precision precision = Precision::kF32;  // of predictions; training is always in float

  void Visit(OptionsVisitor& visitor);
};

/// Parameters of all members, and what predicts with them. Members are trained by EnsembleTrainer.
///
/// Member k's flat parameters are its network's (nets/mlp.h) and, for probabilistic members, the
/// bounds max and min of the log-variance, [no] each, or where noise is constant the log-variances
/// themselves, [no], of normalised targets.
class Ensemble final : public Dynamics {
 public:
  /// Throws InputError (options out of range or without effect, unknown component or kernel).
  Ensemble(const EnvironmentSpec& spec, const Encoding& encoding, const EnsembleOptions& options,
           Key key);

  // Dynamics: the state is the observation.
  [[nodiscard]] int state_dim() const override { return features_.observation_dim(); }
  [[nodiscard]] int observation_dim() const override { return features_.observation_dim(); }
  [[nodiscard]] int action_dim() const override { return features_.action_dim(); }
  [[nodiscard]] bool observation_is_state() const override { return true; }
  [[nodiscard]] bool is_stochastic() const override;
  [[nodiscard]] std::unique_ptr<Workspace> MakeWorkspace(int max_rows) const override;
  void Observe(std::span<const double> state, std::span<double> observation,
               Workspace& workspace) const override;
  void Step(const StepBatch& batch, Workspace& workspace) const override;
  [[nodiscard]] std::unique_ptr<Workspace> MakeDerivativeWorkspace(int max_rows) const override;
  /// The mean of all members' means, whatever the propagation.
  void StepMean(const StepBatch& batch, Workspace& workspace) const override;
  /// Exact Jacobian of StepMean.
  void Linearize(const LinearizeBatch& batch, Workspace& workspace) const override;

  /// Exact, noise and predicted deviations included.
  [[nodiscard]] std::unique_ptr<RolloutTape> MakeTape(int max_rows, int steps) const override;

  /// The member that predicts the batch's particle at its time. Every member is as likely as every
  /// other, however few particles there are; where there are as many or a multiple, the particles
  /// are shared out evenly.
  [[nodiscard]] int MemberOf(const StepBatch& batch) const;
  /// One member's prediction of the target (the change of the observation, or the next one for
  /// absolute components) and its standard deviation (0 for deterministic members).
  /// observation: [rows x no], action: [rows x nu]; mean, deviation: [rows x no].
  void PredictTarget(int member, int rows, const double* observation, const double* action,
                     double* mean, double* deviation, Workspace& workspace) const;

  [[nodiscard]] const EnsembleOptions& options() const { return options_; }
  [[nodiscard]] const FeatureMap& features() const { return features_; }
  [[nodiscard]] const Mlp& mlp() const { return mlp_; }
  [[nodiscard]] const DenseKernel& training_kernel() const { return training_kernel_; }
  [[nodiscard]] const PredictionKernel& prediction_kernel() const { return prediction_kernel_; }
  [[nodiscard]] int members() const { return options_.members; }
  /// Of a probabilistic ensemble one is true, of a deterministic one none.
  [[nodiscard]] bool predicts_noise() const {
    return options_.probabilistic && options_.noise == MemberNoise::kPredicted;
  }
  [[nodiscard]] bool has_constant_noise() const {
    return options_.probabilistic && options_.noise == MemberNoise::kConstant;
  }
  [[nodiscard]] int member_parameters() const;  // size of one member's flat parameters
  /// Who writes here calls Pack afterwards; until then the member predicts as before.
  [[nodiscard]] std::span<float> parameters(int member);
  [[nodiscard]] std::span<const float> parameters(int member) const;
  [[nodiscard]] LogVarianceBounds bounds(int member) const;
  /// Bounds within a member's parameters, its own or ones in the making: [member_parameters].
  [[nodiscard]] LogVarianceBounds BoundsIn(std::span<const float> parameters) const;
  /// What stands behind a network in a member's parameters: bounds, or constant log-variances.
  template <typename Float>
  [[nodiscard]] std::span<Float> NoiseIn(std::span<Float> parameters) const {
    return parameters.subspan(static_cast<size_t>(mlp_.parameters()));
  }
  /// Constant standard deviations of a member's normalised targets: [no].
  void ConstantDeviations(int member, std::span<float> deviation) const;
  /// Lays the member's parameters out for prediction. Members may be packed at the same time.
  void Pack(int member);
  /// Predicts with what a fit has found from now on: [members x member_parameters], and normalisers
  /// of as many columns as there were. All at once, and without a throw.
  void Replace(std::vector<float> parameters, Normaliser input, Normaliser target) noexcept;
  [[nodiscard]] Normaliser& input_normaliser() { return input_normaliser_; }
  [[nodiscard]] const Normaliser& input_normaliser() const { return input_normaliser_; }
  [[nodiscard]] Normaliser& target_normaliser() { return target_normaliser_; }
  [[nodiscard]] const Normaliser& target_normaliser() const { return target_normaliser_; }

  /// Parameters and normalisers, under names that start with "model.".
  void Save(TensorFile& file) const;
  /// Throws InputError when names or shapes do not fit this ensemble, or numbers no model: weights
  /// and means that are not finite, scales that are not positive, or when the file is of networks
  /// of another kind. It then stays as it was.
  void Restore(const TensorFile& file);

 private:
  struct Buffers;
  struct DerivativeBuffers;

  /// Of normalised targets: the network's outputs, and the member's deviations in the buffers, 0
  /// for deterministic members.
  Prediction PredictNormalised(int member, int rows, const double* observation,
                               const double* action, Buffers& buffers) const;
  void StepExpectation(const StepBatch& batch, Buffers& buffers) const;
  void StepMember(int member, const StepBatch& batch, Buffers& buffers) const;
  void AddJacobian(int member, const LinearizeBatch& batch, DerivativeBuffers& buffers) const;
  [[nodiscard]] std::span<std::byte> packed(int member);
  [[nodiscard]] std::span<const std::byte> packed(int member) const;

  EnsembleOptions options_;
  FeatureMap features_;
  Mlp mlp_;
  const DenseKernel& training_kernel_;
  const PredictionKernel& prediction_kernel_;
  Normaliser input_normaliser_;
  Normaliser target_normaliser_;
  std::vector<float> parameters_;    // [members x member_parameters]
  size_t packed_bytes_;              // of one member, a multiple of a cache line
  AlignedVector<std::byte> packed_;  // [members x packed_bytes], what prediction reads
};

}  // namespace foreplan
