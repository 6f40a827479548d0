#include "foreplan/control/episode.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/core/seconds_since.h"

namespace foreplan {
namespace {

void CheckAction(const EnvironmentSpec& spec, int time, std::span<const double> action) {
  for (size_t i = 0; i < action.size(); ++i) {
    if (std::isfinite(action[i])) continue;
    throw RunError(
        fmt::format("step {}: action '{}' of the policy: found {}, expected a finite number", time,
                    spec.action[i].name, WithoutSignOfNan(action[i])));
  }
}

}  // namespace

double PlanningReward(const Task& task, const EpisodeStep& step) {
  if (task.planning_reward_is_learned()) return step.reward;
  double reward = 0;
  uint8_t terminated = 0;
  task.planning_reward().Evaluate({.rows = 1,
                                   .observation = step.observation.data(),
                                   .action = step.action.data(),
                                   .next_observation = step.next_observation.data()},
                                  &reward, &terminated);
  return reward;
}

Transition AsTransition(const EpisodeStep& step, int episode) {
  return {.observation = step.observation,
          .action = step.action,
          .next_observation = step.next_observation,
          .episode = episode,
          .reward = step.reward,
          .end = step.end};
}

EpisodeResult RunEpisode(const Task& task, Environment& environment, Policy& policy, Key key,
                         int max_steps, const std::function<void(const EpisodeStep&)>& observe) {
  return RunEpisode(task, environment, policy, EpisodeKeys(key), max_steps, observe);
}

EpisodeResult RunEpisode(const Task& task, Environment& environment, Policy& policy,
                         const EpisodeKeys& keys, int max_steps,
                         const std::function<void(const EpisodeStep&)>& observe) {
  TaskEpisode episode(task, environment);
  const auto* system = dynamic_cast<const System*>(&environment);
  auto* oracle = dynamic_cast<Oracle*>(&policy);
  if (oracle != nullptr && system == nullptr) {
    throw InputError(
        fmt::format("task {}: found a policy that acts by the full state in an environment that "
                    "shows none, expected a system to act in",
                    task.name()));
  }
  std::vector<double> state(system != nullptr ? system->spec().state.size() : 0);  // [state_dim]
  std::vector<double> next_state(state.size());                                    // [state_dim]
  std::vector<double> action(task.spec().action.size());                           // [nu]
  EpisodeResult result;
  const std::string start = episode.Begin(keys);
  AskAt("policy's Reset", 0, [&] { policy.Reset(keys.policy); });
  if (!start.empty()) {
    result.divergence = "start: " + start;
    return result;
  }
  if (system != nullptr) system->GetState(state);
  const int length = std::min(task.episode_length(), max_steps);
  while (result.steps < length && result.end == StepEnd::kContinues) {
    const int time = result.steps;
    const auto begin = std::chrono::steady_clock::now();
    if (oracle != nullptr) oracle->See(state);
    const Situation situation{.observation = episode.observation(),
                              .time = time,
                              .key = keys.decisions.Fold(static_cast<uint64_t>(time))};
    AskAt("policy's Act", time, [&] { policy.Act(situation, action); });
    const double seconds = SecondsSince(begin);
    CheckAction(task.spec(), time, action);
    TaskStep taken;
    try {
      const std::string trouble = episode.Step(action, taken);
      if (!trouble.empty()) {
        result.divergence = fmt::format("step {}: {}", time, trouble);
        break;
      }
    } catch (const EnvironmentFailure& failure) {
      if (result.steps == 0) throw;
      result.failure = fmt::format("step {}: {}", time, failure.what());
      break;
    }
    if (system != nullptr) system->GetState(next_state);
    result.episode_return += taken.reward;
    ++result.steps;
    result.end = taken.end;
    EpisodeStep step{.time = time,
                     .decision_seconds = seconds,
                     .observation = episode.observation(),
                     .action = action,
                     .next_observation = episode.next_observation(),
                     .reward = taken.reward,
                     .end = taken.end,
                     .state = state,
                     .next_state = next_state};
    if (result.steps == length && step.end == StepEnd::kContinues) step.end = StepEnd::kTruncated;
    if (observe) observe(step);
    episode.Advance();
    std::swap(state, next_state);
  }
  return result;
}

}  // namespace foreplan
