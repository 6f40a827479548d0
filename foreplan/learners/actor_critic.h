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
#include "foreplan/learners/actor_critic_options.h"
#include "foreplan/learners/model_learner.h"
#include "foreplan/policies/squashed_gaussian.h"

namespace foreplan {

/// One loop with four corners:
///   base policy -> repeat (run pi, noise included; fit the model;
///     repeat (distribution rollouts of pi from what was seen fill a pool;
///             critics, actor and temperature take a step each from states of the pool)).
class ActorCriticLearner final : public ModelLearner {
 public:
  /// Needs no planner; no model where TR and DR are 0. Throws InputError for settings that do not
  /// fit each other, and where there is a model though nothing is imagined, or none though
  /// something is.
  ActorCriticLearner(const LearnerContext& context, const ActorCriticSections& sections,
                     ModelLearnerParts parts);

  /// How the algorithm is made from a configuration.
  [[nodiscard]] static LearnerEntry Entry(const std::string& algorithm);

  bool Step() override;
  /// The policy's mean action.
  Policy& controller() override { return controller_; }
  Policy* sampled_controller() override { return &actor_; }

  void Save(TensorFile& state) const override;
  void Restore(const TensorFile& state, Dataset rows) override;
  [[nodiscard]] TensorFile Model() const override;

 private:
  [[nodiscard]] bool uses_model() const { return model() != nullptr; }
  void BeginWithData();
  [[nodiscard]] bool IsBaseDue() const;
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
