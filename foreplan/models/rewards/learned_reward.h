// Rewards and terminations that were learned from what steps earned and how they ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/data/normaliser.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/models/rewards/transition_features.h"
#include "foreplan/nets/mlp.h"
#include "foreplan/systems/rewards/reward.h"

namespace foreplan {

/// Section [model.reward]. Gradient steps of a fit = max(min_steps, epochs * rows / batch).
struct LearnedRewardOptions {
  int members = 5;              // networks, 1 ... 64
  int hidden_layers = 2;        // 1 ... 8
  int width = 64;               // units per hidden layer, 1 ... 4096
  std::string kernel = "auto";  // dense products: auto, onednn, eigen
  double epochs = 5;            // passes over the training rows, 0 ... 10000
  int min_steps = 500;          // fewest gradient steps of a fit, 1 ... 10^7
  int batch = 64;               // rows per gradient step and member, 2 ... 65536
  double learning_rate = 1e-3;  // Adam's
  double weight_decay = 1e-5;   // L2 in the gradient, on weights

  void Visit(OptionsVisitor& visitor);
};

/// An ensemble of K networks (y_k, w_k, q_k)(z) of a transition's features z(o, u, o'):
///   p = 1/K sum_k sigmoid(q_k)     that the step ends the episode
///   r_c = m_c + s_c 1/K sum_k y_k  what it earns when it does not
///   r_t = m_t + s_t 1/K sum_k w_k  what it earns when it does
///   r = (1 - p) r_c + p r_t,   terminated where p > 1/2
/// m and s are mean and deviation of the rewards of either kind that it was fitted to: a reward may
/// jump where an episode ends, as one for staying alive does. Before the first fit it pays 0 and
/// ends nothing; until a termination was among its data p is 0. A row that holds a number that is
/// not finite earns NaN and does not end.
///
/// The gradient is exact (of the networks in float). The Hessian is that gradient's central
/// differences, made symmetric, H = (D + D') / 2, D_ij = (g_i(z + h_j e_j) - g_i(z - h_j e_j)) /
/// (2 h_j), h_j a fiftieth of what moves a feature by its deviation; planners get its
/// concave part (Reward::ExpandConcave). The end of an episode has no derivative.
///
/// Never changes; the next fit makes another. Allocates nothing but buffers that later calls find
/// again, one set for every thread that was within a call at the same time, which versions of one
/// fit share.
class LearnedReward final : public Reward {
 public:
  /// Throws InputError (options out of range, unknown component or kernel).
  LearnedReward(const EnvironmentSpec& spec, const Encoding& encoding,
                const LearnedRewardOptions& options, Key key);

  [[nodiscard]] std::optional<TransitionSizes> sizes() const override;
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override;
  void Gradient(const TransitionBatch& batch, double* gradient) const override;
  double Expand(const double* observation, const double* action, const double* next_observation,
                double* gradient, double* hessian) const override;

  /// What a fit has found, and Evaluate needs.
  struct Fitted {
    std::vector<float> parameters;  // [members x mlp().parameters()]
    Normaliser input;               // of the features
    Normaliser reward;              // two columns: m_c and s_c, m_t and s_t
    bool ends_episodes = false;     // terminations were among its data
  };
  /// The reward of a fit. Sizes as they are here.
  [[nodiscard]] std::shared_ptr<const LearnedReward> With(Fitted fitted) const;
  [[nodiscard]] const Fitted& fitted() const { return fitted_; }
  [[nodiscard]] bool is_fitted() const { return is_fitted_; }

  [[nodiscard]] const LearnedRewardOptions& options() const;
  [[nodiscard]] const TransitionFeatures& features() const;
  [[nodiscard]] const Mlp& mlp() const;
  [[nodiscard]] const DenseKernel& training_kernel() const;

  /// Under names that start with "reward.".
  void Save(TensorFile& file) const;
  /// The reward that was saved. Throws InputError for a file without one, names or shapes that do
  /// not fit, and numbers that are none.
  [[nodiscard]] std::shared_ptr<const LearnedReward> Restored(const TensorFile& file) const;

 private:
  struct Design;     // what all versions share
  struct Workspace;  // what one call needs
  class Borrowed;

  struct Expected {
    double continued = 0;    // r_c
    double terminated = 0;   // r_t
    double probability = 0;  // p
    [[nodiscard]] double reward() const {
      return (1 - probability) * continued + probability * terminated;
    }
  };

  void Prepare();
  void FillInputs(const TransitionBatch& batch, Workspace& workspace) const;
  /// Adds a member's outputs to those of the others.
  void AddOutputs(int rows, const float* y, int stride, Workspace& workspace) const;
  [[nodiscard]] Expected ExpectedOf(int row, const Workspace& workspace) const;
  void EvaluateBlock(const TransitionBatch& batch, double* reward, uint8_t* terminated,
                     Workspace& workspace) const;
  void GradientOf(const TransitionBatch& batch, double* gradient, Workspace& workspace) const;
  void GradientOfBlock(const TransitionBatch& batch, double* gradient, Workspace& workspace) const;
  void FillNeighbours(const TransitionBatch& transition, Workspace& workspace) const;
  [[nodiscard]] std::span<const float> parameters(int member) const;

  std::shared_ptr<Design> design_;
  Fitted fitted_;
  bool is_fitted_ = false;
  AlignedVector<std::byte> packed_;  // of all members, what prediction reads
  std::vector<double> difference_;   // h of the Hessian: [nz]
};

}  // namespace foreplan
