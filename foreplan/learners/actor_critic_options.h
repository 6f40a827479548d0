// Which of the actor-critic algorithms it is, and what models they ask for.
#pragma once

#include <string>

#include "foreplan/core/config.h"
#include "foreplan/core/options.h"
#include "foreplan/critics/actor_critic.h"
#include "foreplan/critics/critic_ensemble.h"
#include "foreplan/data/log_options.h"
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
  int base_steps = 5000;                  // of the base policy, to the end of an episode; those of
                                          // `data` count
  std::string data;                       // file of transitions to begin with; "": none
  LogOptions log = {};                    // how it is read; section [log] of a configuration
  int train_every = 1000;                 // new steps before the next fit and training
  double updates_per_step = 1;            // of actor and critics
  double critic_updates_per_step = 0.25;  // of the critics alone, after every fit
  int rollout_steps = 20;                 // DR, steps of distribution rollouts; 0: none
  int pool = 51200;                       // imagined transitions that are kept
  int pool_updates = 20;  // updates before as many batches of imagined transitions join the pool
  double range_margin =
      0.2;  // widths of what was seen that imagined observations may lie beside it
  CriticRows critic_rows = CriticRows::kExpansion;
  double real_share = 0.05;    // of imagined critic rows and starts
  bool forget_moments = true;  // Adam begins anew after every fit
  int evaluate_every = 0;      // steps between evaluations of the mean action; 0: none
  int evaluation_episodes = 10;

  void Visit(OptionsVisitor& visitor);
};

/// All sections of an algorithm: what is not in the configuration is as the algorithm has it.
struct ActorCriticSections {
  ActorCriticLearnerOptions learner;
  SquashedGaussianOptions policy;
  CriticOptions critic;
  ActorCriticOptions training;

  /// The algorithm's own: "sac", "mbpo", "svg", "dhmbpo". Throws InputError for another name.
  explicit ActorCriticSections(const std::string& algorithm);
  /// Sections actor_critic (.policy, .critic, .training) of `config` over them, checked.
  ActorCriticSections(const std::string& algorithm, Config& config);

  /// A model is fitted, as something is imagined.
  [[nodiscard]] bool NeedsModel() const {
    return learner.rollout_steps > 0 || training.horizon > 0;
  }
  /// Itself. Throws InputError for options out of range and for settings that do not fit each
  /// other.
  [[nodiscard]] const ActorCriticSections& Checked() const;
  /// As they are in effect.
  void Write(ConfigWriter& writer);
};

/// What a file says in sections that begin with the algorithm's name, as in [dhmbpo.model] or
/// [dhmbpo.actor_critic.training], takes the place of what it says without: a task's other settings
/// are for planning. What is asked for beside the file stays. Where neither says anything of the
/// model and its fits, the algorithms have values of their own: members that predict a row and a
/// step each, and fits that come often. Throws InputError.
void PrepareActorCritic(const std::string& algorithm, Config& config);

}  // namespace foreplan
