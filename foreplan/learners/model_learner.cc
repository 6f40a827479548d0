#include "foreplan/learners/model_learner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "foreplan/control/plan_log.h"
#include "foreplan/core/error.h"
#include "foreplan/core/seconds_since.h"
#include "foreplan/data/recording.h"
#include "foreplan/data/segments.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/learners/episode_row.h"
#include "foreplan/models/rewards/reward_error.h"
#include "foreplan/runs/run_directory.h"
#include "foreplan/systems/component_names.h"

namespace foreplan {
namespace {

enum Stream : uint64_t { kModel, kFit, kEpisode, kJudge };  // kEpisode: EpisodeLearner's

using Clock = std::chrono::steady_clock;

std::shared_ptr<LearnedModel> Checked(const Task& task, std::shared_ptr<LearnedModel> model,
                                      bool needs_model) {
  if (model == nullptr) {
    if (needs_model) throw InputError("learner: found no model, expected one of the task");
    return model;
  }
  const std::shared_ptr<const Dynamics> version = model->snapshot();
  const EnvironmentSpec& spec = task.spec();
  if (version->observation_dim() != spec.observation_dim() ||
      version->action_dim() != spec.action_dim()) {
    throw InputError(fmt::format(
        "learner: found a model of {} observed numbers and {} actions, expected {} and {} as task "
        "{} has",
        version->observation_dim(), version->action_dim(), spec.observation_dim(),
        spec.action_dim(), task.name()));
  }
  return model;
}

}  // namespace

PlanningProblem ProblemOf(const LearnerContext& context, const LearnedModel& model) {
  ModelVersion version = model.version();
  if (version.reward == nullptr) version.reward = context.task.shared_planning_reward();
  return {version.dynamics, version.reward, context.task.spec(), context.executor};
}

ModelLearnerParts ReadModelLearnerParts(Config& config, const LearnerContext& context, bool plans,
                                        std::optional<int> plan_horizon) {
  const Key key{static_cast<uint64_t>(context.run.seed), 0};
  ModelLearnerParts parts;
  parts.model = MakeLearnedModel(context.task, config, key.Fold(kModel), context.executor);
  parts.environment = ReadOptions<EnvironmentOptions>(config, "environment");
  if (plans) {
    parts.planner =
        MakePlanner(context.run.planner, config, ProblemOf(context, *parts.model), plan_horizon);
  }
  return parts;
}

ModelLearner::ModelLearner(const LearnerContext& context, ModelLearnerParts parts,
                           const std::string& base_policy, bool needs_model)
    : EpisodeLearner(context, parts.environment),
      key_{static_cast<uint64_t>(context.run.seed), 0},
      model_(Checked(context.task, std::move(parts.model), needs_model)),
      base_policy_name_(base_policy),
      base_policy_(MakeBasePolicy(base_policy, context.task.spec())),
      planner_(std::move(parts.planner)) {
  if (model_ != nullptr) judge_.emplace(*model_);
  if (begins_with_model()) BeginWithModel();
}

void ModelLearner::WriteSections(const RunOptions& run, Config& config, ConfigWriter& writer) {
  EpisodeLearner::WriteSections(run, config, writer);
  WriteModelOptions(config, writer);
  WritePlannerOptions(run.planner, config, writer);
}

void ModelLearner::BeginWithModel() {
  const RunDirectory folder = RunDirectory::OpenModel(context().run.model);
  const TensorFile model = ReadTensors(folder.model_file());
  CheckSubject(context().task, model);
  if (model_ != nullptr) model_->RestorePredictor(model);
  ReadSegments(folder.data_folder(), -1, data_before());
  fits_ = 1;
  fitted_rows_ = judged_rows_ = data().size();
}

const std::shared_ptr<Planner>& ModelLearner::planner() const {
  if (planner_ == nullptr) throw InputError("learner: found no planner, expected one");
  return planner_;
}

void ModelLearner::PlayBaseEpisode() { PlayEpisode(base_policy_name_, *base_policy_); }

void ModelLearner::PlayEpisode(const std::string& name, Policy& policy) {
  Play(name, policy, nullptr, [this](const EpisodeStep& step) { AddToData(step); });
}

void ModelLearner::PlayEpisode(const std::string& name, PlanningPolicy& policy) {
  Play(name, policy, &policy, [this](const EpisodeStep& step) { AddToData(step); });
}

void ModelLearner::PlayEpisode(const std::string& name, PlanningPolicy& policy,
                               const StepFunction& observe) {
  Play(name, policy, &policy, observe);
}

void ModelLearner::Play(const std::string& name, Policy& policy, const PlanningPolicy* planned,
                        const StepFunction& observe) {
  planned_ = planned;
  plans_ = {};
  EpisodeLearner::PlayEpisode(name, policy, observe);
  last_rewards_ = plans_.rewards();
  Checkpoint();
}

void ModelLearner::TellOfStep(const EpisodeStep& step) {
  const Plan* plan = planned_ != nullptr ? planned_->new_plan() : nullptr;
  plans_.AddStep(plan, data().action_dim(), PlanningReward(context().task, step));
  if (plan == nullptr) return;
  times_.planning_seconds += plan->seconds;
  Tell(&RunObserver::OnPlan, planned_->made_plan());
}

void ModelLearner::TellOfEpisode() {
  if (plans_.plans() == 0) return;
  Record("planning.ms_per_decision", 1e3 * plans_.seconds() / plans_.plans());
  const PlanLog::Outcome outcome = plans_.MeanOutcome();
  Record("planning.imagined_return", outcome.imagined);
  Record("planning.realised_return", outcome.realised);
}

void ModelLearner::Refit() {
  const Clock::time_point start = Clock::now();
  Tell(&RunObserver::OnFitBegin);
  JudgeNewData();
  const FitMetrics metrics =
      model_->Fit(data(), key_.Fold(kFit).Fold(static_cast<uint64_t>(fits_)), context().stop);
  ++fits_;
  fitted_rows_ = judged_rows_ = data().size();
  times_.fitting_seconds += SecondsSince(start);
  Tell(&RunObserver::OnFit, metrics);
  for (const auto& [name, value] : metrics) Record("fit." + name, value);
  Record("fit.seconds", SecondsSince(start));
}

bool ModelLearner::JudgeNewData() {
  const int64_t first = std::exchange(judged_rows_, data().size());
  if (fits_ == 0 || first == data().size()) return false;
  RecordModelError("model", judge_->Judge(data(), first, data().size()));
  if (const auto reward = model_->version().reward; reward != nullptr) {
    for (const auto& [name, value] :
         MetricsOf(MeasureReward(*reward, data(), first, data().size()))) {
      Record("model." + name, value);
    }
  }
  return true;
}

void ModelLearner::JudgeBasePolicy() {
  Dataset measured(data().observation_dim(), data().action_dim());
  Act(*base_policy_, key_.Fold(kJudge), context().task.episode_length(),
      [&](const EpisodeStep& step) {
        measured.Add(step.observation, step.action, step.next_observation, 1);
      });
  RecordModelError("model.base", judge_->Judge(measured, 0, measured.size()));
}

void ModelLearner::LoadData(const std::string& file, const LogOptions& options) {
  data_before() = ReadRecording(file, ColumnsOf(context().task.spec()), options).data;
}

void ModelLearner::RecordModelError(const std::string& prefix, const ModelError& error) const {
  Record(prefix + ".one_step_rmse", error.one_step_rmse);
  for (size_t i = 0; i < error.component_rmse.size(); ++i) {
    Record(prefix + ".one_step_rmse." + context().task.spec().observation[i].name,
           error.component_rmse[i]);
  }
  if (error.open_loop_runs > 0) Record(prefix + ".ten_step_rmse", error.open_loop_rmse);
  Record(prefix + ".coverage_90", error.coverage_90);
  Record(prefix + ".epistemic_share", error.epistemic_share);
}

void ModelLearner::Save(TensorFile& state) const {
  WriteSubject(context().task, state);
  if (model_ != nullptr) model_->Save(state);
  state.tensors["learner.counters"] = {
      {5},
      std::vector<int32_t>{episodes(), total_steps(), fits_, static_cast<int32_t>(fitted_rows_),
                           static_cast<int32_t>(judged_rows_)}};
  state.tensors["learner.seconds"] = {
      {2}, std::vector<double>{times_.planning_seconds, times_.fitting_seconds}};
  state.tensors["learner.last_rewards"] = {{std::ssize(last_rewards_)}, last_rewards_};
}

void ModelLearner::Restore(const TensorFile& state, Dataset data) {
  const std::array<int64_t, 1> five = {5};
  const std::array<int64_t, 1> two = {2};
  const std::array<int64_t, 1> any = {-1};
  const std::vector<int32_t>& counters = state.Ints("learner.counters", five);
  const std::vector<double>& seconds = state.Doubles("learner.seconds", two);
  CheckCounters(state, "learner.counters");
  CheckFinite(state, "learner.seconds");
  CheckFinite(state, "learner.last_rewards");
  last_rewards_ = state.Doubles("learner.last_rewards", any);
  CheckSubject(context().task, state);
  if (model_ != nullptr) model_->Restore(state);
  fits_ = counters[2];
  fitted_rows_ = counters[3];
  judged_rows_ = counters[4];
  if (std::max(fitted_rows_, judged_rows_) > data.size()) {
    throw InputError(
        fmt::format("{}: tensor 'learner.counters': found {} and {} rows fitted and "
                    "judged, expected at most the {} of the data",
                    state.source, fitted_rows_, judged_rows_, data.size()));
  }
  RestoreEpisodes(counters[0], counters[1], std::move(data));
  times_ = {seconds[0], seconds[1]};
}

TensorFile ModelLearner::Model() const {
  TensorFile file;
  WriteSubject(context().task, file);
  if (model_ != nullptr) model_->SavePredictor(file);
  return file;
}

nlohmann::ordered_json ModelLearner::Results() const {
  nlohmann::ordered_json results = Learner::Results();
  if (model_ == nullptr) return results;
  nlohmann::ordered_json model = model_->Describe();
  if (!model.empty()) results["model"] = std::move(model);
  return results;
}

}  // namespace foreplan
