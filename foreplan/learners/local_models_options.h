// Section [local_models].
#pragma once

#include <limits>
#include <string>

#include "foreplan/core/config.h"

namespace foreplan {

/// What the policy that acts adds to its mean.
enum class LocalExploration {
  kPolicy,  // its own covariance, (lambda + nu) Quu^-1
  kFixed,   // a fixed deviation
  kNone,    // nothing: rollouts hardly differ, and regressions are singular
};

/// Section [local_models].
struct LocalModelsOptions {
  int rollouts = 5;        // per condition and iteration
  int reuse = 1;           // iterations whose rollouts enter a fit
  double kl_step = 0.2;    // base of the KL bound, per time step
  bool adapt_step = true;  // by predicted and actual improvement
  /// A step is taken back whose rollouts cost more, in the mean, than those before it by this share
  /// of what has been gained since the first; infinity: never. Not with a global policy.
  double setback = std::numeric_limits<double>::infinity();
  std::string initial = "lqr";
  std::string prior = "mixture";
  LocalExploration exploration = LocalExploration::kPolicy;
  double fixed_deviation = 1;  // of kFixed
  double noise_smoothing = 0;  // of the exploration noise [steps]
  int test_rollouts = 5;       // with noise, per condition, after the last iteration
  bool global_policy = false;  // one network policy for all conditions
  int global_start = 0;        // iterations of the local policies alone before it first learns
  bool on_policy = true;       // rollouts are of the global policy once it has learned

  void Visit(OptionsVisitor& visitor);
};

}  // namespace foreplan
