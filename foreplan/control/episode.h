// One episode: a policy acts on a system until the task's length or its termination.
#pragma once

#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/data/transition.h"
#include "foreplan/policies/policy.h"
#include "foreplan/systems/environment.h"
#include "foreplan/systems/task.h"
#include "foreplan/systems/task_episode.h"

namespace foreplan {

/// What happened in one control step, as it is measured (Task::measurement_noise); spans are valid
/// during the callback only.
struct EpisodeStep {
  int time = 0;
  double decision_seconds = 0;               // wall time that the policy took for the action
  std::span<const double> observation;       // [no]
  std::span<const double> action;            // [nu], clamped to the bounds
  std::span<const double> next_observation;  // [no]
  double reward = 0;
  StepEnd end = StepEnd::kContinues;  // kTruncated: with the last step that the episode may have
  // The full state at the observations, without noise, of a System; else empty.
  std::span<const double> state = {};       // [state_dim]
  std::span<const double> next_state = {};  // [state_dim]
};

/// What planners maximise (Task::planning_reward), of this step.
[[nodiscard]] double PlanningReward(const Task& task, const EpisodeStep& step);

/// Of the episode with that number.
[[nodiscard]] Transition AsTransition(const EpisodeStep& step, int episode);

struct EpisodeResult {
  double episode_return = 0;  // sum of raw rewards; those that a divergence cost are missing
  int steps = 0;
  /// As the last step said: kContinues where time was over, or something went wrong.
  StepEnd end = StepEnd::kContinues;
  std::string divergence = {};  // what diverged, "" when nothing did
  std::string failure = {};     // how the environment failed within the episode, "" when it did not
};

/// Resets environment and policy and runs to the end. `observe` is called after each step; it may
/// throw to leave early. An Oracle sees the full state before every action. Ends after `max_steps`
/// steps at the latest. The reward is what the environment pays where the task says so, otherwise
/// the task's; either may end the episode. A simulator, an observation or a reward that comes to no
/// number ends the episode, as does an environment that fails, and that step is no transition (the
/// one before has been observed as one that goes on). Throws EnvironmentFailure when it comes
/// before the first step was taken, RunError, which says whose code it was, for an action that is
/// not finite and for what the environment or the reward throw, and InputError for an environment
/// of other sizes than the task's and for an oracle in what is no System.
EpisodeResult RunEpisode(const Task& task, Environment& environment, Policy& policy,
                         const EpisodeKeys& keys, int max_steps = std::numeric_limits<int>::max(),
                         const std::function<void(const EpisodeStep&)>& observe = {});
/// With keys derived from `key`.
EpisodeResult RunEpisode(const Task& task, Environment& environment, Policy& policy, Key key,
                         int max_steps = std::numeric_limits<int>::max(),
                         const std::function<void(const EpisodeStep&)>& observe = {});

}  // namespace foreplan
