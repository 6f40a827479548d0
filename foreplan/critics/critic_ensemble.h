// Several critics of one policy, and their targets.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/data/normaliser.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/nets/mlp.h"
#include "foreplan/nets/parallel_adam.h"

namespace foreplan {

/// Section [actor_critic.critic].
struct CriticOptions {
  int critics = 5;              // 1 ... 64
  int hidden_layers = 3;        // 1 ... 8
  int width = 256;              // units per hidden layer, 1 ... 4096
  bool layer_norm = true;       // of hidden units, before the next product
  double learning_rate = 3e-4;  // Adam's
  double target_rate = 0.005;   // tau
  bool bounded = true;          // Q in units of, and targets clamped to, what rewards allow
  double bounds_rate = 3e-4;    // of their moving average
  std::string kernel = "auto";  // dense products: auto, onednn, eigen

  void Visit(OptionsVisitor& visitor);
};

/// From what rewards allow: with q_0.01 and q_0.99 the quantiles of a batch of soft rewards (on the
/// line between neighbours), over 1 - gamma,
///   low <- (1 - rate) low + rate q_0.01 / (1 - gamma), high likewise; the first batch sets them.
///   Q = (high + low) / 2 + (high - low) / 2 net(x).
/// What ends earns nothing more: of a batch in which some did, the lower one is at most 0 and the
/// upper one at least, or states on the verge would be worth what others earn for ever.
struct ValueBounds {
  double low = 0;
  double high = 0;
  bool known = false;

  /// Rewards are reordered; none changes nothing. Throws nothing; rewards must be finite.
  void Observe(std::span<double> rewards, double discount, double rate, bool some_ended = false);
  [[nodiscard]] double middle() const { return known ? 0.5 * (high + low) : 0; }
  [[nodiscard]] double half_range() const { return known ? 0.5 * (high - low) : 1; }
  /// Q of a network's output.
  [[nodiscard]] double Value(double output) const { return middle() + half_range() * output; }
  [[nodiscard]] double Clamp(double q) const;
};

/// A row of what critics see: (x, a), x an encoded observation, a the action in half ranges.
void FillCriticInput(std::span<const float> x, std::span<const double> action, float* input);

/// What one step of the critics did.
struct CriticReport {
  double loss = 0;           // mean over rows and critics of (Q - y)^2
  double value = 0;          // mean of Q
  double gradient_norm = 0;  // of all critics together
  bool valid = true;         // false: a gradient was not finite, nothing was changed
};

/// Q_k(x, a), k < K: networks of (x, a), x an encoded observation, a the action in half ranges. In
/// the units of the bounds, whose network begins at 0 everywhere (last layer 0). Targets follow
/// with phi' <- (1 - tau) phi' + tau phi after every step. Trained on
///   mean over rows of sum over k of (Q_k(x, a) - y)^2.
class CriticEnsemble {
 public:
  /// Rows of a batch are cut into so many parts, whose gradients are summed in their order: the
  /// bits do not depend on the number of threads.
  static constexpr int kRowParts = 2;

  /// batch: most rows of a step. Throws InputError (options).
  CriticEnsemble(int observation_inputs, int action_dim, const CriticOptions& options, int batch,
                 Key key, std::shared_ptr<Executor> executor);
  ~CriticEnsemble();

  [[nodiscard]] int critics() const { return options_.critics; }
  [[nodiscard]] int inputs() const { return mlp_.inputs(); }
  [[nodiscard]] int observation_inputs() const { return observation_inputs_; }
  [[nodiscard]] const CriticOptions& options() const { return options_; }
  [[nodiscard]] const Mlp& mlp() const { return mlp_; }
  [[nodiscard]] const DenseKernel& kernel() const { return kernel_; }
  [[nodiscard]] std::span<const float> parameters(int critic) const;
  [[nodiscard]] std::span<float> parameters(int critic);
  [[nodiscard]] std::span<const float> target_parameters(int critic) const;
  [[nodiscard]] const ValueBounds& bounds() const { return bounds_; }
  void Observe(std::span<double> soft_rewards, double discount, bool some_ended = false) {
    if (options_.bounded) {
      bounds_.Observe(soft_rewards, discount, options_.bounds_rate, some_ended);
    }
  }

  /// Mean of the critics for rows of (x, a), [rows x inputs]: [rows]. Allocates.
  void Evaluate(int rows, const float* x, std::span<double> values) const;

  /// One step of Adam on rows of (x, a), [rows x inputs], with targets y, [rows]; a row whose
  /// target is NaN counts as 0. Then targets follow.
  CriticReport TakeStep(int rows, const float* x, const double* y);
  /// Adam begins anew; targets and networks stay.
  void ForgetMoments() { adam_.Forget(); }
  /// Sees observations in another scale from now on, and stays the function that it is.
  void Rescale(const Normaliser& from, const Normaliser& to);

  /// Networks, targets, moments and bounds, under names that start with `prefix`.
  void Save(const std::string& prefix, TensorFile& file) const;
  /// Throws InputError naming what is missing, of another size, or no number that it can be; the
  /// critics are then as they were.
  void Restore(const std::string& prefix, const TensorFile& file);

 private:
  struct Buffers;

  void AccumulatePart(int critic, int part, int rows, const float* x, const double* y,
                      Buffers& buffers);

  CriticOptions options_;
  int observation_inputs_;
  Mlp mlp_;
  const DenseKernel& kernel_;
  int batch_;
  std::shared_ptr<Executor> executor_;
  std::vector<float> parameters_, targets_;  // [critics x parameters]
  ParallelAdam adam_;
  ValueBounds bounds_;
  std::vector<double> losses_, values_;            // [critics x parts]
  std::vector<std::unique_ptr<Buffers>> buffers_;  // [workers]
};

}  // namespace foreplan
