// Rollouts of time-varying linear-Gaussian policies, with what local models learn from.
#pragma once

#include <Eigen/Core>
#include <functional>
#include <stop_token>
#include <vector>

#include "foreplan/control/episode.h"
#include "foreplan/core/random.h"
#include "foreplan/policies/linear_gaussian.h"
#include "foreplan/systems/task.h"

namespace foreplan {

/// One episode of full length T.
struct LocalRollout {
  EpisodeResult episode;  // of fewer than T steps when it ended early
  // Beyond the steps that were taken, zeros.
  std::vector<double> observations;  // [(T + 1) x no]
  std::vector<double> actions;       // inside the bounds: [T x nu]
  std::vector<double> rewards;       // the task's: [T]
  std::vector<double> states;        // full ones: [(T + 1) x state_dim]
  /// Of the dependent observation components (System::dependent_components), at the first T
  /// observations: [T x dependent x on].
  std::vector<double> jacobians;
};

/// Standard normal numbers for every action at every time, white; with smoothing > 0 [steps] run
/// through a Gaussian filter along time and scaled back to variance 1 within the rollout: [nu x T].
/// Smooth noise explores further, but breaks the white noise of the Gaussian model.
[[nodiscard]] Eigen::MatrixXd ExplorationNoise(int nu, int steps, double smoothing, Key key);

/// The action of a policy at a time and an observation [no], its noise given in units of the
/// policy's deviations [nu].
using NoisyAction = std::function<Eigen::VectorXd(int time, const Eigen::VectorXd& observation,
                                                  const Eigen::VectorXd& noise)>;

/// RunEpisode of a policy for the task's length, the system reset with `key`, with noise [nu x T]
/// in units of the policy's deviations. Throws Interrupted when `stop` is set.
[[nodiscard]] LocalRollout RollOut(const Task& task, System& system, const NoisyAction& policy,
                                   const Eigen::MatrixXd& noise, Key key,
                                   const std::stop_token& stop);
[[nodiscard]] LocalRollout RollOut(const Task& task, System& system,
                                   const LinearGaussianPolicy& policy, const Eigen::MatrixXd& noise,
                                   Key key, const std::stop_token& stop);

}  // namespace foreplan
