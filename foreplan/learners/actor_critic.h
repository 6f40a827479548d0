// Actor-critic learning beyond the plan's horizon: through a learned model, beside it, or without.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "foreplan/critics/actor_critic.h"
#include "foreplan/critics/critic_ensemble.h"
#include "foreplan/critics/transition_pool.h"
#include "foreplan/learners/model_learner.h"
#include "foreplan/policies/squashed_gaussian.h"

namespace foreplan {

/// What critics learn from.
enum class CriticRows {
  kExpansion,  // the actor's own imagined rollouts
  kReal,       // one step of what was seen
  kImagined,   // one step of what distribution rollouts imagined, and a share of what was seen
};

/// Section [actor_critic]. Which algorithm it is follows from TR (training.horizon), DR
/// (rollout_steps) and critic_rows:
///             TR   DR   critic_rows
///   sac       0    0    real          (Haarnoja et al. 2018)
///   mbpo      0    >0   imagined      (Janner et al. 2019)
///   svg       >0   0    real          (Amos et al. 2021)
///   dhmbpo    >0   >0   expansion     (Kubo et al. 2025)
struct ActorCriticLearnerOptions {
  std::string base_policy = "uniform";
  int base_steps = 5000;                  // of the base policy, to the end of an episode
  int train_every = 1000;                 // new steps before the next fit and training
  double updates_per_step = 1;            // of actor and critics
  double critic_updates_per_step = 0.25;  // of the critics alone, after every fit
  int rollout_steps = 20;                 // DR, steps of distribution rollouts; 0: none
  int pool = 51200;                       // imagined transitions that are kept
  int pool_updates = 20;  // updates before as many batches of imagined transitions join the pool
  CriticRows critic_rows = CriticRows::kExpansion;
  double real_share = 0.05;    // of imagined critic rows and starts
  bool forget_moments = true;  // Adam begins anew after every fit
  int evaluate_every = 0;      // steps between evaluations of the mean action; 0: none
  int evaluation_episodes = 10;

  void Visit(OptionsVisitor& visitor);
};

/// The settings that make an algorithm of the four: "sac", "mbpo", "svg", "dhmbpo".
struct ActorCriticPreset {
  ActorCriticLearnerOptions learner;
  ActorCriticOptions training;
  CriticOptions critic;

  /// Throws InputError for another name.
  explicit ActorCriticPreset(const std::string& algorithm);
};

/// One loop with four corners:
///   base policy -> repeat (run pi, noise included; fit the model;
///     repeat (distribution rollouts of pi from what was seen fill a pool;
///             critics, actor and temperature take a step each from states of the pool)).
class ActorCriticLearner final : public ModelLearner {
 public:
  /// Needs no planner; no model where TR and DR are 0. Throws InputError for settings that do not
  /// fit each other and for a reward without derivatives where TR is not 0.
  ActorCriticLearner(const LearnerContext& context, const ActorCriticLearnerOptions& options,
                     const SquashedGaussianOptions& policy, const CriticOptions& critic,
                     const ActorCriticOptions& training, ModelLearnerParts parts);
  /// Reads sections actor_critic (.policy, .critic, .training), environment and, where a model is
  /// needed, model and fit of `config`; what is not there is as the algorithm has it.
  ActorCriticLearner(const std::string& algorithm, Config& config, const LearnerContext& context);

  /// How the algorithm is made from a configuration.
  [[nodiscard]] static LearnerEntry Entry(const std::string& algorithm);

  bool Step() override;
  /// The policy's mean action.
  Policy& controller() override { return controller_; }

  void Save(TensorFile& state) const override;
  void Restore(const TensorFile& state, Dataset rows) override;
  [[nodiscard]] TensorFile Model() const override;

 private:
  [[nodiscard]] bool uses_model() const { return model() != nullptr; }
  [[nodiscard]] bool IsTrainingDue() const;
  void Train();
  void Learn(int64_t updates, bool trains_actor, ActorCriticReport& report);
  void FillPool(Key key);
  void DrawObservations(int rows, Key key, std::vector<double>& observations) const;
  void DrawStarts(Key key);
  void DrawOneStep(Key key);
  void TakeRealRow(int64_t row, size_t to);
  void Evaluate();
  void Report(const ActorCriticReport& report, double seconds) const;

  struct Rows {  // of a batch
    std::vector<double> observation, action, next_observation, reward;
    std::vector<uint8_t> terminated;
  };

  ActorCriticLearnerOptions options_;
  Key key_;
  SquashedGaussianPolicy policy_;
  SquashedActor actor_;       // samples
  SquashedActor controller_;  // the mean action
  CriticEnsemble critics_;
  ActorCritic actor_critic_;
  std::optional<TransitionPool> pool_;            // where DR is not 0
  std::optional<DistributionRollouts> rollouts_;  // likewise
  std::shared_ptr<const Reward> reward_;          // of transitions; null: as it was paid
  std::vector<double> starts_;                    // [batch x no]
  std::vector<double> rollout_starts_;            // [rows x no]
  Rows one_step_;
  int64_t updates_ = 0;          // done, of critics
  int64_t trained_rows_ = 0;     // of the data, at the last training
  int64_t next_evaluation_ = 0;  // steps
};

}  // namespace foreplan
