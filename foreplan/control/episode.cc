#include "foreplan/control/episode.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/systems/rewards/expression_reward.h"

namespace foreplan {
namespace {

// Streams of an episode's key.
constexpr uint64_t kEnvironmentStream = 0;
constexpr uint64_t kPolicyStream = 1;
constexpr uint64_t kDecisionStream = 2;
constexpr uint64_t kMeasurementStream = 3;

// One step's vectors.
struct Buffers {
  explicit Buffers(const EnvironmentSpec& spec, const System* system)
      : state(system != nullptr ? system->spec().state.size() : 0),
        observation(spec.observation.size()),
        next_observation(spec.observation.size()),
        measured(spec.observation.size()),
        next_measured(spec.observation.size()),
        action(spec.action.size()) {}

  std::vector<double> state;             // [state_dim], empty where it cannot be seen
  std::vector<double> observation;       // [no]
  std::vector<double> next_observation;  // [no]
  std::vector<double> measured;          // the observation with the task's noise: [no]
  std::vector<double> next_measured;     // [no]
  std::vector<double> action;            // [nu]
};

void Measure(const Task& task, Key key, const std::vector<double>& observation,
             std::vector<double>& measured) {
  measured = observation;
  if (task.measurement_noise() == 0) return;
  Random random(key);
  for (double& value : measured) value += task.measurement_noise() * random.Normal();
}

void CheckAndClampAction(const EnvironmentSpec& spec, int time, std::span<double> action) {
  for (size_t i = 0; i < action.size(); ++i) {
    if (!std::isfinite(action[i])) {
      throw RunError(
          fmt::format("step {}: action '{}' of the policy: found {}, expected a finite "
                      "number",
                      time, spec.action[i].name, WithoutSignOfNan(action[i])));
    }
    action[i] = std::clamp(action[i], spec.action_low[i], spec.action_high[i]);
  }
}

/// "observation 'hinge' is nan", "" when all components are finite.
std::string NotFinite(const EnvironmentSpec& spec, std::span<const double> observation) {
  for (size_t i = 0; i < observation.size(); ++i) {
    if (std::isfinite(observation[i])) continue;
    return fmt::format("observation '{}' is {}", spec.observation[i].name,
                       WithoutSignOfNan(observation[i]));
  }
  return "";
}

// Reward and end by the task; false, with the reason, when there is no reward to be had.
bool TryJudge(const Task& task, const Buffers& buffers, EpisodeStep& step,
              std::string& divergence) {
  uint8_t terminated = 0;
  const TransitionBatch transition{.rows = 1,
                                   .observation = buffers.observation.data(),
                                   .action = buffers.action.data(),
                                   .next_observation = buffers.next_observation.data()};
  task.reward().Evaluate(transition, &step.reward, &terminated);
  if (!std::isfinite(step.reward)) {
    divergence = fmt::format("step {}: reward {}", step.time,
                             DescribeNotFinite(task.reward(), task.spec(), transition));
    return false;
  }
  if (terminated != 0) step.end = StepEnd::kTerminated;
  return true;
}

// The step with its reward and end; false, with the reason, when it came to nothing.
bool TryStep(const Task& task, Environment& environment, Buffers& buffers, EpisodeStep& step,
             std::string& divergence) {
  const StepOutcome outcome = environment.Step(buffers.action);
  if (outcome.status != StepStatus::kOk) {
    divergence = fmt::format("step {}: {}", step.time, environment.Divergence());
    return false;
  }
  environment.Observe(buffers.next_observation);
  if (std::string what = NotFinite(environment.spec(), buffers.next_observation); !what.empty()) {
    divergence = fmt::format("step {}: {}", step.time, what);
    return false;
  }
  step.end = outcome.end;
  if (!outcome.reward) return TryJudge(task, buffers, step, divergence);
  step.reward = *outcome.reward;
  if (std::isfinite(step.reward)) return true;
  divergence =
      fmt::format("step {}: the environment pays {}", step.time, WithoutSignOfNan(step.reward));
  return false;
}

}  // namespace

double PlanningReward(const Task& task, const EpisodeStep& step) {
  double reward = 0;
  uint8_t terminated = 0;
  task.planning_reward().Evaluate({.rows = 1,
                                   .observation = step.observation.data(),
                                   .action = step.action.data(),
                                   .next_observation = step.next_observation.data()},
                                  &reward, &terminated);
  return reward;
}

EpisodeKeys::EpisodeKeys(Key key)
    : environment(key.Fold(kEnvironmentStream)),
      policy(key.Fold(kPolicyStream)),
      decisions(key.Fold(kDecisionStream)),
      measurements(key.Fold(kMeasurementStream)) {}

EpisodeResult RunEpisode(const Task& task, Environment& environment, Policy& policy, Key key,
                         int max_steps, const std::function<void(const EpisodeStep&)>& observe) {
  return RunEpisode(task, environment, policy, EpisodeKeys(key), max_steps, observe);
}

EpisodeResult RunEpisode(const Task& task, Environment& environment, Policy& policy,
                         const EpisodeKeys& keys, int max_steps,
                         const std::function<void(const EpisodeStep&)>& observe) {
  environment.Reset(keys.environment);
  policy.Reset(keys.policy);
  const EnvironmentSpec& spec = environment.spec();
  const auto* system = dynamic_cast<const System*>(&environment);
  Buffers buffers(spec, system);
  EpisodeResult result;
  environment.Observe(buffers.observation);
  if (const std::string what = NotFinite(spec, buffers.observation); !what.empty()) {
    result.divergence = "start: " + what;
    return result;
  }
  Measure(task, keys.measurements.Fold(0), buffers.observation, buffers.measured);
  const int length = std::min(task.episode_length(), max_steps);
  StepEnd end = StepEnd::kContinues;
  while (result.steps < length && end == StepEnd::kContinues) {
    const int time = result.steps;
    if (system != nullptr) system->GetState(buffers.state);
    policy.Act({.observation = buffers.measured,
                .state = buffers.state,
                .time = time,
                .key = keys.decisions.Fold(static_cast<uint64_t>(time))},
               buffers.action);
    CheckAndClampAction(spec, time, buffers.action);
    EpisodeStep step{.time = time,
                     .observation = buffers.measured,
                     .action = buffers.action,
                     .next_observation = buffers.next_measured};
    try {
      if (!TryStep(task, environment, buffers, step, result.divergence)) break;
    } catch (const EnvironmentFailure& failure) {
      result.failure = fmt::format("step {}: {}", time, failure.what());
      break;
    }
    Measure(task, keys.measurements.Fold(static_cast<uint64_t>(time) + 1), buffers.next_observation,
            buffers.next_measured);
    result.episode_return += step.reward;
    ++result.steps;
    if (result.steps == length && step.end == StepEnd::kContinues) step.end = StepEnd::kTruncated;
    end = step.end;
    result.terminated = end == StepEnd::kTerminated;
    if (observe) observe(step);
    std::swap(buffers.observation, buffers.next_observation);
    std::swap(buffers.measured, buffers.next_measured);
  }
  return result;
}

}  // namespace foreplan
