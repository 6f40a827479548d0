#include "foreplan/learners/policy_backprop.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <optional>

#include "foreplan/core/error.h"
#include "foreplan/core/seconds_since.h"
#include "foreplan/data/tensor_checks.h"

namespace foreplan {
namespace {

enum Stream : uint64_t { kPolicy, kTraining };

// ModelLearner derives its keys from stream 0 of the seed.
constexpr uint64_t kPolicyStream = 0x706f6c69;

constexpr const char* kTrainedEarly = "policy_backprop.trained_early";  // metadata of a checkpoint

std::shared_ptr<const TrueDynamics> TrueModel(const PolicyBackpropOptions& options,
                                              const Task& task) {
  if (!options.true_model) return nullptr;
  return std::make_shared<const TrueDynamics>(*task.MakeSystem());
}

void CheckReward(const EnvironmentSpec& spec, const Reward& reward) {
  const std::vector<double> zero(spec.observation.size() + spec.action.size());
  std::vector<double> gradient(2 * spec.observation.size() + spec.action.size());
  reward.Gradient({.rows = 1,
                   .observation = zero.data(),
                   .action = zero.data(),
                   .next_observation = zero.data()},
                  gradient.data());
}

}  // namespace

void PolicyBackpropOptions::Visit(OptionsVisitor& visitor) {
  visitor.Choice("base_policy", base_policy, BasePolicyNames(), "acts before the first fit");
  visitor.Field("base_episodes", base_episodes, {1, 1e6}, "episodes of the base policy");
  visitor.Field("train_every", train_every, {0, 1e9},
                "new transitions before the next fit and training; 0: after each episode");
  visitor.Field("reset_share", reset_share, {0, 1},
                "of imagined rollouts that begin where episodes do, the rest at data");
  visitor.Field("true_model", true_model,
                "train through the true system, from its start states; for comparison");
}

PolicyBackpropLearner::PolicyBackpropLearner(Config& config, const LearnerContext& context)
    : PolicyBackpropLearner(context, ReadOptions<PolicyBackpropOptions>(config, "policy_backprop"),
                            ReadOptions<BackpropPolicyOptions>(config, kBackpropPolicySection),
                            ReadOptions<PolicyGradientOptions>(config, "policy_backprop.training"),
                            ReadModelLearnerParts(config, context, false)) {}

PolicyBackpropLearner::PolicyBackpropLearner(const LearnerContext& context,
                                             const PolicyBackpropOptions& options,
                                             const BackpropPolicyOptions& policy,
                                             const PolicyGradientOptions& training,
                                             ModelLearnerParts parts)
    : ModelLearner(context, std::move(parts), options.base_policy),
      options_(options),
      training_(training),
      key_{static_cast<uint64_t>(context.run.seed), kPolicyStream},
      system_(context.task.has_system() ? context.task.MakeSystem() : nullptr),
      true_(TrueModel(options_, context.task)),
      policy_(MakeBackpropPolicy(context.task, policy, key_.Fold(kPolicy))),
      controller_(policy_),
      trainer_(policy_, ImaginedModel().dynamics, problem().reward, training_,
               context.task.episode_length(), context.executor) {
  if (true_) static_cast<void>(context.task.planning_reward());  // nothing will be fitted
  CheckReward(context.task.spec(), *problem().reward);
}

bool PolicyBackpropLearner::Step() {
  // The episode before is saved by now: a run that stops in its fit or its training goes on here.
  if (const bool due = IsTrainingDue(); due || (Done() && HasNewEpisodes())) {
    if (!true_ && has_new_data()) Refit();
    TrainPolicy();
    trained_early_ = !due;
    Checkpoint();
  }
  if (Done()) return false;
  if (episodes() < BaseEpisodes(options_.base_episodes)) {
    PlayBaseEpisode();
  } else {
    PlayEpisode("policy", policy_);
  }
  return true;
}

bool PolicyBackpropLearner::IsTrainingDue() const {
  const int64_t fresh = data().size() - trained_rows_;
  if (!HasNewEpisodes()) return false;
  const bool first_with_a_model = begins_with_model() && trainer_.trainings() == 0;
  return first_with_a_model || fresh >= options_.train_every;
}

bool PolicyBackpropLearner::HasNewEpisodes() const {
  return data().size() > trained_rows_ && episodes() >= BaseEpisodes(options_.base_episodes);
}

void PolicyBackpropLearner::CheckMayGoOn() const {
  if (!trained_early_) return;
  throw InputError(fmt::format(
      "policy_backprop: found a last training on less than the policy_backprop.train_every = {} "
      "new transitions, as the run was to end there; expected a run whose last training was due",
      options_.train_every));
}

ModelVersion PolicyBackpropLearner::ImaginedModel() const {
  if (true_) return {true_};
  return model()->version();
}

void PolicyBackpropLearner::TrainPolicy() {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  std::optional<double> realised;  // of the policy of the last training
  if (trainer_.trainings() == 0) {
    // The network's inputs keep the scale of the first data, so that it stays the same function.
    policy_.encoder().normaliser() = policy_.encoder().Measure(data());
  } else {
    realised = RealisedReturn();
    Record("policy.realised_return", *realised);
  }
  if (system_ == nullptr) FindEpisodeStarts();
  trainer_.set_model(ImaginedModel());
  const PolicyGradientReport report =
      trainer_.Train([this](Key key, std::span<double> starts) { DrawStarts(key, starts); },
                     key_.Fold(kTraining).Fold(static_cast<uint64_t>(trainer_.trainings())),
                     [this] {
                       if (context().stop.stop_requested()) throw Interrupted("interrupted");
                     },
                     realised);
  trained_rows_ = data().size();
  const double seconds = SecondsSince(start);
  CountPlanning(seconds);
  Report(report, seconds);
}

// Of an environment whose starts cannot be drawn there are those that were seen.
void PolicyBackpropLearner::FindEpisodeStarts() {
  for (; searched_rows_ < data().size(); ++searched_rows_) {
    const int64_t row = searched_rows_;
    const bool begins = row == 0 || data().episode(row) != data().episode(row - 1);
    if (begins) episode_starts_.push_back(row);
  }
}

void PolicyBackpropLearner::DrawEpisodeStart(Key key, std::span<double> start) {
  if (system_ == nullptr) {
    const size_t number = Random(key).Below(episode_starts_.size());
    std::ranges::copy(data().observation(episode_starts_[number]), start.begin());
    return;
  }
  system_->Reset(key);
  true_ ? system_->GetState(start) : system_->Observe(start);
}

void PolicyBackpropLearner::DrawStarts(Key key, std::span<double> starts) {
  const auto ns = static_cast<size_t>(ImaginedModel().dynamics->state_dim());
  for (size_t first = 0; first < starts.size(); first += ns) {
    const Key own = key.Fold(first);
    Random random(own);
    const std::span<double> start = starts.subspan(first, ns);
    if (true_ || random.Uniform() < options_.reset_share) {
      DrawEpisodeStart(own.Fold(1), start);
    } else {
      const auto row = static_cast<int64_t>(random.Below(static_cast<uint64_t>(data().size())));
      std::ranges::copy(data().observation(row), start.begin());
    }
  }
}

double PolicyBackpropLearner::RealisedReturn() const {
  const std::vector<double>& rewards = last_rewards();
  const auto horizon = static_cast<size_t>(training_.horizon > 0 ? training_.horizon
                                                                 : context().task.episode_length());
  const size_t length = std::min(horizon, rewards.size());
  double sum = 0;
  for (size_t first = 0; first + length <= rewards.size(); ++first) {
    double discount = 1;
    for (size_t t = first; t < first + length; ++t, discount *= training_.discount) {
      sum += discount * rewards[t];
    }
  }
  return sum / static_cast<double>(rewards.size() - length + 1);
}

void PolicyBackpropLearner::Report(const PolicyGradientReport& report, double seconds) const {
  Record("policy.imagined_return_before", report.first_value);
  Record("policy.imagined_return", report.value);
  Record("policy.gradient_norm", report.gradient_norm);
  Record("policy.clipped_share", report.clipped_share);
  Record("policy.invalid_gradients", static_cast<double>(report.invalid_gradients));
  Record("policy.invalid_rollouts", report.invalid_rollouts);
  Record("policy.ended_rollouts", report.ended_rollouts);
  Record("policy.gradient_steps", static_cast<double>(report.steps));
  Record("policy.restarted", report.restarted ? 1 : 0);
  Record("policy.doubted", report.doubted ? 1 : 0);
  Record("policy.seconds", seconds);
}

void PolicyBackpropLearner::Save(TensorFile& state) const {
  ModelLearner::Save(state);
  policy_.Save(kPolicyPrefix, state);
  trainer_.Save(state);
  state.tensors["policy_backprop.trained_rows"] = {
      {1}, std::vector<int32_t>{static_cast<int32_t>(trained_rows_)}};
  if (trained_early_) state.metadata[kTrainedEarly] = "true";
}

void PolicyBackpropLearner::Restore(const TensorFile& state, Dataset rows) {
  ModelLearner::Restore(state, std::move(rows));
  policy_.Restore(kPolicyPrefix, state);
  trainer_.Restore(state);
  const std::array<int64_t, 1> one = {1};
  trained_rows_ = state.Ints("policy_backprop.trained_rows", one)[0];
  trained_early_ = state.metadata.contains(kTrainedEarly);
  CheckCounters(state, "policy_backprop.trained_rows");
  if (trained_rows_ > data().size()) {
    throw InputError(
        fmt::format("{}: tensor 'policy_backprop.trained_rows': found {}, expected at "
                    "most {}, the rows of the data",
                    state.source, trained_rows_, data().size()));
  }
}

TensorFile PolicyBackpropLearner::Model() const {
  TensorFile file = ModelLearner::Model();
  policy_.Save(kPolicyPrefix, file);
  return file;
}

}  // namespace foreplan
