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
#include "foreplan/data/tensor_checks.h"
#include "foreplan/learners/policy_evaluation.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"
#include "foreplan/systems/component_names.h"

namespace foreplan {
namespace {

enum Stream : uint64_t { kPolicy, kCritics, kUpdates, kEvaluation };
enum UpdateStream : uint64_t { kPool, kStarts, kOneStep, kUpdate };

// ModelLearner derives its keys from stream 0 of the seed.
constexpr uint64_t kActorCriticStream = 0x61637469;

constexpr const char* kSection = "actor_critic";
constexpr const char* kPolicySection = "actor_critic.policy";
constexpr const char* kCriticSection = "actor_critic.critic";
constexpr const char* kTrainingSection = "actor_critic.training";
constexpr const char* kModelSection = "actor_critic.model";
constexpr const char* kFitSection = "actor_critic.fit";
constexpr const char* kPolicyPrefix = "policy.";
constexpr const char* kCriticPrefix = "critic.";

FeatureMap PolicyFeatures(const ModelSubject& subject, const SquashedGaussianOptions& options) {
  EnvironmentSpec spec = subject.spec;
  spec.action.clear();
  const std::vector<std::string> known = Names(spec.observation);
  Encoding encoding;
  encoding.omit = subject.encoding.omit;
  for (const std::string& name : options.omit) {
    if (std::ranges::find(known, name) == known.end()) {
      throw UnknownName("actor_critic.policy.omit", "observation component", name, known);
    }
    encoding.omit.push_back(name);
  }
  for (const std::string& name : subject.encoding.sin_cos) {
    if (std::ranges::find(encoding.omit, name) == encoding.omit.end()) {
      encoding.sin_cos.push_back(name);
    }
  }
  return FeatureMap(spec, encoding);
}

// What dynamics need to be imagined many steps at a time, a member per row and step, and to be
// fitted often: few steps of large batches.
const std::vector<std::pair<std::string, std::string>> kModelDefaults = {
    {"members", "8"},     {"hidden_layers", "3"}, {"width", "256"},
    {"propagation", "ts_1"}};
const std::vector<std::pair<std::string, std::string>> kFitDefaults = {
    {"epochs", "0"}, {"min_steps", "300"}, {"max_steps", "300"}, {"batch", "512"}};

// What section `own` says replaces what a file says in `section`, which is for whatever else runs;
// what is asked for beside the file stays. `defaults` are for keys of which neither says anything.
void Overlay(const std::string& own, const std::string& section,
             const std::vector<std::pair<std::string, std::string>>& defaults, Config& config) {
  constexpr size_t kFile = 1;  // layer
  for (const std::string& assignment : config.Assignments(own)) {
    const std::string key = assignment.substr(own.size() + 1, assignment.find('=') - own.size() - 1);
    if (config.Layer(section, key) <= kFile) {
      config.Set(section + assignment.substr(own.size()));
    }
  }
  for (const auto& [key, value] : defaults) {
    if (config.Layer(section, key) == 0) config.Set(fmt::format("{}.{}={}", section, key, value));
  }
}

void Prepare(Config& config) {
  Overlay(kModelSection, "model", kModelDefaults, config);
  Overlay(kFitSection, "fit", kFitDefaults, config);
}

void Check(const ActorCriticLearnerOptions& options, const ActorCriticOptions& training) {
  const auto refuse = [](const std::string& what) { throw InputError("actor_critic." + what); };
  if (options.critic_rows == CriticRows::kExpansion && training.horizon == 0) {
    refuse(
        "critic_rows: found \"expansion\" with training.horizon = 0, expected \"real\" or "
        "\"imagined\": there is nothing to expand along");
  }
  if (options.critic_rows == CriticRows::kImagined && options.rollout_steps == 0) {
    refuse(
        "critic_rows: found \"imagined\" with rollout_steps = 0, expected \"expansion\" or "
        "\"real\": nothing is imagined");
  }
}

bool NeedsModel(const ActorCriticLearnerOptions& options, const ActorCriticOptions& training) {
  return options.rollout_steps > 0 || training.horizon > 0;
}

template <typename Options>
Options ReadOver(Options options, Config& config, const char* section) {
  config.Read(section, options);
  return options;
}

ModelLearnerParts ReadParts(const std::string& algorithm, Config& config,
                            const LearnerContext& context) {
  const ActorCriticPreset preset(algorithm);
  if (NeedsModel(ReadOver(preset.learner, config, kSection),
                 ReadOver(preset.training, config, kTrainingSection))) {
    return ReadModelLearnerParts(config, context, false);
  }
  return {.model = nullptr, .environment = ReadOptions<EnvironmentOptions>(config, "environment")};
}

// The sections that it reads, as they are in effect.
void WriteActorCritic(const std::string& algorithm, const RunOptions& /*run*/, Config& config,
                      ConfigWriter& writer) {
  const ActorCriticPreset preset(algorithm);
  auto learner = ReadOver(preset.learner, config, kSection);
  auto policy = ReadOptions<SquashedGaussianOptions>(config, kPolicySection);
  auto critic = ReadOver(preset.critic, config, kCriticSection);
  auto training = ReadOver(preset.training, config, kTrainingSection);
  // Of these the prepared configuration holds what counts, in the sections of any model.
  static_cast<void>(ReadOptions<EnsembleOptions>(config, kModelSection));
  static_cast<void>(ReadOptions<FitOptions>(config, kFitSection));
  writer.Write(kSection, learner);
  writer.Write(kPolicySection, policy);
  writer.Write(kCriticSection, critic);
  writer.Write(kTrainingSection, training);
  auto environment = ReadOptions<EnvironmentOptions>(config, "environment");
  writer.Write("environment", environment);
  WriteModelOptions(config, writer);
}

}  // namespace

void ActorCriticLearnerOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, CriticRows>> kRows = {
      {"expansion", CriticRows::kExpansion},
      {"real", CriticRows::kReal},
      {"imagined", CriticRows::kImagined}};
  visitor.Choice("base_policy", base_policy, BasePolicyNames(), "acts before the first fit");
  visitor.Field("base_steps", base_steps, {1, 1e9},
                "steps of the base policy, to the end of an episode");
  visitor.Field("train_every", train_every, {1, 1e9}, "new steps before the next training");
  visitor.Field("updates_per_step", updates_per_step, {0.001, 1000},
                "updates of actor and critics per new step");
  visitor.Field("critic_updates_per_step", critic_updates_per_step, {0, 1000},
                "updates of the critics alone per new step, after every fit");
  visitor.Field("rollout_steps", rollout_steps, {0, 10000},
                "DR, steps of rollouts that imagine which states the policy meets; 0: none");
  visitor.Field("pool", pool, {1, 1e8}, "imagined transitions that are kept");
  visitor.Field("pool_updates", pool_updates, {1, 1e6},
                "updates before as many batches of imagined transitions join the pool");
  visitor.Choice("critic_rows", critic_rows, std::span(kRows),
                 "what critics learn from: the actor's rollouts, seen or imagined transitions");
  visitor.Field("real_share", real_share, {0, 1},
                "of seen rows among imagined transitions and starts");
  visitor.Field("forget_moments", forget_moments, "Adam begins anew after every fit");
  visitor.Field("evaluate_every", evaluate_every, {0, 1e9},
                "steps between evaluations of the mean action; 0: none");
  visitor.Field("evaluation_episodes", evaluation_episodes, {1, 1e6},
                "episodes of an evaluation, which are no experience");
}

ActorCriticPreset::ActorCriticPreset(const std::string& algorithm) {
  if (algorithm == "dhmbpo") return;
  learner.critic_rows = CriticRows::kReal;
  learner.critic_updates_per_step = 0;
  learner.forget_moments = false;
  critic.critics = 2;
  if (algorithm == "sac") {
    learner.rollout_steps = 0;
    learner.base_steps = 10000;
    training.horizon = 0;
    training.temperature = 1;
    critic.layer_norm = false;
    critic.bounded = false;
  } else if (algorithm == "mbpo") {
    learner.critic_rows = CriticRows::kImagined;
    learner.rollout_steps = 1;
    learner.train_every = 250;
    learner.updates_per_step = 20;
    learner.pool = 400000;
    training.horizon = 0;
  } else if (algorithm == "svg") {
    learner.rollout_steps = 0;
    training.horizon = 2;
  } else {
    throw InputError(fmt::format(
        "actor_critic: found algorithm '{}', expected sac, mbpo, svg or dhmbpo", algorithm));
  }
}

ActorCriticLearner::ActorCriticLearner(const std::string& algorithm, Config& config,
                                       const LearnerContext& context)
    : ActorCriticLearner(context, ReadOver(ActorCriticPreset(algorithm).learner, config, kSection),
                         ReadOptions<SquashedGaussianOptions>(config, kPolicySection),
                         ReadOver(ActorCriticPreset(algorithm).critic, config, kCriticSection),
                         ReadOver(ActorCriticPreset(algorithm).training, config, kTrainingSection),
                         ReadParts(algorithm, config, context)) {}

LearnerEntry ActorCriticLearner::Entry(const std::string& algorithm) {
  return {.make = [algorithm](Config& config,
                              const LearnerContext& context) -> std::unique_ptr<Learner> {
            return std::make_unique<ActorCriticLearner>(algorithm, config, context);
          },
          .write = WriteActorCritic,
          .plans = false,
          .prepare = Prepare};
}

ActorCriticLearner::ActorCriticLearner(const LearnerContext& context,
                                       const ActorCriticLearnerOptions& options,
                                       const SquashedGaussianOptions& policy,
                                       const CriticOptions& critic,
                                       const ActorCriticOptions& training, ModelLearnerParts parts)
    : ModelLearner(context, std::move(parts), options.base_policy),
      options_(options),
      key_{static_cast<uint64_t>(context.run.seed), kActorCriticStream},
      policy_(PolicyFeatures(context.task, policy), context.task.spec().action_low,
              context.task.spec().action_high, policy, key_.Fold(kPolicy)),
      actor_(policy_, SquashedActor::Action::kSampled),
      controller_(policy_, SquashedActor::Action::kMean),
      critics_(policy_.encoder().inputs(), policy_.action_dim(), critic, training.batch,
               key_.Fold(kCritics), context.executor),
      actor_critic_(policy_, critics_, training, context.executor),
      starts_(Size(training.batch, policy_.observation_dim())),
      next_evaluation_(options.evaluate_every) {
  ValidateOptions(kSection, options_);
  Check(options_, training);
  if (options_.critic_rows != CriticRows::kExpansion) {
    one_step_ = {.observation = starts_,
                 .action = std::vector<double>(Size(training.batch, policy_.action_dim())),
                 .next_observation = starts_,
                 .reward = std::vector<double>(Size(training.batch)),
                 .terminated = std::vector<uint8_t>(Size(training.batch))};
  }
  if (!uses_model()) {
    if (!context.task.environment_pays()) reward_ = context.task.shared_planning_reward();
    return;
  }
  reward_ = problem().reward;
  if (options_.rollout_steps == 0) return;
  const int rows = (options_.pool_updates * training.batch + options_.rollout_steps - 1) /
                   options_.rollout_steps;
  pool_.emplace(policy_.observation_dim(), policy_.action_dim(), options_.pool);
  rollouts_.emplace(policy_, rows, options_.rollout_steps, training.particles, context.executor);
  rollout_starts_.resize(Size(rows, policy_.observation_dim()));
}

bool ActorCriticLearner::Step() {
  // The episode before is saved by now: a run that stops in its training goes on here. What is
  // evaluated has not been trained on a step beyond the one that it is of.
  if (next_evaluation_ > 0 && total_steps() > next_evaluation_) Evaluate();
  if (IsTrainingDue()) {
    Train();
    Checkpoint();
  }
  if (next_evaluation_ > 0 && total_steps() == next_evaluation_) {
    Evaluate();
    Checkpoint();
  }
  if (Done()) return false;
  if (total_steps() < options_.base_steps && !begins_with_model()) {
    PlayBaseEpisode();
  } else {
    PlayEpisode("policy", actor_);
  }
  return true;
}

bool ActorCriticLearner::IsTrainingDue() const {
  if (total_steps() < options_.base_steps && !begins_with_model()) return false;
  return data().size() - trained_rows_ >= options_.train_every;
}

void ActorCriticLearner::Train() {
  const auto start = std::chrono::steady_clock::now();
  const auto fresh = static_cast<double>(data().size() - trained_rows_);
  actor_critic_.Rescale(policy_.encoder().Measure(data()));
  double fitting = 0;
  if (uses_model()) {
    const double before = times().fitting_seconds;
    if (has_new_data()) Refit();
    fitting = times().fitting_seconds - before;
    const PlanningProblem present = problem();
    reward_ = present.reward;
    const ModelVersion version{present.dynamics, present.reward};
    actor_critic_.set_model(version);
    if (rollouts_) {
      rollouts_->set_model(version);
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
  constexpr uint64_t kMostTries = 100;
  const int64_t wanted =
      static_cast<int64_t>(options_.pool_updates) * actor_critic_.options().batch;
  int64_t joined = 0;
  for (uint64_t tries = 0; joined < wanted; ++tries) {
    if (tries == kMostTries) {
      throw RunError(fmt::format(
          "actor critic: {} of {} imagined transitions are finite numbers; the model diverges, "
          "fewer actor_critic.rollout_steps may help",
          joined, kMostTries * static_cast<uint64_t>(wanted)));
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
  Record("evaluation.critic_states", static_cast<double>(evaluation.states));
  Record("evaluation.critic_value", evaluation.critic_value);
  Record("evaluation.soft_return", evaluation.soft_return);
  Record("evaluation.critic_bias", evaluation.critic_bias);
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
  CheckAtLeast(state, "actor_critic.progress", 0);
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
