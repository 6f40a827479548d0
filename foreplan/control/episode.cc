#include "foreplan/control/episode.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <limits>
#include <utility>

#include "foreplan/core/describe_exception.h"
#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/core/seconds_since.h"
#include "foreplan/systems/rewards/expression_reward.h"

namespace foreplan {
namespace {

// Streams of an episode's key.
constexpr uint64_t kEnvironmentStream = 0;
constexpr uint64_t kPolicyStream = 1;
constexpr uint64_t kDecisionStream = 2;
constexpr uint64_t kMeasurementStream = 3;

constexpr double kNobodyWrote = std::numeric_limits<double>::quiet_NaN();

// One step's vectors.
struct Buffers {
  explicit Buffers(const EnvironmentSpec& spec, const System* system)
      : state(system != nullptr ? system->spec().state.size() : 0),
        next_state(state.size()),
        observation(spec.observation.size(), kNobodyWrote),
        next_observation(spec.observation.size(), kNobodyWrote),
        measured(spec.observation.size()),
        next_measured(spec.observation.size()),
        action(spec.action.size()) {}

  std::vector<double> state;             // [state_dim], empty where it cannot be seen
  std::vector<double> next_state;        // [state_dim]
  std::vector<double> observation;       // [no]
  std::vector<double> next_observation;  // [no]
  std::vector<double> measured;          // the observation with the task's noise: [no]
  std::vector<double> next_measured;     // [no]
  std::vector<double> action;            // [nu]
};

void CheckEnvironment(const EnvironmentSpec& expected, const EnvironmentSpec& found) {
  if (found.observation_dim() == expected.observation_dim() &&
      found.action_dim() == expected.action_dim()) {
    return;
  }
  throw InputError(
      fmt::format("environment: found {} observed components and {} actions, expected the {} and "
                  "{} of the task",
                  found.observation_dim(), found.action_dim(), expected.observation_dim(),
                  expected.action_dim()));
}

void Measure(const Task& task, Key key, const std::vector<double>& observation,
             std::vector<double>& measured) {
  measured = observation;
  if (task.measurement_noise() == 0) return;
  Random random(key);
  // What a task adds stands last, and is known to who acts.
  const size_t count = measured.size() - task.encoding().known.size();
  for (size_t i = 0; i < count; ++i) measured[i] += task.measurement_noise() * random.Normal();
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

TransitionBatch AsBatch(const Buffers& buffers) {
  return {.rows = 1,
          .observation = buffers.observation.data(),
          .action = buffers.action.data(),
          .next_observation = buffers.next_observation.data()};
}

// What others' code throws becomes the error of a run that says whose code it was.
template <typename Function>
auto Ask(const char* whom, int time, const Function& function) {
  try {
    return function();
  } catch (const RunError&) {
    throw;
  } catch (const Interrupted&) {
    throw;
  } catch (...) {
    throw RunError(fmt::format("step {}: the {} throws: {}", time, whom, DescribeException()));
  }
}

// The reward as the environment pays it; "" or why there is none.
std::string TakePay(const StepOutcome& outcome, EpisodeStep& step) {
  if (!outcome.reward) {
    throw RunError(
        fmt::format("step {}: the environment pays nothing, expected a reward with every "
                    "step, as the task has none of its own",
                    step.time));
  }
  step.reward = *outcome.reward;
  if (std::isfinite(step.reward)) return "";
  return fmt::format("the environment pays {}", WithoutSignOfNan(step.reward));
}

// Reward and end; "" or why there is none.
std::string Judge(const Task& task, const StepOutcome& outcome, const Buffers& buffers,
                  EpisodeStep& step) {
  step.end = outcome.end;
  double reward = 0;
  uint8_t terminated = 0;
  if (task.termination() != nullptr) {
    Ask("reward", step.time,
        [&] { task.termination()->Evaluate(AsBatch(buffers), &reward, &terminated); });
  }
  if (terminated != 0) step.end = StepEnd::kTerminated;
  if (task.environment_pays()) return TakePay(outcome, step);
  step.reward = reward;
  if (std::isfinite(reward)) return "";
  return "reward " + DescribeNotFinite(task.reward(), task.spec(), AsBatch(buffers));
}

// The step with its reward and end; "" or why it came to nothing.
std::string TakeStep(const Task& task, Environment& environment, Buffers& buffers,
                     EpisodeStep& step) {
  const StepOutcome outcome =
      Ask("environment's Step", step.time, [&] { return environment.Step(buffers.action); });
  std::ranges::fill(buffers.next_observation, kNobodyWrote);
  if (outcome.status != StepStatus::kOk) {
    const std::string what = environment.Divergence();
    return what.empty() ? "the environment diverges" : what;
  }
  Ask("environment's Observe", step.time, [&] { environment.Observe(buffers.next_observation); });
  const std::string what = NotFinite(task.spec(), buffers.next_observation);
  return what.empty() ? Judge(task, outcome, buffers, step) : what;
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
  const EnvironmentSpec& spec = task.spec();
  CheckEnvironment(spec, environment.spec());
  const auto* system = dynamic_cast<const System*>(&environment);
  auto* oracle = dynamic_cast<Oracle*>(&policy);
  if (oracle != nullptr && system == nullptr) {
    throw InputError(
        fmt::format("task {}: found a policy that acts by the full state in an environment that "
                    "shows none, expected a system to act in",
                    task.name()));
  }
  Buffers buffers(spec, system);
  EpisodeResult result;
  Ask("environment's Reset", 0, [&] { environment.Reset(keys.environment); });
  Ask("environment's Observe", 0, [&] { environment.Observe(buffers.observation); });
  Ask("policy's Reset", 0, [&] { policy.Reset(keys.policy); });
  if (const std::string what = NotFinite(spec, buffers.observation); !what.empty()) {
    result.divergence = "start: " + what;
    return result;
  }
  Measure(task, keys.measurements.Fold(0), buffers.observation, buffers.measured);
  if (system != nullptr) system->GetState(buffers.state);
  const int length = std::min(task.episode_length(), max_steps);
  while (result.steps < length && result.end == StepEnd::kContinues) {
    const int time = result.steps;
    const auto start = std::chrono::steady_clock::now();
    if (oracle != nullptr) oracle->See(buffers.state);
    const Situation situation{.observation = buffers.measured,
                              .time = time,
                              .key = keys.decisions.Fold(static_cast<uint64_t>(time))};
    Ask("policy's Act", time, [&] { policy.Act(situation, buffers.action); });
    const double seconds = SecondsSince(start);
    CheckAndClampAction(spec, time, buffers.action);
    EpisodeStep step{.time = time,
                     .decision_seconds = seconds,
                     .observation = buffers.measured,
                     .action = buffers.action,
                     .next_observation = buffers.next_measured,
                     .state = buffers.state,
                     .next_state = buffers.next_state};
    try {
      const std::string trouble = TakeStep(task, environment, buffers, step);
      if (!trouble.empty()) {
        result.divergence = fmt::format("step {}: {}", time, trouble);
        break;
      }
    } catch (const EnvironmentFailure& failure) {
      if (result.steps == 0) throw;
      result.failure = fmt::format("step {}: {}", time, failure.what());
      break;
    }
    Measure(task, keys.measurements.Fold(static_cast<uint64_t>(time) + 1), buffers.next_observation,
            buffers.next_measured);
    if (system != nullptr) system->GetState(buffers.next_state);
    result.episode_return += step.reward;
    ++result.steps;
    result.end = step.end;
    if (result.steps == length && step.end == StepEnd::kContinues) step.end = StepEnd::kTruncated;
    if (observe) observe(step);
    std::swap(buffers.observation, buffers.next_observation);
    std::swap(buffers.measured, buffers.next_measured);
    std::swap(buffers.state, buffers.next_state);
  }
  return result;
}

}  // namespace foreplan
