// What a policy imagines to earn, entropy included, with a value beyond the horizon; and its exact
// gradient.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/random.h"
#include "foreplan/critics/critic_ensemble.h"
#include "foreplan/data/observation_range.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/models/model_version.h"
#include "foreplan/policies/squashed_gaussian.h"
#include "foreplan/systems/rewards/reward.h"

namespace foreplan {

struct SoftReturnOptions {
  int horizon = 0;      // H, model steps; 0: no model is asked
  int rows = 256;       // B, rollouts
  int particles = 8;    // groups of rollouts, each of which one member predicts at a time
  double discount = 1;  // gamma
};

/// Of the rollouts as they are now.
struct SoftReturnReport {
  double value = 0;    // J
  double entropy = 0;  // mean of -ln pi at the starts
  int ended = 0;       // rollouts that a termination cut short
  int invalid = 0;     // that came to numbers that are not finite, or far out: count for nothing
};

/// J(theta) = mean over rollouts of
///   sum_{t<H} gamma^t m_t (r_t - alpha l_t) + gamma^H m_H (Q(o_H, a_H) - alpha l_H),
/// a_t ~ pi_theta(o_t), l_t = ln pi_theta(a_t|o_t), m_t = 1 while the rollout goes on; Q is the
/// mean of the critics. All noise is held, each row's its own (Heess et al. 2015; Amos et al.
/// 2021). The reward of a step that ends a rollout counts, nothing after it does.
///
/// Backwards per row, with w_t = gamma^t m_t and P_t what comes through the policy:
///   lambda_H = w_H dQ/do + P_H
///   lambda_t = w_t dr/do + (df/do)' (lambda_{t+1} + w_t dr/do') + P_t
///
/// A worker takes the rows of a particle over the whole horizon, and later back; neither the groups
/// nor the order of sums depend on the number of threads. Allocates only when it is made, and when
/// it gets another model.
class SoftReturn {
 public:
  /// Policy and critics must outlive this object. Throws InputError for sizes that are not
  /// positive.
  SoftReturn(const SquashedGaussianPolicy& policy, const CriticEnsemble& critics,
             const SoftReturnOptions& options, std::shared_ptr<Executor> executor);
  ~SoftReturn();

  /// Rollouts go through it from now on, and count as long as they stay within the range; needed
  /// before Roll where the horizon is not 0. Throws InputError for a model whose state is not the
  /// observation, for other sizes than the policy's, and without a reward.
  void set_model(const ModelVersion& version, ObservationRange range = {});

  [[nodiscard]] const SoftReturnOptions& options() const { return options_; }

  /// Imagines from observations, [rows x no], which networks can digest, with the present policy,
  /// and draws two critics, whose targets are to say what lies beyond.
  void Roll(std::span<const double> starts, Key key);

  // What Roll found.

  /// (x(o_0), a_0) as critics see it: [rows x critic inputs].
  [[nodiscard]] std::span<const float> first_inputs() const { return first_inputs_; }
  /// l_0 of a row.
  [[nodiscard]] double first_log_density(int row) const;
  /// r_t - alpha l_t of all steps that count; valid until the next call.
  [[nodiscard]] std::span<double> SoftRewards(double temperature);
  /// Whether a termination cut a rollout short.
  [[nodiscard]] bool SomeEnded() const;
  /// The expansion of Q at (o_0, a_0), by the lesser of the two targets, as they are now, within
  /// its bounds:
  ///   y = r_0 + sum_{1<=t<H} gamma^t m_t (r_t - alpha l_t) + gamma^H m_H (Q - alpha l_H)
  /// (Feinberg et al. 2018); horizon 0: the soft value of o_0, Q - alpha l_0. NaN: the rollout
  /// counts for nothing. y: [rows].
  void Targets(double temperature, std::span<double> y);
  /// J by the present critics, and its gradient by the policy's parameters but for the factor
  /// 1 / rows, one sum per particle: part(particle) gives the place, [parameters].
  template <typename Part>
  SoftReturnReport Gradient(double temperature, const Part& part) {
    GoBack(temperature, [&](int particle) -> std::span<float> { return part(particle); });
    return Report(temperature);
  }

 private:
  struct Group;  // the rows of a particle

  using PartOf = std::function<std::span<float>(int particle)>;

  void Act(int time, Key key, Group& group) const;
  void Step(int time, Key key, Group& group) const;
  /// How the rows go on.
  void Account(int time, Group& group) const;
  void FillCriticInputs(int time, Group& group, float* inputs) const;
  void AskTargets(Group& group) const;
  [[nodiscard]] double Target(double temperature, const Group& group, int row) const;

  void GoBack(double temperature, const PartOf& part);
  /// By state and action at the horizon, through the critics.
  void PullBackCritics(Group& group) const;
  void PullBackStep(int time, Group& group) const;
  void PullBackPolicy(int time, double temperature, Group& group) const;
  [[nodiscard]] SoftReturnReport Report(double temperature) const;

  const SquashedGaussianPolicy& policy_;
  const CriticEnsemble& critics_;
  SoftReturnOptions options_;
  std::shared_ptr<Executor> executor_;
  std::shared_ptr<const Dynamics> dynamics_;  // or null
  std::shared_ptr<const Reward> reward_;      // or null
  ObservationRange range_;
  int asked_[2] = {0, 0};                       // target critics
  std::vector<float> first_inputs_;             // [rows x critic inputs]
  std::vector<double> soft_rewards_;            // [horizon x rows]
  std::vector<std::unique_ptr<Group>> groups_;  // [particles]
};

}  // namespace foreplan
