// Actor and critics, trained together on what is imagined, on what was seen, or on both.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/critics/critic_ensemble.h"
#include "foreplan/critics/soft_return.h"
#include "foreplan/data/observation_range.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/models/model_version.h"
#include "foreplan/nets/parallel_adam.h"
#include "foreplan/policies/squashed_gaussian.h"

namespace foreplan {

/// Section [actor_critic.training].
struct ActorCriticOptions {
  int batch = 256;                 // rows of an update
  int horizon = 5;                 // TR, model steps in the actor's objective
  int particles = 8;               // groups of rows, each of which one member predicts at a time
  double discount = 0.995;         // gamma
  double learning_rate = 3e-4;     // of the actor
  double temperature = 0.1;        // alpha, its start
  double temperature_rate = 3e-4;  // learning rate of its logarithm; 0: it stays
  double target_entropy = -1;      // per component of the action, in half ranges

  void Visit(OptionsVisitor& visitor);
};

/// What an update of the critics learns from.
struct OneStepRows {
  std::span<const double> observation;       // [rows x no]
  std::span<const double> action;            // [rows x nu], in the task's units
  std::span<const double> next_observation;  // [rows x no]
  std::span<const double> reward;            // [rows]
  std::span<const uint8_t> terminated;       // [rows]
};

/// Sums over updates.
struct ActorCriticReport {
  int64_t updates = 0;  // of critics
  int64_t actor_updates = 0;
  int64_t invalid_updates = 0;  // left out, as a gradient was not finite
  int64_t rollouts = 0;
  int64_t ended_rollouts = 0;    // that a termination cut short
  int64_t invalid_rollouts = 0;  // that came to numbers that are not finite, or out of range
  double critic_loss = 0;
  double critic_value = 0;
  double critic_gradient_norm = 0;
  double imagined_value = 0;  // J
  double entropy = 0;         // -ln pi at the starts
  double actor_gradient_norm = 0;
  double largest_actor_gradient_norm = 0;  // the largest, no sum

  void Add(const SoftReturnReport& actor, double gradient_norm, int rows);
};

/// One update after the other of critics, actor and temperature:
///   critics:      (Q_k(o, a) - y)^2, y by expansion along the actor's own rollout (DHMBPO), or by
///                 one step of transitions (SAC): y = r + gamma (1 - terminated)(Q - alpha l') at
///                 o'
///   actor:        J of SoftReturn, ascended by its gradient
///   temperature:  alpha (entropy - target entropy) is descended by ln alpha
/// Allocates only when it is made, and when it gets another model. Threads change no bit.
class ActorCritic {
 public:
  /// Policy and critics must outlive it. Throws InputError (options).
  ActorCritic(SquashedGaussianPolicy& policy, CriticEnsemble& critics,
              const ActorCriticOptions& options, std::shared_ptr<Executor> executor);

  /// See SoftReturn; needed where the horizon is not 0.
  void set_model(const ModelVersion& version, ObservationRange range = {}) {
    imagined_.set_model(version, std::move(range));
  }

  /// starts: [batch x no], where the actor's rollouts begin. one_step: null: the critics learn by
  /// expansion, from the same rollouts; for horizons above 0. trains_actor: else the critics alone
  /// are trained. Throws RunError after kMostInvalid updates in a row in which the critics, or the
  /// actor, had no finite gradient.
  void Update(std::span<const double> starts, const OneStepRows* one_step, Key key,
              bool trains_actor, ActorCriticReport& report);

  [[nodiscard]] double temperature() const;
  [[nodiscard]] const ActorCriticOptions& options() const { return options_; }
  /// Adam of actor, critics and temperature begins anew.
  void ForgetMoments();
  /// Policy and critics, which share it, see observations in another scale from now on, and stay
  /// the functions that they are.
  void Rescale(const Normaliser& normaliser);

  /// Temperature and moments, under names that start with "actor_critic.": policy and critics save
  /// themselves.
  void Save(TensorFile& file) const;
  /// Throws InputError naming what is missing, of another size, or no number that it can be.
  void Restore(const TensorFile& file);

  static constexpr int kMostInvalid = 100;

 private:
  void TrainCritics(const OneStepRows* one_step, Key key, ActorCriticReport& report);
  void FillOneStep(const OneStepRows& rows, Key key);
  void TrainActor(ActorCriticReport& report);
  static void CountInvalid(const char* whose, bool valid, int& in_a_row, ActorCriticReport& report);

  SquashedGaussianPolicy& policy_;
  CriticEnsemble& critics_;
  ActorCriticOptions options_;
  SoftReturn imagined_;
  SoftReturn next_;  // soft values of next observations: horizon 0
  ParallelAdam actor_adam_, temperature_adam_;
  float log_temperature_;
  int invalid_critics_ = 0;           // gradients in a row
  int invalid_actors_ = 0;            // likewise
  std::vector<float> inputs_;         // of the critics: [batch x critic inputs]
  std::vector<float> x_;              // [batch x features]
  std::vector<double> half_action_;   // [nu]
  std::vector<double> y_;             // [batch]
  std::vector<double> soft_rewards_;  // [batch]
};

}  // namespace foreplan
