#include "foreplan/models/rewards/reward_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/size.h"
#include "foreplan/data/column_statistics.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/models/batch_sampler.h"
#include "foreplan/nets/adam.h"

namespace foreplan {
namespace {

enum Stream : uint64_t { kContinued, kTerminated };

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr int kTold = 100;            // times that a member tells how far it is
constexpr int kHoldout = 10;          // of so many rows of a kind the last is held out
constexpr int kLeastShareOfEnds = 4;  // of a batch: one in so many rows terminated

bool IsTermination(const Dataset& data, int64_t row) {
  return data.end(row) == StepEnd::kTerminated;
}

bool IsPaid(const Dataset& data, int64_t row) { return std::isfinite(data.reward(row)); }

}  // namespace

// A fit under way: the data, and what comes of it.
struct RewardTrainer::Draft {
  const Dataset& data;
  std::vector<int64_t> continued, terminated;  // rows that are trained on
  std::vector<int64_t> holdout;
  int ends = 0;   // rows of a batch that terminated
  int steps = 0;  // of each member
  LearnedReward::Fitted fitted;
  std::vector<float> first_moment, second_moment;
  int64_t adam_steps = 0;  // before the fit
};

// What one worker needs to train a member.
struct RewardTrainer::Buffers {
  explicit Buffers(const LearnedReward& reward)
      : gradient(reward.mlp(), reward.training_kernel(), reward.options().batch),
        features(Size(reward.mlp().inputs())),
        input(Size(reward.options().batch, reward.mlp().inputs())),
        target(Size(reward.options().batch)),
        end(target.size()),
        d_output(Size(reward.options().batch, reward.mlp().outputs())),
        d_parameters(Size(reward.mlp().parameters())),
        rows(target.size()) {}

  MlpGradient gradient;
  std::vector<double> features;                // of a row
  std::vector<float> input;                    // [batch x inputs]
  std::vector<double> target;                  // NaN: not known: [batch]
  std::vector<double> end;                     // e: [batch]
  std::vector<float> d_output;                 // [batch x 3]
  std::vector<float> d_parameters;             // of a member
  std::vector<int64_t> rows;                   // of the batch
  std::vector<int64_t> continued, terminated;  // in the member's order
};

RewardTrainer::RewardTrainer(std::shared_ptr<const LearnedReward> reward,
                             std::shared_ptr<Executor> executor)
    : state_{.reward = std::move(reward)}, executor_(std::move(executor)) {
  state_.first_moment.resize(state_.reward->fitted().parameters.size());
  state_.second_moment.resize(state_.first_moment.size());
  for (int worker = 0; worker < executor_->size(); ++worker) {
    buffers_.push_back(std::make_unique<Buffers>(*state_.reward));
  }
}

RewardTrainer::~RewardTrainer() = default;

RewardTrainer::Result RewardTrainer::Fit(const Dataset& data, Key key, const FitControl& control) {
  Draft draft = Begin(data);
  const int members = state_.reward->options().members;
  FitMeter meter(control, static_cast<double>(draft.steps) * members);
  std::vector<double> losses(Size(members));
  executor_->ParallelFor(members, [&](int member, int worker) {
    losses[Size(member)] = TrainMember(member, key.Fold(static_cast<uint64_t>(member)), draft,
                                       control, meter, *buffers_[Size(worker)]);
  });
  control.ThrowIfStopped();
  Result result;
  for (const double loss : losses) result.training_loss += loss / members;
  result.state = {.reward = state_.reward->With(std::move(draft.fitted)),
                  .first_moment = std::move(draft.first_moment),
                  .second_moment = std::move(draft.second_moment),
                  .adam_steps = draft.adam_steps + draft.steps};
  result.held_out = MeasureReward(*result.state.reward, data, draft.holdout);
  return result;
}

RewardTrainer::Draft RewardTrainer::Begin(const Dataset& data) const {
  Draft draft{.data = data,
              .continued = {},
              .terminated = {},
              .holdout = {},
              .fitted = state_.reward->fitted(),
              .first_moment = state_.first_moment,
              .second_moment = state_.second_moment,
              .adam_steps = state_.adam_steps};
  std::array<int64_t, 2> seen = {};  // rows of either kind
  for (int64_t row = 0; row < data.size(); ++row) {
    const bool ends = IsTermination(data, row);
    const bool held = seen[ends ? 1 : 0]++ % kHoldout == kHoldout - 1;
    (held ? draft.holdout : ends ? draft.terminated : draft.continued).push_back(row);
  }
  MeasureRows(draft);
  const LearnedRewardOptions& options = state_.reward->options();
  const double rows = static_cast<double>(draft.continued.size() + draft.terminated.size());
  draft.steps =
      static_cast<int>(std::max<double>(options.min_steps, options.epochs * rows / options.batch));
  draft.fitted.ends_episodes = !draft.terminated.empty();
  if (draft.fitted.ends_episodes) {
    const double share = static_cast<double>(draft.terminated.size()) / rows;
    draft.ends = std::max(static_cast<int>(std::lround(share * options.batch)),
                          std::max(1, options.batch / kLeastShareOfEnds));
    if (!draft.continued.empty()) draft.ends = std::min(draft.ends, options.batch - 1);
  }
  return draft;
}

// Of what is paid for rows that continue and rows that terminate; where nothing is known of one
// kind, it is taken to be as the other.
Normaliser RewardTrainer::MeasureRewards(const Draft& draft) {
  Normaliser both(2);
  std::array<bool, 2> known = {};
  for (const size_t kind : {0, 1}) {
    std::vector<double> rewards;
    for (const int64_t row : kind == 0 ? draft.continued : draft.terminated) {
      if (IsPaid(draft.data, row)) rewards.push_back(draft.data.reward(row));
    }
    known[kind] = !rewards.empty();
    if (!known[kind]) continue;
    const Normaliser found = Normaliser::OfTargets(MeasureColumns(
        std::ssize(rewards), 1,
        [&](int64_t i, double* reward) { *reward = rewards[static_cast<size_t>(i)]; }));
    both.mean[kind] = found.mean[0];
    both.scale[kind] = found.scale[0];
  }
  if (!known[0] && !known[1]) {
    throw InputError(fmt::format(
        "fit: reward: found {} transitions and none whose reward is known, expected what steps "
        "earned, as the task's planning reward is learned",
        draft.data.size()));
  }
  if (known[0] == known[1]) return both;
  const size_t from = known[0] ? 0 : 1;
  both.mean[1 - from] = both.mean[from];
  both.scale[1 - from] = both.scale[from];
  return both;
}

// Normalisers of the rows that are trained on.
void RewardTrainer::MeasureRows(Draft& draft) const {
  const Dataset& data = draft.data;
  const TransitionFeatures& features = state_.reward->features();
  std::vector<int64_t> rows = draft.continued;
  rows.insert(rows.end(), draft.terminated.begin(), draft.terminated.end());
  std::ranges::sort(rows);
  draft.fitted.input = Normaliser::OfInputs(
      MeasureColumns(std::ssize(rows), Size(features.inputs()), [&](int64_t i, double* input) {
        const Transition transition = data.transition(rows[static_cast<size_t>(i)]);
        features.Input(transition.observation.data(), transition.action.data(),
                       transition.next_observation.data(), input);
      }));
  if (!std::ranges::all_of(draft.fitted.input.mean, [](double x) { return std::isfinite(x); })) {
    features.CheckFinite(data);
  }
  draft.fitted.reward = MeasureRewards(draft);
}

double RewardTrainer::TrainMember(int member, Key key, Draft& draft, const FitControl& control,
                                  FitMeter& meter, Buffers& buffers) const {
  const LearnedReward& reward = *state_.reward;
  const size_t size = Size(reward.mlp().parameters());
  const auto part = [&](std::vector<float>& all) {
    return std::span(all).subspan(Size(member) * size, size);
  };
  const std::span<float> parameters = part(draft.fitted.parameters);
  buffers.continued = draft.continued;
  buffers.terminated = draft.terminated;
  BatchSampler continued(buffers.continued, key.Fold(kContinued));
  BatchSampler terminated(buffers.terminated, key.Fold(kTerminated));
  const int tell_every = std::max(1, draft.steps / kTold);
  const int last_tenth = draft.steps - std::max(1, draft.steps / 10);
  double sum = 0;  // of the last losses
  for (int step = 1; step <= draft.steps; ++step) {
    control.ThrowIfStopped();
    terminated.Fill(std::span(buffers.rows).first(Size(draft.ends)));
    continued.Fill(std::span(buffers.rows).subspan(Size(draft.ends)));
    const double loss = TakeGradientStep(draft, parameters, buffers);
    if (!std::isfinite(loss)) {
      throw RunError(
          fmt::format("fit: the reward loss of member {} is {} at gradient step {} of "
                      "{}",
                      member, std::isnan(loss) ? "nan" : "infinite", step, draft.steps));
    }
    AdamStep({.learning_rate = reward.options().learning_rate}, draft.adam_steps + step,
             buffers.d_parameters, part(draft.first_moment), part(draft.second_moment), parameters);
    if (step > last_tenth) sum += loss;
    if (step % tell_every == 0) meter.Add(tell_every, loss);
  }
  meter.Add(draft.steps % tell_every, sum / (draft.steps - last_tenth));
  return sum / (draft.steps - last_tenth);
}

void RewardTrainer::FillRows(const Draft& draft, Buffers& buffers) const {
  const TransitionFeatures& features = state_.reward->features();
  const Normaliser& reward = draft.fitted.reward;
  for (size_t i = 0; i < buffers.rows.size(); ++i) {
    const Transition transition = draft.data.transition(buffers.rows[i]);
    features.Input(transition.observation.data(), transition.action.data(),
                   transition.next_observation.data(), buffers.features.data());
    draft.fitted.input.Apply(buffers.features.data(), &buffers.input[i * Size(features.inputs())]);
    const bool ends = IsTermination(draft.data, buffers.rows[i]);
    const size_t kind = ends ? 1 : 0;
    buffers.target[i] = IsPaid(draft.data, buffers.rows[i])
                            ? (transition.reward - reward.mean[kind]) / reward.scale[kind]
                            : kUnknown;
    buffers.end[i] = ends ? 1 : 0;
  }
}

// The loss, and its gradient with that of the weight decay in the buffers.
double RewardTrainer::TakeGradientStep(const Draft& draft, std::span<float> parameters,
                                       Buffers& buffers) const {
  FillRows(draft, buffers);
  const auto rows = static_cast<int>(buffers.rows.size());
  const auto paid = static_cast<double>(
      std::ranges::count_if(buffers.target, [](double target) { return !std::isnan(target); }));
  const float* output = buffers.gradient.Forward(parameters, rows, buffers.input.data());
  double loss = 0;
  for (size_t i = 0; i < buffers.rows.size(); ++i) {
    const float* y = output + 3 * i;
    float* d_y = &buffers.d_output[3 * i];
    const size_t kind = buffers.end[i] != 0 ? 1 : 0;
    const double q = y[2];
    double d_q = 0;
    d_y[0] = d_y[1] = 0;
    if (!std::isnan(buffers.target[i])) {
      const double error = y[kind] - buffers.target[i];
      loss += error * error / paid;
      d_y[kind] = static_cast<float>(2 * error / paid);
    }
    if (draft.ends > 0) {
      // -e log s - (1 - e) log(1 - s) = log(1 + e^q) - e q,   s = 1 / (1 + e^-q)
      loss += (std::max(q, 0.0) + std::log1p(std::exp(-std::abs(q))) - buffers.end[i] * q) / rows;
      d_q = (1 / (1 + std::exp(-q)) - buffers.end[i]) / rows;
    }
    d_y[2] = static_cast<float>(d_q);
  }
  const std::span<float> gradient(buffers.d_parameters);
  buffers.gradient.Backward(parameters, buffers.d_output.data(), gradient);
  const Mlp& mlp = state_.reward->mlp();
  const auto decay = static_cast<float>(state_.reward->options().weight_decay);
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    for (int i = mlp.weight_offset(layer); i < mlp.bias_offset(layer); ++i) {
      gradient[Size(i)] += decay * parameters[Size(i)];
    }
  }
  return loss;
}

void RewardTrainer::Save(TensorFile& file) const {
  state_.reward->Save(file);
  const std::vector<int64_t> shape = {state_.reward->options().members,
                                      state_.reward->mlp().parameters()};
  file.tensors["reward_trainer.first_moment"] = {shape, state_.first_moment};
  file.tensors["reward_trainer.second_moment"] = {shape, state_.second_moment};
  // Beyond this many, Adam's corrections are 1.
  file.tensors["reward_trainer.adam_steps"] = {
      {1},
      std::vector<int32_t>{static_cast<int32_t>(
          std::min<int64_t>(state_.adam_steps, std::numeric_limits<int32_t>::max()))}};
}

RewardTrainer::State RewardTrainer::Read(const TensorFile& file) const {
  State state{.reward = state_.reward->Restored(file)};
  const std::array<int64_t, 2> shape = {state_.reward->options().members,
                                        state_.reward->mlp().parameters()};
  const std::array<int64_t, 1> one = {1};
  state.first_moment = file.Floats("reward_trainer.first_moment", shape);
  state.second_moment = file.Floats("reward_trainer.second_moment", shape);
  state.adam_steps = file.Ints("reward_trainer.adam_steps", one)[0];
  CheckFinite(file, "reward_trainer.first_moment");
  CheckAtLeast(file, "reward_trainer.second_moment", 0);
  CheckCounters(file, "reward_trainer.adam_steps");
  return state;
}

}  // namespace foreplan
