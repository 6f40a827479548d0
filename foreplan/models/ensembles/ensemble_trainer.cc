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

FitOptions Checked(FitOptions options, const Ensemble& ensemble) {
  ValidateOptions("fit", options);
  if (options.max_steps < options.min_steps) {
    throw InputError(fmt::format("fit.max_steps: found {}, expected at least fit.min_steps = {}",
                                 options.max_steps, options.min_steps));
  }
  const size_t layers = static_cast<size_t>(ensemble.mlp().layers());
  if (options.weight_decay.size() != 1 && options.weight_decay.size() != layers) {
    throw InputError(
        fmt::format("fit.weight_decay: found {} values, expected 1 or {} (one a layer)",
                    options.weight_decay.size(), layers));
  }
  return options;
}

double Norm(std::span<const float> values) {
  double squares = 0;
  for (const float value : values) squares += static_cast<double>(value) * value;
  return std::sqrt(squares);
}

// Scaled down to that norm where it is larger.
void ClipNorm(double largest, std::span<float> values) {
  const double norm = Norm(values);
  if (norm <= largest) return;
  const auto factor = static_cast<float>(largest / norm);
  for (float& value : values) value *= factor;
}

// Mean of the last tenth of the values, at least of the last.
double MeanOfLastTenth(std::span<const float> values) {
  const std::span<const float> last = values.last(std::max<size_t>(1, values.size() / 10));
  double sum = 0;
  for (const float value : last) sum += value;
  return sum / static_cast<double>(last.size());
}

}  // namespace

void FitOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("epochs", epochs, {0, 1e4}, "passes over the training rows");
  visitor.Field("min_steps", min_steps, {1, 1e7}, "fewest gradient steps of a fit");
  visitor.Field("max_steps", max_steps, {1, 1e7}, "most gradient steps of a fit");
  visitor.Field("batch", batch, {1, 65536}, "rows per gradient step and member");
  visitor.Field("learning_rate", learning_rate, {1e-8, 1}, "Adam's learning rate");
  visitor.Field("weight_decay", weight_decay, {0, 1e3}, "L2 coefficient: one, or one per layer");
  visitor.Field("log_variance_penalty", log_variance_penalty, {0, 1e3}, "on sum(max - min)");
  visitor.Field("nll_beta", nll_beta, {0, 1},
                "errors count as by the likelihood (0) ... as by least squares (1)");
  visitor.Field("gradient_clip", gradient_clip, {0, 1e9}, "largest gradient norm; 0: none");
  visitor.Field("bootstrap", bootstrap, "each member sees its own resampled rows");
  visitor.Field("holdout_share", holdout_share, {0, 0.5}, "share of rows never trained on");
  visitor.Field("patience", patience, {0, 1e6}, "checks without a better score; 0: all steps");
  visitor.Field("checks", checks, {1, 1e6}, "hold-out checks per fit");
}

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
  std::vector<double> target_scale;  // standard deviations, 0: constant: [no]
  std::vector<float> parameters;     // [members x member_parameters]
  std::vector<float> first_moment;   // [members x member_parameters]
  std::vector<float> second_moment;  // [members x member_parameters]
  std::vector<int64_t> adam_steps;   // [members]
  int steps = 0;                     // planned, of each member

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
      options_(Checked(options, *ensemble_)),
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
  const double epoch_steps =
      options_.epochs * static_cast<double>(draft.training.size()) / options_.batch;
  draft.steps = static_cast<int>(std::clamp(epoch_steps, static_cast<double>(options_.min_steps),
                                            static_cast<double>(options_.max_steps)));
  FitMeter meter(control, static_cast<double>(draft.steps) * ensemble_->members());
  std::vector<MemberReport> reports(adam_steps_.size());
  executor_->ParallelFor(ensemble_->members(), [&](int member, int worker) {
    reports[static_cast<size_t>(member)] =
        TrainMember(member, key, draft, {control, meter}, *buffers_[static_cast<size_t>(worker)]);
  });
  control.ThrowIfStopped();

  FitReport report;
  report.training_rows = static_cast<int64_t>(draft.training.size());
  report.holdout_rows = static_cast<int64_t>(draft.holdout.size());
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
              .target_scale = {},
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
  if (ensemble_->options().normalise_targets) {
    draft.target = Normaliser::OfTargets(std::move(targets));
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

void EnsembleTrainer::FillInput(const Draft& draft, int64_t row, std::vector<double>& values,
                                float* input) const {
  ensemble_->features().Input(draft.data.observation(row).data(), draft.data.action(row).data(),
                              values.data());
  draft.input.Apply(values.data(), input);
}

void EnsembleTrainer::FillTarget(const Draft& draft, int64_t row, std::vector<double>& values,
                                 float* target) const {
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
  const Mlp& mlp = ensemble_->mlp();
  const int rows = static_cast<int>(batch.size());
  const auto inputs = static_cast<size_t>(mlp.inputs());
  const auto targets = static_cast<size_t>(ensemble_->features().targets());
  for (size_t i = 0; i < batch.size(); ++i) {
    FillInput(draft, batch[i], buffers.values, buffers.input.data() + i * inputs);
    FillTarget(draft, batch[i], buffers.values, buffers.target.data() + i * targets);
  }

  const std::span<float> parameters = member.parameters;
  const std::span<float> gradient(buffers.d_parameters);
  const float* output = buffers.gradient.Forward(parameters, rows, buffers.input.data());
  double loss = 0;
  if (ensemble_->options().probabilistic) {
    float* d_max = gradient.data() + mlp.parameters();
    loss = GaussianNll(rows, static_cast<int>(targets), output, buffers.target.data(),
                       ensemble_->BoundsIn(parameters), options_.log_variance_penalty,
                       options_.nll_beta, buffers.d_output.data(), d_max, d_max + targets);
  } else {
    loss = SquaredError(rows, static_cast<int>(targets), output, buffers.target.data(),
                        buffers.d_output.data());
  }
  const AdamOptions adam{.learning_rate = options_.learning_rate};
  const int64_t adam_step = ++member.adam_steps;
  size_t stepped = 0;  // parameters
  if (options_.gradient_clip == 0) {
    buffers.gradient.Update(parameters, buffers.d_output.data(),
                            {.options = adam,
                             .step = adam_step,
                             .first_moment = member.first_moment,
                             .second_moment = member.second_moment,
                             .weight_decay = options_.weight_decay},
                            nullptr);
    stepped = static_cast<size_t>(mlp.parameters());
  } else {
    buffers.gradient.Backward(parameters, buffers.d_output.data(), gradient);
    AddWeightDecay(parameters, gradient);
    ClipNorm(options_.gradient_clip, gradient);
  }
  AdamStep(adam, adam_step, gradient.subspan(stepped), member.first_moment.subspan(stepped),
           member.second_moment.subspan(stepped), parameters.subspan(stepped));
  return loss;
}

// gradient += decay W, on weights only.
void EnsembleTrainer::AddWeightDecay(std::span<const float> parameters,
                                     std::span<float> gradient) const {
  const Mlp& mlp = ensemble_->mlp();
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    const size_t place = options_.weight_decay.size() == 1 ? 0 : static_cast<size_t>(layer);
    const auto decay = static_cast<float>(options_.weight_decay[place]);
    if (decay == 0) continue;
    const auto begin = static_cast<size_t>(mlp.weight_offset(layer));
    const auto end = static_cast<size_t>(mlp.bias_offset(layer));
    for (size_t i = begin; i < end; ++i) gradient[i] += decay * parameters[i];
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
