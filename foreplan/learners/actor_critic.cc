#include "foreplan/learners/actor_critic.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/seconds_since.h"
#include "foreplan/core/size.h"
#include "foreplan/data/observation_range.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/learners/policy_evaluation.h"
#include "foreplan/policies/policy_of_subject.h"

namespace foreplan {
namespace {

enum Stream : uint64_t { kPolicy, kCritics, kUpdates, kEvaluation };
enum UpdateStream : uint64_t { kPool, kStarts, kOneStep, kUpdate };

// ModelLearner derives its keys from stream 0 of the seed.
constexpr uint64_t kActorCriticStream = 0x61637469;

constexpr const char* kCriticPrefix = "critic.";

ModelLearnerParts ReadParts(const ActorCriticSections& sections, Config& config,
                            const LearnerContext& context) {
  if (sections.NeedsModel()) return ReadModelLearnerParts(config, context, false);
  return {.model = nullptr, .environment = ReadOptions<EnvironmentOptions>(config, "environment")};
}

}  // namespace

LearnerEntry ActorCriticLearner::Entry(const std::string& algorithm) {
  return {.make = [algorithm](Config& config,
                              const LearnerContext& context) -> std::unique_ptr<Learner> {
            const ActorCriticSections sections(algorithm, config);
            return std::make_unique<ActorCriticLearner>(context, sections,
                                                        ReadParts(sections, config, context));
          },
          .write =
              [algorithm](const std::string& /*name*/, const RunOptions& /*run*/, Config& config,
                          ConfigWriter& writer) {
                ActorCriticSections sections(algorithm, config);
                sections.Write(writer);
                auto environment = ReadOptions<EnvironmentOptions>(config, "environment");
                writer.Write("environment", environment);
                ConfigWriter unused;
                WriteModelOptions(config, sections.NeedsModel() ? writer : unused);
              },
          .plans = false,
          .prepare = [algorithm](Config& config) { PrepareActorCritic(algorithm, config); }};
}

ActorCriticLearner::ActorCriticLearner(const LearnerContext& context,
                                       const ActorCriticSections& sections, ModelLearnerParts parts)
    : ModelLearner(context, std::move(parts), sections.learner.base_policy, sections.NeedsModel()),
      options_(sections.Checked().learner),
      key_{static_cast<uint64_t>(context.run.seed), kActorCriticStream},
      policy_(MakeSquashedPolicy(context.task, sections.policy, key_.Fold(kPolicy))),
      actor_(policy_, PolicyAction::kSampled),
      controller_(policy_, PolicyAction::kMean),
      critics_(policy_.encoder().inputs(), policy_.action_dim(), sections.critic,
               sections.training.batch, key_.Fold(kCritics), context.executor),
      actor_critic_(policy_, critics_, sections.training, context.executor),
      starts_(Size(sections.training.batch, policy_.observation_dim())),
      next_evaluation_(options_.evaluate_every) {
  const int batch = sections.training.batch;
  if (!options_.data.empty()) BeginWithData();
  if (options_.critic_rows != CriticRows::kExpansion) {
    one_step_ = {.observation = starts_,
                 .action = std::vector<double>(Size(batch, policy_.action_dim())),
                 .next_observation = starts_,
                 .reward = std::vector<double>(Size(batch)),
                 .terminated = std::vector<uint8_t>(Size(batch))};
  }
  if (uses_model() && !sections.NeedsModel()) {
    throw InputError("actor_critic: found a model, expected none, as nothing is imagined");
  }
  if (!uses_model()) {
    if (!context.task.planning_reward_is_learned()) {
      reward_ = context.task.shared_planning_reward();
    }
    return;
  }
  reward_ = problem().reward;
  if (options_.rollout_steps == 0) return;
  const int rows =
      (options_.pool_updates * batch + options_.rollout_steps - 1) / options_.rollout_steps;
  pool_.emplace(policy_.observation_dim(), policy_.action_dim(), options_.pool);
  rollouts_.emplace(policy_, rows, options_.rollout_steps, sections.training.particles,
                    context.executor);
  rollout_starts_.resize(Size(rows, policy_.observation_dim()));
}

void ActorCriticLearner::BeginWithData() {
  if (begins_with_model()) {
    throw InputError(
        fmt::format("actor_critic.data: found '{}' beside run.model = '{}', which begins with data "
                    "of its own; expected one of them",
                    options_.data, context().run.model));
  }
  LoadData(options_.data, options_.log);
  if (uses_model() || !context().task.planning_reward_is_learned()) return;
  for (int64_t row = 0; row < data().size(); ++row) {
    if (!std::isnan(data().reward(row))) continue;
    throw InputError(fmt::format(
        "{}: row {}: found no reward, expected one in every row: what task {} pays is known from "
        "them alone",
        options_.data, row, context().task.name()));
  }
}

bool ActorCriticLearner::Step() {
  // The episode before is saved by now: a run that stops in its training goes on here. What is
  // evaluated has not been trained on a step beyond the one that it is of.
  while (next_evaluation_ > 0 && total_steps() > next_evaluation_) Evaluate();
  if (IsTrainingDue()) {
    Train();
    Checkpoint();
  }
  if (next_evaluation_ > 0 && total_steps() == next_evaluation_) {
    Evaluate();
    Checkpoint();
  }
  if (Done()) return false;
  if (IsBaseDue()) {
    PlayBaseEpisode();
  } else {
    PlayEpisode("policy", actor_);
  }
  return true;
}

bool ActorCriticLearner::IsBaseDue() const {
  return data().size() < options_.base_steps && !begins_with_model();
}

bool ActorCriticLearner::IsTrainingDue() const {
  if (IsBaseDue()) return false;
  return data().size() - trained_rows_ >= options_.train_every;
}

void ActorCriticLearner::Train() {
  const auto start = std::chrono::steady_clock::now();
  const auto fresh = static_cast<double>(data().size() - trained_rows_);
  const Normaliser scale = policy_.encoder().Measure(data());
  if (updates_ == 0) {
    policy_.set_scale(scale);  // what is untrained begins with it
  } else {
    actor_critic_.Rescale(scale);
  }
  double fitting = 0;
  if (uses_model()) {
    const double before = times().fitting_seconds;
    if (has_new_data()) Refit();
    fitting = times().fitting_seconds - before;
    const PlanningProblem present = problem();
    reward_ = present.reward;
    const ModelVersion version{present.dynamics, present.reward};
    const ObservationRange range(data(), options_.range_margin);
    actor_critic_.set_model(version, range);
    if (rollouts_) {
      rollouts_->set_model(version, range);
      pool_->Clear();
    }
  }
  if (options_.forget_moments) actor_critic_.ForgetMoments();
  ActorCriticReport report;
  Learn(std::llround(options_.critic_updates_per_step * fresh), false, report);
  Learn(std::llround(options_.updates_per_step * fresh), true, report);
  trained_rows_ = data().size();
  const double seconds = SecondsSince(start) - fitting;
  CountPlanning(seconds);
  Report(report, seconds);
}

void ActorCriticLearner::Learn(int64_t updates, bool trains_actor, ActorCriticReport& report) {
  for (int64_t update = 0; update < updates; ++update, ++updates_) {
    if (context().stop.stop_requested()) throw Interrupted("interrupted");
    const Key key = key_.Fold(kUpdates).Fold(static_cast<uint64_t>(updates_));
    if (pool_ && update % options_.pool_updates == 0) FillPool(key.Fold(kPool));
    DrawStarts(key.Fold(kStarts));
    if (options_.critic_rows == CriticRows::kExpansion) {
      actor_critic_.Update(starts_, nullptr, key.Fold(kUpdate), trains_actor, report);
      continue;
    }
    DrawOneStep(key.Fold(kOneStep));
    const OneStepRows rows = {one_step_.observation, one_step_.action, one_step_.next_observation,
                              one_step_.reward, one_step_.terminated};
    actor_critic_.Update(starts_, &rows, key.Fold(kUpdate), trains_actor, report);
  }
}

// Until as many transitions have joined as the updates before the next time take.
void ActorCriticLearner::FillPool(Key key) {
  // Rollouts of which every one ends with its first step give enough in rollout_steps tries.
  const auto most_tries = static_cast<uint64_t>(100 + options_.rollout_steps);
  const int64_t wanted =
      static_cast<int64_t>(options_.pool_updates) * actor_critic_.options().batch;
  int64_t joined = 0;
  for (uint64_t tries = 0; joined < wanted; ++tries) {
    if (tries == most_tries) {
      throw RunError(
          fmt::format("actor critic: {} times {} imagined rollouts gave {} transitions, {} are "
                      "wanted: they end at once, or come to no finite numbers",
                      most_tries, rollouts_->rows(), joined, wanted));
    }
    const Key own = key.Fold(tries);
    DrawObservations(rollouts_->rows(), own.Fold(0), rollout_starts_);
    joined += rollouts_->Fill(rollout_starts_, own.Fold(1), *pool_);
  }
}

void ActorCriticLearner::DrawObservations(int rows, Key key,
                                          std::vector<double>& observations) const {
  Random random(key);
  auto to = observations.begin();
  for (int row = 0; row < rows; ++row) {
    const auto from = static_cast<int64_t>(random.Below(static_cast<uint64_t>(data().size())));
    to = std::ranges::copy(data().observation(from), to).out;
  }
}

// Where the actor's rollouts begin: in the pool, but for the real share of one-step learning, or
// where there is none at what was seen.
void ActorCriticLearner::DrawStarts(Key key) {
  const int batch = actor_critic_.options().batch;
  if (!pool_) return DrawObservations(batch, key, starts_);
  const int no = policy_.observation_dim();
  Random random(key);
  const bool mixes = options_.critic_rows == CriticRows::kImagined;
  const int real = mixes ? static_cast<int>(std::lround(options_.real_share * batch)) : 0;
  for (int row = 0; row < batch; ++row) {
    double* to = starts_.data() + Size(row, no);
    if (row < real) {
      const auto from = static_cast<int64_t>(random.Below(static_cast<uint64_t>(data().size())));
      std::ranges::copy(data().observation(from), to);
    } else {
      const auto from = static_cast<int64_t>(random.Below(static_cast<uint64_t>(pool_->size())));
      std::copy_n(pool_->observation(from), no, to);
    }
  }
}

void ActorCriticLearner::DrawOneStep(Key key) {
  const int batch = actor_critic_.options().batch;
  const auto no = static_cast<size_t>(policy_.observation_dim());
  const auto nu = static_cast<size_t>(policy_.action_dim());
  Random random(key);
  const int real = options_.critic_rows == CriticRows::kReal
                       ? batch
                       : static_cast<int>(std::lround(options_.real_share * batch));
  for (int row = 0; row < batch; ++row) {
    const auto to = static_cast<size_t>(row);
    if (row < real) {
      TakeRealRow(static_cast<int64_t>(random.Below(static_cast<uint64_t>(data().size()))), to);
      continue;
    }
    const auto from = static_cast<int64_t>(random.Below(static_cast<uint64_t>(pool_->size())));
    std::copy_n(pool_->observation(from), no, one_step_.observation.data() + to * no);
    std::copy_n(pool_->action(from), nu, one_step_.action.data() + to * nu);
    std::copy_n(pool_->next_observation(from), no, one_step_.next_observation.data() + to * no);
  }
  if (reward_ == nullptr) return;  // all rows are real, and as they were paid
  reward_->Evaluate({.rows = batch,
                     .observation = one_step_.observation.data(),
                     .action = one_step_.action.data(),
                     .next_observation = one_step_.next_observation.data()},
                    one_step_.reward.data(), one_step_.terminated.data());
}

// An end by time is no end: only a termination stops what follows from counting.
void ActorCriticLearner::TakeRealRow(int64_t row, size_t to) {
  const Transition transition = data().transition(row);
  const auto no = static_cast<size_t>(policy_.observation_dim());
  const auto nu = static_cast<size_t>(policy_.action_dim());
  std::ranges::copy(transition.observation, one_step_.observation.data() + to * no);
  std::ranges::copy(transition.action, one_step_.action.data() + to * nu);
  std::ranges::copy(transition.next_observation, one_step_.next_observation.data() + to * no);
  one_step_.reward[to] = transition.reward;
  one_step_.terminated[to] = transition.end == StepEnd::kTerminated ? 1 : 0;
}

void ActorCriticLearner::Evaluate() {
  const auto start = std::chrono::steady_clock::now();
  const Key key = key_.Fold(kEvaluation).Fold(static_cast<uint64_t>(next_evaluation_));
  const PolicyEvaluation evaluation = EvaluatePolicy(context().task, policy_, critics_,
                                                     {.episodes = options_.evaluation_episodes,
                                                      .temperature = actor_critic_.temperature(),
                                                      .discount = actor_critic_.options().discount,
                                                      .key = key},
                                                     *context().executor, context().stop);
  Record("evaluation.step", static_cast<double>(next_evaluation_));
  Record("evaluation.mean_return", evaluation.mean_return);
  Record("evaluation.mean_length", evaluation.mean_length);
  Record("evaluation.sampled_return", evaluation.sampled_return);
  if (evaluation.states > 0) {
    Record("evaluation.critic_states", static_cast<double>(evaluation.states));
    Record("evaluation.critic_value", evaluation.critic_value);
    Record("evaluation.soft_return", evaluation.soft_return);
    Record("evaluation.critic_bias", evaluation.critic_bias);
  }
  Record("evaluation.seconds", SecondsSince(start));
  next_evaluation_ += options_.evaluate_every;
}

void ActorCriticLearner::Report(const ActorCriticReport& report, double seconds) const {
  const auto updates = static_cast<double>(std::max<int64_t>(1, report.updates));
  const auto actor = static_cast<double>(std::max<int64_t>(1, report.actor_updates));
  const auto rollouts = static_cast<double>(std::max<int64_t>(1, report.rollouts));
  Record("critic.loss", report.critic_loss / updates);
  Record("critic.value", report.critic_value / updates);
  Record("critic.gradient_norm", report.critic_gradient_norm / updates);
  Record("critic.bound_low", critics_.bounds().low);
  Record("critic.bound_high", critics_.bounds().high);
  Record("actor.imagined_value", report.imagined_value / actor);
  Record("actor.entropy", report.entropy / actor);
  Record("actor.temperature", actor_critic_.temperature());
  Record("actor.gradient_norm", report.actor_gradient_norm / actor);
  Record("actor.largest_gradient_norm", report.largest_actor_gradient_norm);
  Record("actor.ended_rollouts", static_cast<double>(report.ended_rollouts) / rollouts);
  Record("actor.invalid_rollouts", static_cast<double>(report.invalid_rollouts) / rollouts);
  Record("actor.invalid_updates", static_cast<double>(report.invalid_updates));
  Record("actor.updates", static_cast<double>(updates_));
  Record("actor.updates_per_second", static_cast<double>(report.updates) / seconds);
  Record("actor.seconds", seconds);
}

void ActorCriticLearner::Save(TensorFile& state) const {
  ModelLearner::Save(state);
  policy_.Save(kPolicyPrefix, state);
  critics_.Save(kCriticPrefix, state);
  actor_critic_.Save(state);
  state.tensors["actor_critic.progress"] = {
      {3},
      std::vector<double>{static_cast<double>(updates_), static_cast<double>(trained_rows_),
                          static_cast<double>(next_evaluation_)}};
}

void ActorCriticLearner::Restore(const TensorFile& state, Dataset rows) {
  ModelLearner::Restore(state, std::move(rows));
  policy_.Restore(kPolicyPrefix, state);
  critics_.Restore(kCriticPrefix, state);
  actor_critic_.Restore(state);
  const std::vector<double>& progress = FiniteDoubles(state, "actor_critic.progress", 3);
  CheckCounters(state, "actor_critic.progress");
  updates_ = static_cast<int64_t>(progress[0]);
  trained_rows_ = static_cast<int64_t>(progress[1]);
  next_evaluation_ = static_cast<int64_t>(progress[2]);
  if (trained_rows_ > data().size()) {
    throw InputError(fmt::format(
        "{}: tensor 'actor_critic.progress': found a training on {} rows, expected at most the {} "
        "of the data",
        state.source, trained_rows_, data().size()));
  }
}

TensorFile ActorCriticLearner::Model() const {
  TensorFile file = ModelLearner::Model();
  policy_.Save(kPolicyPrefix, file);
  critics_.Save(kCriticPrefix, file);
  return file;
}

}  // namespace foreplan
