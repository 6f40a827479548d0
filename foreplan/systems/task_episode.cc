#include "foreplan/systems/task_episode.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "foreplan/core/describe_exception.h"
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

constexpr double kNobodyWrote = std::numeric_limits<double>::quiet_NaN();

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

/// key: of all measurements of the episode.
void Measure(const Task& task, Key key, uint64_t time, const std::vector<double>& observation,
             std::vector<double>& measured) {
  measured = observation;
  if (task.measurement_noise() == 0) return;
  Random random(key.Fold(time));
  // What a task adds stands last, and is known to who acts.
  const size_t count = measured.size() - task.encoding().known.size();
  for (size_t i = 0; i < count; ++i) measured[i] += task.measurement_noise() * random.Normal();
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

}  // namespace

void RethrowAt(const char* whom, int time) {
  RethrowAsRunErrorOf(fmt::format("step {}: the {}", time, whom));
}

EpisodeKeys::EpisodeKeys(Key key)
    : environment(key.Fold(kEnvironmentStream)),
      policy(key.Fold(kPolicyStream)),
      decisions(key.Fold(kDecisionStream)),
      measurements(key.Fold(kMeasurementStream)) {}

TaskEpisode::Buffers::Buffers(const EnvironmentSpec& spec)
    : observation(spec.observation.size(), kNobodyWrote),
      next_observation(spec.observation.size(), kNobodyWrote),
      measured(spec.observation.size()),
      next_measured(spec.observation.size()) {}

TaskEpisode::TaskEpisode(const Task& task, Environment& environment)
    : task_(task), environment_(&environment), buffers_(task.spec()) {
  CheckEnvironment(task.spec(), environment.spec());
}

std::string TaskEpisode::Begin(const EpisodeKeys& keys, std::span<const double> state) {
  keys_ = keys;
  time_ = 0;
  AskAt("environment's Reset", 0, [&] { environment_->Reset(keys.environment); });
  if (!state.empty()) dynamic_cast<System&>(*environment_).SetState(state);
  std::ranges::fill(buffers_.observation, kNobodyWrote);
  AskAt("environment's Observe", 0, [&] { environment_->Observe(buffers_.observation); });
  Measure(task_, keys_.measurements, 0, buffers_.observation, buffers_.measured);
  return NotFinite(task_.spec(), buffers_.observation);
}

std::string TaskEpisode::Step(std::span<double> action, TaskStep& step) {
  const EnvironmentSpec& spec = task_.spec();
  for (size_t i = 0; i < action.size(); ++i) {
    action[i] = std::clamp(action[i], spec.action_low[i], spec.action_high[i]);
  }
  const int time = time_;
  const StepOutcome outcome =
      AskAt("environment's Step", time, [&] { return environment_->Step(action); });
  std::ranges::fill(buffers_.next_observation, kNobodyWrote);
  if (outcome.status != StepStatus::kOk) {
    const std::string what = environment_->Divergence();
    return what.empty() ? "the environment diverges" : what;
  }
  AskAt("environment's Observe", time, [&] { environment_->Observe(buffers_.next_observation); });
  std::string what = NotFinite(spec, buffers_.next_observation);
  if (what.empty()) what = Judge(outcome, action, step);
  if (!what.empty()) return what;
  Measure(task_, keys_.measurements, static_cast<uint64_t>(time) + 1, buffers_.next_observation,
          buffers_.next_measured);
  return "";
}

void TaskEpisode::Advance() {
  std::swap(buffers_.observation, buffers_.next_observation);
  std::swap(buffers_.measured, buffers_.next_measured);
  ++time_;
}

TransitionBatch TaskEpisode::AsBatch(const Buffers& buffers, std::span<const double> action) {
  return {.rows = 1,
          .observation = buffers.observation.data(),
          .action = action.data(),
          .next_observation = buffers.next_observation.data()};
}

// The reward as the environment pays it; "" or why there is none.
std::string TaskEpisode::TakePay(const StepOutcome& outcome, TaskStep& step) const {
  if (!outcome.reward) {
    throw RunError(
        fmt::format("step {}: the environment pays nothing, expected a reward with every "
                    "step, as the task has none of its own",
                    time_));
  }
  step.reward = *outcome.reward;
  if (std::isfinite(step.reward)) return "";
  return fmt::format("the environment pays {}", WithoutSignOfNan(step.reward));
}

// Reward and end; "" or why there is none.
std::string TaskEpisode::Judge(const StepOutcome& outcome, std::span<const double> action,
                               TaskStep& step) const {
  step.end = outcome.end;
  double reward = 0;
  uint8_t terminated = 0;
  if (task_.termination() != nullptr) {
    AskAt("reward", time_,
          [&] { task_.termination()->Evaluate(AsBatch(buffers_, action), &reward, &terminated); });
  }
  if (terminated != 0) step.end = StepEnd::kTerminated;
  if (task_.environment_pays()) return TakePay(outcome, step);
  step.reward = reward;
  if (std::isfinite(reward)) return "";
  return "reward " + DescribeNotFinite(task_.reward(), task_.spec(), AsBatch(buffers_, action));
}

}  // namespace foreplan
