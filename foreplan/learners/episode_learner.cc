#include "foreplan/learners/episode_learner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/options.h"
#include "foreplan/core/seconds_since.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/learners/episode_row.h"

namespace foreplan {
namespace {

constexpr uint64_t kEpisodeStream = 2;  // of the run's seed

constexpr const char* kCounters = "learner.episodes";

}  // namespace

EpisodeLearner::EpisodeLearner(const LearnerContext& context, const EnvironmentOptions& environment)
    : context_(context),
      key_{static_cast<uint64_t>(context.run.seed), 0},
      environment_(context.task.MakeEnvironment()),
      reconnecting_(environment),
      data_(context.task.spec().observation_dim(), context.task.spec().action_dim()) {
  RunOptions run = context_.run;
  ValidateOptions("run", run);
}

EpisodeLearner::EpisodeLearner(Config& config, const LearnerContext& context)
    : EpisodeLearner(context, ReadOptions<EnvironmentOptions>(config, "environment")) {}

void EpisodeLearner::WriteSections(const RunOptions& /*run*/, Config& config,
                                   ConfigWriter& writer) {
  auto environment = ReadOptions<EnvironmentOptions>(config, "environment");
  writer.Write("environment", environment);
}

int EpisodeLearner::StepsLeft() const {
  const int length = context_.task.episode_length();
  return context_.run.steps > 0 ? std::min(length, context_.run.steps - total_steps_) : length;
}

Key EpisodeLearner::EpisodeKey() const {
  return key_.Fold(kEpisodeStream).Fold(static_cast<uint64_t>(episodes_));
}

EpisodeResult EpisodeLearner::PlayEpisode(const std::string& name, Policy& policy) {
  return PlayEpisode(name, policy, [this](const EpisodeStep& step) { AddToData(step); });
}

EpisodeResult EpisodeLearner::PlayEpisode(const std::string& name, Policy& policy,
                                          const StepFunction& observe) {
  const auto start = std::chrono::steady_clock::now();
  episode_id_ = data_.next_episode();
  double episode_return = 0;
  const bool may_be_last = context_.run.IsOver(episodes_ + 1, total_steps_ + StepsLeft());
  Tell(&RunObserver::OnEpisodeBegin, EpisodeBegin{episodes_ + 1, name, *environment_, may_be_last});
  const auto take = [&](const EpisodeStep& step) {
    if (context_.stop.stop_requested()) throw Interrupted("interrupted");
    ++total_steps_;
    episode_return += step.reward;
    TellOfStep(step);
    Tell(&RunObserver::OnStep, ObservedStep{step, episodes_ + 1, total_steps_, episode_return});
    observe(step);
  };
  EpisodeResult result = Act(policy, EpisodeKey(), StepsLeft(), take);
  data_.EndEpisode(StepEnd::kTruncated);  // by a failure, when nothing else ended it
  ++episodes_;
  TellOfEpisode();
  Record("episode.seconds", SecondsSince(start));
  Tell(&RunObserver::OnEpisodeEnd,
       RowOf(result, context_.task.episode_length(), episodes_, total_steps_, name));
  if (result.steps == 0) {
    throw RunError(fmt::format("episode {} diverged before its first step was done: {}", episodes_,
                               result.divergence));
  }
  return result;
}

EpisodeResult EpisodeLearner::Act(Policy& policy, Key key, int max_steps,
                                  const StepFunction& observe) {
  return RunWhenReachable(reconnecting_, context_.stop, [&] {
    return RunEpisode(context_.task, *environment_, policy, key, max_steps, observe);
  });
}

void EpisodeLearner::Record(std::string_view name, double value) const {
  Tell(&RunObserver::OnMetric, MetricRow{episodes_, total_steps_, std::string(name), value});
}

void EpisodeLearner::Save(TensorFile& state) const {
  state.tensors[kCounters] = {{2}, std::vector<int32_t>{episodes_, total_steps_}};
}

void EpisodeLearner::Restore(const TensorFile& state, Dataset data) {
  const std::array<int64_t, 1> two = {2};
  const std::vector<int32_t>& counters = state.Ints(kCounters, two);
  CheckCounters(state, kCounters);
  RestoreEpisodes(counters[0], counters[1], std::move(data));
}

void EpisodeLearner::RestoreEpisodes(int episodes, int total_steps, Dataset data) {
  episodes_ = episodes;
  total_steps_ = total_steps;
  data_ = std::move(data);
}

}  // namespace foreplan
