#include "foreplan/models/ensembles/ensemble_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/column_statistics.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/models/batch_sampler.h"
#include "foreplan/models/change_statistics.h"
#include "foreplan/nets/adam.h"

namespace foreplan {
namespace {

enum Stream : uint64_t { kHoldout, kMember, kBootstrap, kShuffle };

constexpr int kTold = 100;  // times that a member tells how far it is
// Constant noise is at least so much of the target's deviation, and its inverse a float.
constexpr double kLeastNoise = 1e-3;
constexpr double kLeastLogVariance = -80;
constexpr size_t kMostKept = size_t{1} << 28;  // bytes of encoded rows

// Mean of the last tenth of the values, at least of the last.
double MeanOfLastTenth(std::span<const float> values) {
  const std::span<const float> last = values.last(std::max<size_t>(1, values.size() / 10));
  double sum = 0;
  for (const float value : last) sum += value;
  return sum / static_cast<double>(last.size());
}

}  // namespace

// A member in the making: views of its part of the draft.
struct EnsembleTrainer::Member {
  std::span<float> parameters;     // [member_parameters]
  std::span<float> first_moment;   // [member_parameters]
  std::span<float> second_moment;  // [member_parameters]
  int64_t& adam_steps;

  void CopyFrom(const Member& other) const {
    std::ranges::copy(other.parameters, parameters.begin());
    std::ranges::copy(other.first_moment, first_moment.begin());
    std::ranges::copy(other.second_moment, second_moment.begin());
    adam_steps = other.adam_steps;
  }
};

// A fit under way: the data, and all that the ensemble and the trainer take over at its end.
struct EnsembleTrainer::Draft {
  const Dataset& data;
  std::vector<int64_t> training, holdout;  // rows of the data
  Normaliser input, target;
  std::vector<float> inputs;   // of all rows of the data, where they are kept: [rows x inputs]
  std::vector<float> targets;  // [rows x no]
  std::vector<double> target_scale;       // standard deviations, 0: constant: [no]
  std::vector<float> least_log_variance;  // of constant noise: [no]
  std::vector<float> parameters;          // [members x member_parameters]
  std::vector<float> first_moment;        // [members x member_parameters]
  std::vector<float> second_moment;       // [members x member_parameters]
  std::vector<int64_t> adam_steps;        // [members]
  int steps = 0;                          // planned, of each member

  Member member(int index) {
    const auto place = static_cast<size_t>(index);
    const size_t size = parameters.size() / adam_steps.size();
    const auto part = [&](std::vector<float>& all) {
      return std::span(all).subspan(place * size, size);
    };
    return {part(parameters), part(first_moment), part(second_moment), adam_steps[place]};
  }
};

// What one worker needs to train a member.
struct EnsembleTrainer::Buffers {
  Buffers(const Ensemble& ensemble, const Mlp& mlp, int batch)
      : gradient(mlp, ensemble.training_kernel(), batch),
        input(static_cast<size_t>(batch) * static_cast<size_t>(mlp.inputs())),
        target(static_cast<size_t>(batch) * static_cast<size_t>(ensemble.features().targets())),
        d_output(static_cast<size_t>(batch) * static_cast<size_t>(mlp.outputs())),
        d_parameters(static_cast<size_t>(ensemble.member_parameters())),
        values(static_cast<size_t>(
            std::max(ensemble.features().inputs(), ensemble.features().targets()))),
        rows(static_cast<size_t>(batch)) {}

  // The member as it was at the best hold-out score; made when it is first needed.
  Member Best() {
    best.resize(3 * d_parameters.size());
    const auto part = [&](size_t k) {
      return std::span(best).subspan(k * d_parameters.size(), d_parameters.size());
    };
    return {part(0), part(1), part(2), best_adam_steps};
  }

  MlpGradient gradient;
  std::vector<float> input;         // [batch x inputs]
  std::vector<float> target;        // [batch x targets]
  std::vector<float> d_output;      // [batch x outputs]
  std::vector<float> d_parameters;  // [member_parameters]
  std::vector<double> values;       // of a row, before they are normalised
  std::vector<int64_t> rows;        // [batch], indices of the batch
  std::vector<int64_t> resampled;   // [training rows], the member's bootstrap
  std::vector<float> losses;        // [steps taken]
  std::vector<float> best;          // [3 x member_parameters]
  int64_t best_adam_steps = 0;
};

// Who follows the fit.
struct EnsembleTrainer::Observed {
  const FitControl& control;
  FitMeter& meter;  // of gradient steps
};

struct EnsembleTrainer::MemberReport {
  int steps = 0;
  double training_loss = 0;
  double holdout_error = 0;  // mean squared
};

EnsembleTrainer::EnsembleTrainer(std::shared_ptr<const Ensemble> ensemble,
                                 const FitOptions& options, std::shared_ptr<Executor> executor)
    : ensemble_(std::move(ensemble)),
      mlp_(ensemble_->mlp()),
      options_(CheckedFit(options, mlp_)),
      executor_(std::move(executor)),
      adam_steps_(static_cast<size_t>(ensemble_->members())),
      first_moment_(adam_steps_.size() * static_cast<size_t>(ensemble_->member_parameters())),
      second_moment_(first_moment_.size()) {
  for (int worker = 0; worker < executor_->size(); ++worker) {
    buffers_.push_back(std::make_unique<Buffers>(*ensemble_, mlp_, options_.batch));
  }
}

EnsembleTrainer::~EnsembleTrainer() = default;

FitReport EnsembleTrainer::Fit(const Dataset& data, Key key, const FitControl& control) {
  if (data.size() == 0) throw InputError("fit: found no transitions, expected at least 1");
  Draft draft = Begin(data);
  const bool is_first = std::ranges::max(adam_steps_) == 0;
  draft.steps = options_.StepsOf(std::ssize(draft.training), is_first);
  KeepRows(draft);
  FitMeter meter(control, static_cast<double>(draft.steps) * ensemble_->members());
  std::vector<MemberReport> reports(adam_steps_.size());
  executor_->ParallelFor(ensemble_->members(), [&](int member, int worker) {
    reports[static_cast<size_t>(member)] =
        TrainMember(member, key, draft, {control, meter}, *buffers_[static_cast<size_t>(worker)]);
  });
  control.ThrowIfStopped();

  FitReport report{.training_rows = std::ssize(draft.training),
                   .holdout_rows = std::ssize(draft.holdout)};
  for (const MemberReport& member : reports) {
    report.steps = std::max(report.steps, member.steps);
    report.training_loss += member.training_loss / ensemble_->members();
    report.holdout_rmse += std::sqrt(member.holdout_error) / ensemble_->members();
  }
  report.scale = MeasureChanges(data, ensemble_->features().difference(), draft.training).deviation;
  auto fitted = std::make_shared<Ensemble>(*ensemble_);
  // From here on nothing throws.
  fitted->Replace(std::move(draft.parameters), std::move(draft.input), std::move(draft.target));
  ensemble_ = std::move(fitted);
  first_moment_ = std::move(draft.first_moment);
  second_moment_ = std::move(draft.second_moment);
  adam_steps_ = std::move(draft.adam_steps);
  return report;
}

EnsembleTrainer::Draft EnsembleTrainer::Begin(const Dataset& data) const {
  Draft draft{.data = data,
              .training = {},
              .holdout = {},
              .input = ensemble_->input_normaliser(),
              .target = ensemble_->target_normaliser(),
              .inputs = {},
              .targets = {},
              .target_scale = {},
              .least_log_variance = {},
              .parameters = {},
              .first_moment = first_moment_,
              .second_moment = second_moment_,
              .adam_steps = adam_steps_};
  for (int member = 0; member < ensemble_->members(); ++member) {
    const std::span<const float> own = ensemble_->parameters(member);
    draft.parameters.insert(draft.parameters.end(), own.begin(), own.end());
  }
  SplitRows(draft);
  MeasureRows(draft);
  return draft;
}

// A row's side of the split depends on its index alone: warm-started members never trained on what
// they are judged by.
void EnsembleTrainer::SplitRows(Draft& draft) const {
  const Key holdout_key = Key{0, kHoldout};
  for (int64_t row = 0; row < draft.data.size(); ++row) {
    const Key key = holdout_key.Fold(static_cast<uint64_t>(row));
    const bool held = Random(key).Uniform() < options_.holdout_share;
    (held ? draft.holdout : draft.training).push_back(row);
  }
  if (draft.training.empty()) std::swap(draft.training, draft.holdout);
}

// Normalisers and scale, of the rows that are trained on: what is held out must not even lend its
// units to what it judges.
void EnsembleTrainer::MeasureRows(Draft& draft) const {
  const Dataset& data = draft.data;
  const FeatureMap& features = ensemble_->features();
  const auto rows = std::ssize(draft.training);
  const auto row = [&](int64_t i) { return draft.training[static_cast<size_t>(i)]; };
  draft.input = Normaliser::OfInputs(
      MeasureColumns(rows, static_cast<size_t>(features.inputs()), [&](int64_t i, double* input) {
        features.Input(data.observation(row(i)).data(), data.action(row(i)).data(), input);
      }));
  CheckInputs(draft);
  // A target o' - o is as exact as o and o' are.
  ColumnStatistics targets = MeasureColumns(
      rows, static_cast<size_t>(features.targets()),
      [&](int64_t i, double* target) {
        features.Target(data.observation(row(i)).data(), data.next_observation(row(i)).data(),
                        target);
      },
      MagnitudeOf(data, draft.training));
  draft.target_scale = targets.deviation;
  const Normaliser normaliser = Normaliser::OfTargets(std::move(targets));
  if (ensemble_->options().normalise_targets) draft.target = normaliser;
  if (!ensemble_->has_constant_noise()) return;
  for (size_t k = 0; k < normaliser.scale.size(); ++k) {
    const double least = 2 * std::log(kLeastNoise * normaliser.scale[k] / draft.target.scale[k]);
    draft.least_log_variance.push_back(static_cast<float>(std::max(least, kLeastLogVariance)));
  }
}

// Names the expression and the row where an input is not finite.
void EnsembleTrainer::CheckInputs(const Draft& draft) const {
  const auto finite = [](double value) { return std::isfinite(value); };
  std::vector<double> input(static_cast<size_t>(ensemble_->features().inputs()));
  const auto usable = [&](int64_t row) {
    ensemble_->features().Input(draft.data.observation(row).data(), draft.data.action(row).data(),
                                input.data());
    return std::ranges::all_of(input, finite);
  };
  if (std::ranges::all_of(draft.input.mean, finite) && std::ranges::all_of(draft.holdout, usable)) {
    return;
  }
  for (int64_t row = 0; row < draft.data.size(); ++row) {
    try {
      ensemble_->features().CheckFinite(
          draft.data.observation(row).data(), draft.data.action(row).data(),
          fmt::format("in row {} of the data, of episode {}", row + 1, draft.data.episode(row)));
    } catch (const InputError& error) {
      throw RunError(error.what());
    }
  }
}

// Encodes all rows once, to the same bits, where that is less than members draw and there is room.
void EnsembleTrainer::KeepRows(Draft& draft) const {
  constexpr int64_t kBlock = 4096;  // rows of one task
  const int64_t rows = draft.data.size();
  const auto inputs = static_cast<size_t>(ensemble_->features().inputs());
  const auto targets = static_cast<size_t>(ensemble_->features().targets());
  const int64_t drawn = int64_t{draft.steps} * options_.batch * ensemble_->members();
  const size_t bytes = static_cast<size_t>(rows) * (inputs + targets) * sizeof(float);
  if (drawn < rows || bytes > kMostKept) return;
  std::vector<float> kept_inputs(static_cast<size_t>(rows) * inputs);
  std::vector<float> kept_targets(static_cast<size_t>(rows) * targets);
  executor_->ParallelFor(
      static_cast<int>((rows + kBlock - 1) / kBlock), [&](int block, int worker) {
        std::vector<double>& values = buffers_[static_cast<size_t>(worker)]->values;
        for (int64_t row = block * kBlock; row < std::min(rows, (block + 1) * kBlock); ++row) {
          FillInput(draft, row, values, &kept_inputs[static_cast<size_t>(row) * inputs]);
          FillTarget(draft, row, values, &kept_targets[static_cast<size_t>(row) * targets]);
        }
      });
  draft.inputs = std::move(kept_inputs);
  draft.targets = std::move(kept_targets);
}

void EnsembleTrainer::FillInput(const Draft& draft, int64_t row, std::vector<double>& values,
                                float* input) const {
  if (!draft.inputs.empty()) {
    const auto inputs = static_cast<size_t>(ensemble_->features().inputs());
    std::copy_n(&draft.inputs[static_cast<size_t>(row) * inputs], inputs, input);
    return;
  }
  ensemble_->features().Input(draft.data.observation(row).data(), draft.data.action(row).data(),
                              values.data());
  draft.input.Apply(values.data(), input);
}

void EnsembleTrainer::FillTarget(const Draft& draft, int64_t row, std::vector<double>& values,
                                 float* target) const {
  if (!draft.targets.empty()) {
    const auto targets = static_cast<size_t>(ensemble_->features().targets());
    std::copy_n(&draft.targets[static_cast<size_t>(row) * targets], targets, target);
    return;
  }
  ensemble_->features().Target(draft.data.observation(row).data(),
                               draft.data.next_observation(row).data(), values.data());
  draft.target.Apply(values.data(), target);
}

EnsembleTrainer::MemberReport EnsembleTrainer::TrainMember(int index, Key key, Draft& draft,
                                                           const Observed& observed,
                                                           Buffers& buffers) const {
  const int steps = draft.steps;
  const Key member_key = key.Fold(kMember).Fold(static_cast<uint64_t>(index));
  const std::vector<int64_t>& training = draft.training;
  buffers.resampled = training;
  if (options_.bootstrap) {
    Random random(member_key.Fold(kBootstrap));
    for (int64_t& row : buffers.resampled) row = training[random.Below(training.size())];
  }
  BatchSampler sampler(buffers.resampled, member_key.Fold(kShuffle));

  const Member member = draft.member(index);
  const auto holdout_error = [&] { return HoldoutError(draft, member.parameters, buffers); };
  const bool early_stopping = options_.patience > 0 && !draft.holdout.empty();
  const int check_every = std::max(1, steps / options_.checks);
  const int tell_every = std::max(1, steps / kTold);
  double best_error = early_stopping ? holdout_error() : 0;
  int failed_checks = 0;
  if (early_stopping) buffers.Best().CopyFrom(member);
  buffers.losses.clear();
  for (int step = 1; step <= steps; ++step) {
    observed.control.ThrowIfStopped();
    sampler.Fill(buffers.rows);
    const double loss = TakeGradientStep(draft, member, buffers.rows, buffers);
    if (!std::isfinite(loss)) {
      throw RunError(fmt::format("fit: the loss of member {} is {} at gradient step {} of {}",
                                 index, std::isnan(loss) ? "nan" : "infinite", step, steps));
    }
    buffers.losses.push_back(static_cast<float>(loss));
    if (step % tell_every == 0) observed.meter.Add(tell_every, loss);
    if (!early_stopping || step % check_every != 0) continue;
    const double error = holdout_error();
    if (error < best_error) {
      best_error = error;
      failed_checks = 0;
      buffers.Best().CopyFrom(member);
    } else if (++failed_checks == options_.patience) {
      break;
    }
  }
  if (early_stopping) member.CopyFrom(buffers.Best());

  MemberReport report;
  report.steps = static_cast<int>(buffers.losses.size());
  report.training_loss = MeanOfLastTenth(buffers.losses);
  const int told = report.steps - report.steps % tell_every;
  observed.meter.Add(steps - told, report.training_loss);
  if (!draft.holdout.empty()) report.holdout_error = holdout_error();
  if (!std::isfinite(report.holdout_error)) {
    throw RunError(fmt::format("fit: the hold-out error of member {} is {} after {} gradient steps",
                               index, std::isnan(report.holdout_error) ? "nan" : "infinite",
                               report.steps));
  }
  return report;
}

double EnsembleTrainer::TakeGradientStep(const Draft& draft, const Member& member,
                                         std::span<const int64_t> batch, Buffers& buffers) const {
  const int rows = static_cast<int>(batch.size());
  const auto inputs = static_cast<size_t>(ensemble_->mlp().inputs());
  const auto targets = static_cast<size_t>(ensemble_->features().targets());
  for (size_t i = 0; i < batch.size(); ++i) {
    FillInput(draft, batch[i], buffers.values, buffers.input.data() + i * inputs);
    FillTarget(draft, batch[i], buffers.values, buffers.target.data() + i * targets);
  }

  const float* output = buffers.gradient.Forward(member.parameters, rows, buffers.input.data());
  const double loss = Loss(member.parameters, rows, output, buffers);
  ++member.adam_steps;
  StepNetwork(member, buffers);
  StepNoise(draft, member, buffers.d_parameters);
  return loss;
}

// The loss of the rows in the buffers; its gradients by outputs and by what stands behind the
// network go there, too.
double EnsembleTrainer::Loss(std::span<const float> parameters, int rows, const float* output,
                             Buffers& buffers) const {
  const int targets = ensemble_->features().targets();
  const float* target = buffers.target.data();
  float* d_noise = ensemble_->NoiseIn(std::span(buffers.d_parameters)).data();
  if (ensemble_->predicts_noise()) {
    return GaussianNll(rows, targets, output, target, ensemble_->BoundsIn(parameters),
                       options_.log_variance_penalty, options_.nll_beta, buffers.d_output.data(),
                       d_noise, d_noise + targets);
  }
  if (ensemble_->has_constant_noise()) {
    return ConstantNoiseNll(rows, targets, output, target, ensemble_->NoiseIn(parameters).data(),
                            options_.nll_beta, buffers.d_output.data(), d_noise);
  }
  return SquaredError(rows, targets, output, target, buffers.d_output.data());
}

// By the gradient of the outputs; in one go with the gradient of the weights where nothing has to
// be done to that before.
void EnsembleTrainer::StepNetwork(const Member& member, Buffers& buffers) const {
  const auto network = static_cast<size_t>(ensemble_->mlp().parameters());
  const AdamOptions adam{.learning_rate = options_.learning_rate};
  if (options_.gradient_clip == 0 && !options_.decoupled_decay) {
    buffers.gradient.Update(member.parameters, buffers.d_output.data(),
                            {.options = adam,
                             .step = member.adam_steps,
                             .first_moment = member.first_moment,
                             .second_moment = member.second_moment,
                             .weight_decay = options_.weight_decay},
                            nullptr);
    return;
  }
  const std::span<float> gradient(buffers.d_parameters);
  buffers.gradient.Backward(member.parameters, buffers.d_output.data(), gradient);
  options_.decoupled_decay
      ? DecayWeights(options_, ensemble_->mlp(), member.parameters)
      : AddWeightDecay(options_, ensemble_->mlp(), member.parameters, gradient);
  if (options_.gradient_clip > 0) ClipNorm(options_.gradient_clip, gradient);
  AdamStep(adam, member.adam_steps, gradient.first(network), member.first_moment.first(network),
           member.second_moment.first(network), member.parameters.first(network));
}

// What stands beside the network: bounds of log-variances, or these themselves, at their own rate.
void EnsembleTrainer::StepNoise(const Draft& draft, const Member& member,
                                std::span<const float> gradient) const {
  const bool constant = ensemble_->has_constant_noise();
  const auto network = static_cast<size_t>(ensemble_->mlp().parameters());
  AdamStep({.learning_rate = constant ? options_.noise_learning_rate : options_.learning_rate},
           member.adam_steps, gradient.subspan(network), member.first_moment.subspan(network),
           member.second_moment.subspan(network), member.parameters.subspan(network));
  if (!constant) return;
  const std::span<float> log_variance = ensemble_->NoiseIn(member.parameters);
  for (size_t i = 0; i < log_variance.size(); ++i) {
    log_variance[i] = std::max(log_variance[i], draft.least_log_variance[i]);
  }
}

// Mean squared error over the hold-out rows, in target deviations; constant targets have none.
double EnsembleTrainer::HoldoutError(const Draft& draft, std::span<const float> parameters,
                                     Buffers& buffers) const {
  const auto inputs = static_cast<size_t>(ensemble_->mlp().inputs());
  const auto outputs = static_cast<size_t>(ensemble_->mlp().outputs());
  const std::vector<int64_t>& holdout = draft.holdout;
  double sum = 0;
  int64_t count = 0;
  for (size_t first = 0; first < holdout.size(); first += buffers.rows.size()) {
    const size_t rows = std::min(buffers.rows.size(), holdout.size() - first);
    for (size_t i = 0; i < rows; ++i) {
      FillInput(draft, holdout[first + i], buffers.values, buffers.input.data() + i * inputs);
    }
    const float* output =
        buffers.gradient.Forward(parameters, static_cast<int>(rows), buffers.input.data());
    for (size_t i = 0; i < rows; ++i) {
      const float* target = buffers.target.data();
      FillTarget(draft, holdout[first + i], buffers.values, buffers.target.data());
      for (size_t k = 0; k < draft.target_scale.size(); ++k) {
        if (draft.target_scale[k] == 0) continue;
        const double error = output[i * outputs + k] - target[k];
        sum += error * error;
        ++count;
      }
    }
  }
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

void EnsembleTrainer::Save(TensorFile& file) const {
  const std::vector<int64_t> shape = {ensemble_->members(), ensemble_->member_parameters()};
  file.tensors["trainer.first_moment"] = {shape, first_moment_};
  file.tensors["trainer.second_moment"] = {shape, second_moment_};
  std::vector<int32_t> steps;
  for (const int64_t taken : adam_steps_) {
    // Beyond this many, Adam's corrections are 1.
    steps.push_back(
        static_cast<int32_t>(std::min<int64_t>(taken, std::numeric_limits<int32_t>::max())));
  }
  file.tensors["trainer.adam_steps"] = {{ensemble_->members()}, std::move(steps)};
}

void EnsembleTrainer::Restore(const TensorFile& file) {
  const std::array<int64_t, 2> shape = {ensemble_->members(), ensemble_->member_parameters()};
  const std::array<int64_t, 1> members = {ensemble_->members()};
  std::vector<float> first = file.Floats("trainer.first_moment", shape);
  std::vector<float> second = file.Floats("trainer.second_moment", shape);
  const std::vector<int32_t>& steps = file.Ints("trainer.adam_steps", members);
  CheckFinite(file, "trainer.first_moment");
  CheckAtLeast(file, "trainer.second_moment", 0);
  CheckAtLeast(file, "trainer.adam_steps", 0);
  adam_steps_.assign(steps.begin(), steps.end());
  first_moment_ = std::move(first);
  second_moment_ = std::move(second);
}

}  // namespace foreplan
