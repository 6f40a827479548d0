// Reward and termination as functions of (observation, action, next observation), in batches.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "foreplan/data/transition_batch.h"

namespace foreplan {

/// Const and shared between threads.
class Reward {
 public:
  virtual ~Reward() = default;

  /// Of the transitions that it is written for, which whoever takes it looks at first; none: of
  /// any.
  [[nodiscard]] virtual std::optional<TransitionSizes> sizes() const { return {}; }

  /// reward: [rows]; terminated: [rows], 1 where the episode ends with this transition. A row that
  /// holds a NaN anywhere gets the reward NaN.
  virtual void Evaluate(const TransitionBatch& batch, double* reward,
                        uint8_t* terminated) const = 0;

  /// Gradient of every row's reward by z = (observation, action, next observation), exact:
  /// gradient: [rows x nz], nz = 2 no + nu. The default is that of Expand, for a reward that says
  /// its sizes, and allocates. Throws InputError when the reward has no derivatives.
  virtual void Gradient(const TransitionBatch& batch, double* gradient) const;

  /// Gradient and Hessian of one row's reward by z = (observation, action, next observation),
  /// exact: gradient: [nz], hessian: [nz x nz], nz = 2 no + nu. Returns the reward. Throws
  /// InputError when the reward has no derivatives.
  virtual double Expand(const double* observation, const double* action,
                        const double* next_observation, double* gradient, double* hessian) const;
  /// The same with a negative semidefinite matrix in the Hessian's place, for planners that need a
  /// cost that is convex: what a reward has of its own (Gauss-Newton), else the Hessian without its
  /// positive eigenvalues. `variables` is nz; scratch: [2 nz x nz].
  virtual double ExpandConcave(const double* observation, const double* action,
                               const double* next_observation, double* gradient, double* hessian,
                               int variables, double* scratch) const;
};

/// Throws InputError, which starts with `where`, for a reward of other sizes.
void CheckSizes(const std::string& where, const Reward& reward, const TransitionSizes& expected);

using RewardMaker = std::function<std::unique_ptr<const Reward>(
    const std::string& name, int observation_dim, int action_dim)>;

/// From now on task files may name that reward, as they name the shipped ones. Throws InputError
/// where the name is taken.
void RegisterReward(const std::string& name, RewardMaker make);

/// The reward of that name, shipped or registered, for observations of size `observation_dim` and
/// actions of size `action_dim`. Throws InputError for an unknown name (with the nearest) or sizes
/// that don't fit.
std::unique_ptr<const Reward> MakeReward(const std::string& name, int observation_dim,
                                         int action_dim);
std::vector<std::string> RewardNames();

}  // namespace foreplan
