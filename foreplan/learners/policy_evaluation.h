// What a policy is worth while it learns, and whether its critics know.
#pragma once

#include <cstdint>
#include <stop_token>

#include "foreplan/core/executor.h"
#include "foreplan/core/random.h"
#include "foreplan/critics/critic_ensemble.h"
#include "foreplan/policies/squashed_gaussian.h"
#include "foreplan/systems/task.h"

namespace foreplan {

struct PolicyEvaluation {
  double mean_return = 0;     // of episodes by the mean action
  double mean_length = 0;     // of these [steps]
  double sampled_return = 0;  // of episodes by sampled actions
  // Of states in episodes by sampled actions from which on gamma^t falls below 0.01 before time is
  // over, or the episode ends by itself:
  int64_t states = 0;
  double critic_value = 0;  // mean of Q
  double soft_return = 0;   // mean of r_t + sum_{k>t} gamma^(k-t) (r_k - alpha l_k)
  double critic_bias = 0;   // |mean (Q - soft return)| / mean |soft return|; 0 without states
};

struct PolicyEvaluationRequest {
  int episodes = 10;       // by the mean action, and as many by sampled ones
  double temperature = 0;  // alpha
  double discount = 1;     // gamma
  Key key;                 // of starts and actions
};

/// Plays episodes on systems of its own: they are no experience. Workers take an episode each;
/// threads change no bit. Throws InputError for a task whose environment is no simulator of the
/// library, RunError when an episode diverges, Interrupted.
PolicyEvaluation EvaluatePolicy(const Task& task, const SquashedGaussianPolicy& policy,
                                const CriticEnsemble& critics,
                                const PolicyEvaluationRequest& request, Executor& executor,
                                const std::stop_token& stop);

}  // namespace foreplan
