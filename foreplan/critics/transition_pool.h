// Transitions that were imagined lately.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/random.h"
#include "foreplan/data/observation_range.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/models/model_version.h"
#include "foreplan/policies/squashed_gaussian.h"
#include "foreplan/systems/rewards/reward.h"

namespace foreplan {

/// A ring of transitions (o, a, o'): what joins last takes the place of what joined first. Memory:
/// 8 (2 no + nu) bytes each, taken when it is made.
class TransitionPool {
 public:
  /// Throws InputError for sizes that are not positive.
  TransitionPool(int observation_dim, int action_dim, int64_t capacity);

  [[nodiscard]] int64_t size() const { return size_; }
  [[nodiscard]] int64_t capacity() const { return capacity_; }
  void Clear();
  /// All [no] but the action, [nu], in the task's units.
  void Add(const double* observation, const double* action, const double* next_observation);
  [[nodiscard]] const double* observation(int64_t row) const;
  [[nodiscard]] const double* action(int64_t row) const;
  [[nodiscard]] const double* next_observation(int64_t row) const;

 private:
  int no_, nu_;
  int64_t capacity_;
  int64_t size_ = 0;
  int64_t next_ = 0;
  std::vector<double> rows_;  // [capacity x (2 no + nu)]
};

/// Rolls the policy, noise included, through the model from many observations at once, every row
/// with noise of its own, and gives every step of a row that goes on to a pool: what is imagined of
/// the distribution of observations that the policy meets (Janner et al. 2019). A row ends with
/// what the reward says is an end, or with a number that is not finite or out of range, which is
/// not given; no limit of time exists here. Workers take the rows of a particle; the pool is filled
/// in the particles' order. Allocates only when it is made, and when it gets another model.
class DistributionRollouts {
 public:
  /// rows: that begin together; particles: groups of them, see StepBatch. Policy must outlive it.
  /// Throws InputError for sizes that are not positive.
  DistributionRollouts(const SquashedGaussianPolicy& policy, int rows, int steps, int particles,
                       std::shared_ptr<Executor> executor);
  ~DistributionRollouts();

  /// Throws InputError for a model whose state is not the observation, for other sizes than the
  /// policy's, and without a reward.
  void set_model(const ModelVersion& version, ObservationRange range = {});
  [[nodiscard]] int rows() const { return rows_; }

  /// Rolls from observations, [rows x no], which networks can digest; returns how many transitions
  /// joined the pool.
  int64_t Fill(std::span<const double> starts, Key key, TransitionPool& pool);

 private:
  struct Group;  // the rows of a particle

  void Roll(std::span<const double> starts, Key key, Group& group) const;
  /// How the rows go on.
  void Account(int time, Group& group) const;

  const SquashedGaussianPolicy& policy_;
  int rows_;
  int steps_;
  std::shared_ptr<Executor> executor_;
  std::shared_ptr<const Dynamics> dynamics_;  // or null
  std::shared_ptr<const Reward> reward_;      // or null
  ObservationRange range_;
  std::vector<std::unique_ptr<Group>> groups_;
};

}  // namespace foreplan
