#include "foreplan/systems/environment_batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

void CheckOptions(const EnvironmentBatchOptions& options, int components) {
  const auto check = [](const char* name, int found, int low, int high) {
    if (found >= low && found <= high) return;
    throw InputError(fmt::format("{}: found {}, expected {} ... {}", name, found, low, high));
  };
  constexpr int kMost = std::numeric_limits<int>::max();
  check("environments", options.count, 1, kMost);
  check("observed components", options.observed, 0, components);
  check("steps of an episode", options.max_steps, 1, kMost);
}

}  // namespace

EnvironmentBatch::EnvironmentBatch(const Task& task, const EnvironmentBatchOptions& options)
    : task_(task), options_(options), action_dim_(task.spec().action.size()), observed_(0) {
  CheckOptions(options, task.spec().observation_dim());
  const auto count = static_cast<size_t>(options.count);
  observed_ =
      options.observed > 0 ? static_cast<size_t>(options.observed) : task.spec().observation.size();
  const std::shared_ptr<Environment> first = task.MakeEnvironment();
  if (auto system = std::dynamic_pointer_cast<System>(first)) {
    state_dim_ = system->spec().state.size();
    simulators_.push_back(std::move(system));
  }
  places_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const bool shares = !simulators_.empty();
    std::shared_ptr<Environment> made = i == 0 || shares ? first : task.MakeEnvironment();
    if (i > 0 && !shares && made == first) {
      throw InputError(fmt::format(
          "task {}: found one environment for all, expected one that can be made {} times",
          task.name(), count));
    }
    TaskEpisode episode(task, *made);
    places_.push_back({.own = shares ? nullptr : std::move(made),
                       .episode = std::move(episode),
                       .action = std::vector<double>(action_dim_),
                       .key = {.seed = 0, .stream = i},
                       .trouble = ""});
  }
  states_.resize(count * state_dim_);
  observations_.resize(count * observed_);
  final_observations_.resize(count * observed_);
  rewards_.resize(count);
  terminated_.resize(count);
  truncated_.resize(count);
}

Environment& EnvironmentBatch::Enter(size_t i, size_t worker) {
  Place& place = places_[i];
  if (place.own != nullptr) return *place.own;
  System& simulator = *simulators_[worker];
  // Before its first episode there is no state to be in.
  if (place.episodes > 0) {
    simulator.SetState(std::span(states_).subspan(i * state_dim_, state_dim_));
  }
  place.episode.MoveTo(simulator);
  return simulator;
}

void EnvironmentBatch::Leave(size_t i, size_t worker) {
  if (places_[i].own != nullptr || places_[i].episodes == 0) return;
  simulators_[worker]->GetState(std::span(states_).subspan(i * state_dim_, state_dim_));
}

template <typename Work>
void EnvironmentBatch::ForPlaces(Executor& executor, const Work& work) {
  while (!simulators_.empty() && std::ssize(simulators_) < executor.size()) {
    simulators_.push_back(std::dynamic_pointer_cast<System>(task_.MakeEnvironment()));
  }
  executor.ParallelFor(count(), [&](int index, int worker) {
    const auto i = static_cast<size_t>(index);
    Enter(i, static_cast<size_t>(worker));
    work(i);
    Leave(i, static_cast<size_t>(worker));
  });
}

void EnvironmentBatch::Seed(int environment, Key key) {
  Place& place = places_[static_cast<size_t>(environment)];
  place.key = key;
  place.episodes = 0;
}

void EnvironmentBatch::Reset(Executor& executor, std::span<const uint8_t> chosen,
                             std::span<const double> states) {
  if (!states.empty() && state_dim_ == 0) {
    throw InputError("state: found one for environments that show none, expected none");
  }
  ForPlaces(executor, [&](size_t i) {
    if (!chosen.empty() && chosen[i] == 0) return;
    BeginAnew(i, states.empty() ? states : states.subspan(i * state_dim_, state_dim_));
  });
}

void EnvironmentBatch::Step(std::span<const double> actions, Executor& executor) {
  RollOut(actions, 1, executor);
}

void EnvironmentBatch::RollOut(std::span<const double> actions, int steps, Executor& executor) {
  const size_t per_step = places_.size() * action_dim_;
  ForPlaces(executor, [&](size_t i) {
    for (size_t t = 0; t < static_cast<size_t>(steps); ++t) {
      StepOne(i, actions.subspan(t * per_step + i * action_dim_, action_dim_));
    }
  });
}

void EnvironmentBatch::Begin(size_t i, std::span<const double> state) {
  Place& place = places_[i];
  const std::string what =
      place.episode.Begin(EpisodeKeys(place.key.Fold(place.episodes++)), state);
  if (!what.empty()) throw RunError(fmt::format("environment {}: start: {}", i, what));
  std::copy_n(place.episode.observation().begin(), observed_, Row(observations_, i).begin());
}

void EnvironmentBatch::BeginAnew(size_t i, std::span<const double> state) {
  rewards_[i] = 0;
  terminated_[i] = truncated_[i] = 0;
  places_[i].trouble.clear();
  Begin(i, state);
}

void EnvironmentBatch::StepOne(size_t i, std::span<const double> action) {
  if (places_[i].episodes == 0 || (IsOver(i) && options_.autoreset == Autoreset::kDisabled)) {
    throw InputError(fmt::format("environment {}: found {}, expected a reset before the next step",
                                 i, places_[i].episodes == 0 ? "no episode" : "its episode over"));
  }
  if (IsOver(i) && options_.autoreset == Autoreset::kNextStep) {
    BeginAnew(i, {});
    return;
  }
  Act(i, action);
  if (IsOver(i) && options_.autoreset == Autoreset::kSameStep) {
    std::ranges::copy(Row(observations_, i), Row(final_observations_, i).begin());
    Begin(i, {});
  }
}

void EnvironmentBatch::Act(size_t i, std::span<const double> action) {
  Place& place = places_[i];
  std::ranges::copy(action, place.action.begin());
  TaskStep step;
  place.trouble = place.episode.Step(place.action, step);
  if (!place.trouble.empty()) {
    place.trouble = fmt::format("step {}: {}", place.episode.time(), place.trouble);
    step = {.reward = 0, .end = StepEnd::kTruncated};
  } else {
    place.episode.Advance();
    std::copy_n(place.episode.observation().begin(), observed_, Row(observations_, i).begin());
  }
  const bool is_last = place.episode.time() >= options_.max_steps;
  rewards_[i] = step.reward;
  terminated_[i] = step.end == StepEnd::kTerminated ? 1 : 0;
  truncated_[i] = step.end == StepEnd::kTruncated || is_last ? 1 : 0;
}

}  // namespace foreplan
