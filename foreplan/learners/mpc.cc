#include "foreplan/learners/mpc.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>

#include "foreplan/core/error.h"
#include "foreplan/policies/policy.h"

namespace foreplan {
namespace {

enum Stream : uint64_t { kModel, kFit, kEpisode };

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

template <typename Options>
Options ReadOptions(Config& config, const std::string& section) {
  Options options;
  config.Read(section, options);
  return options;
}

double Mean(const std::vector<double>& values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

void MpcOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("refit_every", refit_every, {0, 1e9}, "steps between fits; 0: after each episode");
  visitor.Choice("base_policy", base_policy, BasePolicyNames(), "acts before the first fit");
  visitor.Field("base_episodes", base_episodes, {1, 1e6}, "episodes of the base policy");
}

struct MpcLearner::EpisodeLog {
  Clock::time_point start = Clock::now();
  bool planned = false;           // false for the base policy's episodes
  double episode_return = 0;      // so far
  double planning_seconds = 0;    // so far
  std::vector<double> rewards;    // per step, what planners maximise
  std::vector<double> predicted;  // per step: the plan's imagined return
  int horizon = 0;                // of the plans [steps]
};

MpcLearner::MpcLearner(Config& config, const LearnerContext& context)
    : context_(context),
      options_(ReadOptions<MpcOptions>(config, "mpc")),
      key_{static_cast<uint64_t>(context.run.seed), 0},
      system_(context.task.MakeSystem()),
      data_(system_->spec().observation_dim(), system_->spec().action_dim()),
      model_(system_->spec(), context.task.encoding(),
             ReadOptions<EnsembleOptions>(config, "model"), key_.Fold(kModel)),
      trainer_(model_, ReadOptions<FitOptions>(config, "fit"), context.pool),
      judge_(model_),
      base_policy_(MakeBasePolicy(options_.base_policy, system_->spec())),
      planner_(MakePlanner(
          context.run.planner, config,
          {model_, context_.task.planning_reward(), context_.task.spec(), context_.pool})),
      controller_(*planner_, model_) {}

void MpcLearner::Run() {
  while (!Done()) {
    if (episodes_ < options_.base_episodes) {
      PlayEpisode(*base_policy_, options_.base_policy);
    } else {
      PlayEpisode(controller_, "mpc");
    }
    if (context_.checkpoint) context_.checkpoint();
  }
}

bool MpcLearner::Done() const {
  const RunOptions& run = context_.run;
  return (run.episodes > 0 && episodes_ >= run.episodes) ||
         (run.steps > 0 && total_steps_ >= run.steps);
}

int MpcLearner::StepsLeft() const {
  const int length = context_.task.episode_length();
  return context_.run.steps > 0 ? std::min(length, context_.run.steps - total_steps_) : length;
}

Key MpcLearner::EpisodeKey(int episode) const {
  return key_.Fold(kEpisode).Fold(static_cast<uint64_t>(episode));
}

void MpcLearner::PlayEpisode(Policy& policy, const std::string& name) {
  EpisodeLog log;
  log.planned = &policy == &controller_;
  const EpisodeResult result =
      RunEpisode(context_.task, *system_, policy, EpisodeKey(episodes_), StepsLeft(),
                 [&](const EpisodeStep& step) { Observe(step, log); });
  ++episodes_;
  Report(result, name, log);
  if (result.steps == 0) {
    throw RunError(
        fmt::format("episode {} ended before its first step: {}", episodes_, result.divergence));
  }
  if (episodes_ >= options_.base_episodes && fitted_rows_ < data_.size()) Refit();
}

// One observed transition: keep it, and refit when it is time.
void MpcLearner::Observe(const EpisodeStep& step, EpisodeLog& log) {
  if (context_.stop) throw Interrupted("interrupted");
  data_.Add(step.observation, step.action, step.next_observation, episodes_ + 1);
  ++total_steps_;
  log.episode_return += step.reward;
  log.rewards.push_back(PlanningReward(step));
  if (log.planned) {
    const Plan& plan = controller_.last_plan();
    log.predicted.push_back(plan.predicted_return);
    log.horizon = static_cast<int>(plan.actions.size()) / data_.action_dim();
    log.planning_seconds += plan.seconds;
    times_.planning_seconds += plan.seconds;
  }
  const bool due = options_.refit_every > 0 && log.planned &&
                   data_.size() - fitted_rows_ >= options_.refit_every;
  Show(step, log, due ? "fitting" : "acting");
  if (due && !step.terminated && step.time + 1 < context_.task.episode_length()) Refit();
}

double MpcLearner::PlanningReward(const EpisodeStep& step) const {
  double reward = 0;
  uint8_t terminated = 0;
  context_.task.planning_reward().Evaluate({.rows = 1,
                                            .observation = step.observation.data(),
                                            .action = step.action.data(),
                                            .next_observation = step.next_observation.data()},
                                           &reward, &terminated);
  return reward;
}

void MpcLearner::Refit() {
  const Clock::time_point start = Clock::now();
  JudgeNewData();
  const FitReport report = trainer_.Fit(data_, key_.Fold(kFit).Fold(static_cast<uint64_t>(fits_)));
  ++fits_;
  fitted_rows_ = data_.size();
  times_.fitting_seconds += SecondsSince(start);
  const auto record = [&](std::string_view name, double value) {
    context_.log.AddMetric(episodes_, total_steps_, name, value);
  };
  record("fit.training_loss", report.training_loss);
  record("fit.steps", report.steps);
  if (report.holdout_rows > 0) record("fit.holdout_rmse", report.holdout_rmse);
  record("fit.seconds", SecondsSince(start));
}

// The model's error on transitions that it has not seen: what it was wrong about where it acted.
void MpcLearner::JudgeNewData() {
  if (fits_ == 0) return;
  const ModelError error = judge_.Judge(data_, fitted_rows_, data_.size());
  const auto record = [&](std::string_view name, double value) {
    context_.log.AddMetric(episodes_, total_steps_, name, value);
  };
  record("model.one_step_rmse", error.one_step_rmse);
  for (size_t i = 0; i < error.component_rmse.size(); ++i) {
    record("model.one_step_rmse." + context_.task.spec().observation[i].name,
           error.component_rmse[i]);
  }
  if (error.open_loop_runs > 0) record("model.ten_step_rmse", error.open_loop_rmse);
  record("model.coverage_90", error.coverage_90);
  record("model.epistemic_share", error.epistemic_share);
}

void MpcLearner::Report(const EpisodeResult& result, const std::string& policy_name,
                        const EpisodeLog& log) {
  const auto record = [&](std::string_view name, double value) {
    context_.log.AddMetric(episodes_, total_steps_, name, value);
  };
  if (log.planned && result.steps > 0) {
    record("planning.ms_per_decision", 1e3 * log.planning_seconds / result.steps);
    // Imagined against realised return over the same horizon: far above means exploitation.
    std::vector<double> planned;
    std::vector<double> realised;
    for (size_t t = 0; t + static_cast<size_t>(log.horizon) <= log.rewards.size(); ++t) {
      planned.push_back(log.predicted[t]);
      const auto begin = log.rewards.begin() + static_cast<int64_t>(t);
      realised.push_back(std::accumulate(begin, begin + log.horizon, 0.0));
    }
    record("planning.imagined_return", Mean(planned));
    record("planning.realised_return", Mean(realised));
  }
  record("episode.seconds", SecondsSince(log.start));
  context_.log.AddEpisode({.episode = episodes_,
                           .controller = policy_name,
                           .steps = result.steps,
                           .total_steps = total_steps_,
                           .episode_return = result.episode_return,
                           .terminated = result.terminated,
                           .note = result.divergence});
}

void MpcLearner::Show(const EpisodeStep& step, const EpisodeLog& log, const std::string& activity) {
  ProgressState state;
  state.episode = episodes_ + 1;
  state.episodes = context_.run.episodes;
  state.step = step.time + 1;
  state.steps = context_.task.episode_length();
  state.total_steps = total_steps_;
  state.max_total_steps = context_.run.steps;
  state.episode_return = log.episode_return;
  state.decisions_per_second =
      log.planning_seconds > 0 ? static_cast<double>(log.rewards.size()) / log.planning_seconds : 0;
  state.activity = activity;
  context_.log.ShowStep(state);
}

void MpcLearner::Save(TensorFile& state) const {
  model_.Save(state);
  trainer_.Save(state);
  data_.Save(state);
  state.tensors["mpc.counters"] = {
      {4},
      std::vector<int32_t>{episodes_, total_steps_, fits_, static_cast<int32_t>(fitted_rows_)}};
  state.tensors["mpc.seconds"] = {
      {2}, std::vector<double>{times_.planning_seconds, times_.fitting_seconds}};
}

void MpcLearner::Restore(const TensorFile& state) {
  const std::array<int64_t, 1> four = {4};
  const std::array<int64_t, 1> two = {2};
  const std::vector<int32_t>& counters = state.Ints("mpc.counters", four);
  const std::vector<double>& seconds = state.Doubles("mpc.seconds", two);
  data_.Restore(state);
  model_.Restore(state);
  trainer_.Restore(state);
  episodes_ = counters[0];
  total_steps_ = counters[1];
  fits_ = counters[2];
  fitted_rows_ = counters[3];
  times_ = {seconds[0], seconds[1]};
}

TensorFile MpcLearner::Model() const {
  TensorFile file;
  model_.Save(file);
  return file;
}

TensorFile MpcLearner::Data() const {
  TensorFile file;
  data_.Save(file);
  return file;
}

}  // namespace foreplan
