#include "foreplan/models/ensemble_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/nets/adam.h"

namespace foreplan {
namespace {

// A column that varies less than this is constant: as an input it gets scale 1 (it only ever is
// 0 then), as a target a tiny scale, so that the model predicts "no change" instead of noise.
constexpr double kConstant = 1e-6;

enum Stream : uint64_t { kHoldout, kMember, kBootstrap, kShuffle };

FitOptions Validated(FitOptions options, const Ensemble& ensemble) {
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

void Keep(std::span<const float> values, std::vector<float>& kept) {
  kept.assign(values.begin(), values.end());
}

// Endless batches from a set of rows, reshuffled at each pass.
class BatchSampler {
 public:
  BatchSampler(std::vector<int64_t>& rows, Key key)
      : rows_(rows), random_(key), next_(rows.size()) {}

  void Fill(std::span<int64_t> batch) {
    for (int64_t& row : batch) {
      if (next_ == rows_.size()) {
        random_.Shuffle(std::span(rows_));
        next_ = 0;
      }
      row = rows_[next_++];
    }
  }

 private:
  std::vector<int64_t>& rows_;
  Random random_;
  size_t next_;
};

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

// What one worker needs to train a member.
struct EnsembleTrainer::Buffers {
  Buffers(const Ensemble& ensemble, int batch)
      : gradient(ensemble.mlp(), ensemble.training_kernel(), batch),
        input(static_cast<size_t>(batch) * static_cast<size_t>(ensemble.mlp().inputs())),
        target(static_cast<size_t>(batch) * static_cast<size_t>(ensemble.features().targets())),
        d_output(static_cast<size_t>(batch) * static_cast<size_t>(ensemble.mlp().outputs())),
        d_parameters(static_cast<size_t>(ensemble.member_parameters())),
        values(static_cast<size_t>(
            std::max(ensemble.features().inputs(), ensemble.features().targets()))),
        rows(static_cast<size_t>(batch)) {}

  MlpGradient gradient;
  std::vector<float> input;         // [batch x inputs]
  std::vector<float> target;        // [batch x targets]
  std::vector<float> d_output;      // [batch x outputs]
  std::vector<float> d_parameters;  // [member_parameters]
  std::vector<double> values;       // of a row, before they are normalised
  std::vector<int64_t> rows;        // [batch], indices of the batch
  std::vector<int64_t> resampled;   // [training rows], the member's bootstrap
  std::vector<float> best;          // [member_parameters], at the best hold-out score
};

struct EnsembleTrainer::MemberReport {
  int steps = 0;
  double training_loss = 0;
  double holdout_error = 0;  // mean squared
};

EnsembleTrainer::EnsembleTrainer(Ensemble& ensemble, const FitOptions& options, ThreadPool& pool)
    : ensemble_(ensemble),
      options_(Validated(options, ensemble)),
      pool_(pool),
      first_moment_(static_cast<size_t>(ensemble.members()) *
                    static_cast<size_t>(ensemble.member_parameters())),
      second_moment_(first_moment_.size()) {
  for (int worker = 0; worker < pool.size(); ++worker) {
    buffers_.push_back(std::make_unique<Buffers>(ensemble, options_.batch));
  }
}

EnsembleTrainer::~EnsembleTrainer() = default;

FitReport EnsembleTrainer::Fit(const Dataset& data, Key key) {
  if (data.size() == 0) throw InputError("fit: found no transitions, expected at least 1");
  TensorFile before;
  ensemble_.Save(before);
  Save(before);
  data_ = &data;
  PrepareRows();
  const double epoch_steps =
      options_.epochs * static_cast<double>(training_.size()) / options_.batch;
  const int steps =
      static_cast<int>(std::clamp(epoch_steps, static_cast<double>(options_.min_steps),
                                  static_cast<double>(options_.max_steps)));
  std::vector<MemberReport> reports(static_cast<size_t>(ensemble_.members()));
  try {
    pool_.ParallelFor(ensemble_.members(), [&](int member, int worker) {
      reports[static_cast<size_t>(member)] =
          TrainMember(member, steps, key, *buffers_[static_cast<size_t>(worker)]);
    });
  } catch (const RunError&) {
    ensemble_.Restore(before);
    Restore(before);
    throw;
  }
  adam_steps_ += steps;

  FitReport report;
  report.training_rows = static_cast<int64_t>(training_.size());
  report.holdout_rows = static_cast<int64_t>(holdout_.size());
  for (const MemberReport& member : reports) {
    report.steps = std::max(report.steps, member.steps);
    report.training_loss += member.training_loss / ensemble_.members();
    report.holdout_rmse += std::sqrt(member.holdout_error) / ensemble_.members();
  }
  return report;
}

// Splits the rows and fits the normalisers. A row's side of the split depends on its index alone:
// warm-started members never trained on what they are judged by.
void EnsembleTrainer::PrepareRows() {
  training_.clear();
  holdout_.clear();
  const Key holdout_key = Key{0, kHoldout};
  for (int64_t row = 0; row < data_->size(); ++row) {
    const Key key = holdout_key.Fold(static_cast<uint64_t>(row));
    (Random(key).Uniform() < options_.holdout_share ? holdout_ : training_).push_back(row);
  }
  if (training_.empty()) std::swap(training_, holdout_);

  const FeatureMap& features = ensemble_.features();
  ensemble_.input_normaliser().Fit(
      data_->size(),
      [&](int64_t row, double* input) {
        features.Input(data_->observation(row).data(), data_->action(row).data(), input);
      },
      kConstant, 1.0);
  CheckInputs();
  if (!ensemble_.options().normalise_targets) return;
  ensemble_.target_normaliser().Fit(
      data_->size(),
      [&](int64_t row, double* target) {
        features.Target(data_->observation(row).data(), data_->next_observation(row).data(),
                        target);
      },
      kConstant, kConstant);
}

// Names the expression and the row where an input is not finite.
void EnsembleTrainer::CheckInputs() const {
  const std::vector<double>& mean = ensemble_.input_normaliser().mean;
  if (std::ranges::all_of(mean, [](double value) { return std::isfinite(value); })) return;
  for (int64_t row = 0; row < data_->size(); ++row) {
    try {
      ensemble_.features().CheckFinite(
          data_->observation(row).data(), data_->action(row).data(),
          fmt::format("in row {} of the data, of episode {}", row + 1, data_->episode(row)));
    } catch (const InputError& error) {
      throw RunError(error.what());
    }
  }
}

void EnsembleTrainer::FillInput(int64_t row, std::vector<double>& values, float* input) const {
  ensemble_.features().Input(data_->observation(row).data(), data_->action(row).data(),
                             values.data());
  ensemble_.input_normaliser().Apply(values.data(), input);
}

void EnsembleTrainer::FillTarget(int64_t row, std::vector<double>& values, float* target) const {
  ensemble_.features().Target(data_->observation(row).data(), data_->next_observation(row).data(),
                              values.data());
  ensemble_.target_normaliser().Apply(values.data(), target);
}

EnsembleTrainer::MemberReport EnsembleTrainer::TrainMember(int member, int steps, Key key,
                                                           Buffers& buffers) {
  const Key member_key = key.Fold(kMember).Fold(static_cast<uint64_t>(member));
  buffers.resampled = training_;
  if (options_.bootstrap) {
    Random random(member_key.Fold(kBootstrap));
    for (int64_t& row : buffers.resampled) row = training_[random.Below(training_.size())];
  }
  BatchSampler sampler(buffers.resampled, member_key.Fold(kShuffle));

  MemberReport report;
  const bool early_stopping = options_.patience > 0 && !holdout_.empty();
  const int check_every = std::max(1, steps / options_.checks);
  double best_error = early_stopping ? HoldoutError(member, buffers) : 0;
  int failed_checks = 0;
  if (early_stopping) Keep(ensemble_.parameters(member), buffers.best);
  int averaged = 0;
  for (int step = 1; step <= steps; ++step) {
    sampler.Fill(buffers.rows);
    const double loss = TakeGradientStep(member, adam_steps_ + step, buffers.rows, buffers);
    if (!std::isfinite(loss)) {
      throw RunError(fmt::format("fit: the loss of member {} is {} at gradient step {} of {}",
                                 member, std::isnan(loss) ? "nan" : "infinite", step, steps));
    }
    report.steps = step;
    if (step > steps - std::max(1, steps / 10)) {
      report.training_loss += loss;
      ++averaged;
    }
    if (!early_stopping || step % check_every != 0) continue;
    const double error = HoldoutError(member, buffers);
    if (error < best_error) {
      best_error = error;
      failed_checks = 0;
      Keep(ensemble_.parameters(member), buffers.best);
    } else if (++failed_checks == options_.patience) {
      break;
    }
  }
  if (averaged > 0) report.training_loss /= averaged;
  if (early_stopping) std::ranges::copy(buffers.best, ensemble_.parameters(member).begin());
  if (!holdout_.empty()) report.holdout_error = HoldoutError(member, buffers);
  ensemble_.Pack(member);
  return report;
}

double EnsembleTrainer::TakeGradientStep(int member, int64_t adam_step,
                                         std::span<const int64_t> batch, Buffers& buffers) {
  const Mlp& mlp = ensemble_.mlp();
  const int rows = static_cast<int>(batch.size());
  const auto inputs = static_cast<size_t>(mlp.inputs());
  const auto targets = static_cast<size_t>(ensemble_.features().targets());
  for (size_t i = 0; i < batch.size(); ++i) {
    FillInput(batch[i], buffers.values, buffers.input.data() + i * inputs);
    FillTarget(batch[i], buffers.values, buffers.target.data() + i * targets);
  }

  const std::span<float> parameters = ensemble_.parameters(member);
  const std::span<float> gradient(buffers.d_parameters);
  const float* output = buffers.gradient.Forward(parameters, rows, buffers.input.data());
  double loss = 0;
  if (ensemble_.options().probabilistic) {
    float* d_max = gradient.data() + mlp.parameters();
    loss = GaussianNll(rows, static_cast<int>(targets), output, buffers.target.data(),
                       ensemble_.bounds(member), options_.log_variance_penalty, options_.nll_beta,
                       buffers.d_output.data(), d_max, d_max + targets);
  } else {
    loss = SquaredError(rows, static_cast<int>(targets), output, buffers.target.data(),
                        buffers.d_output.data());
  }
  buffers.gradient.Backward(parameters, buffers.d_output.data(), gradient);
  AddWeightDecay(parameters, gradient);
  if (options_.gradient_clip > 0) {
    const double norm = Norm(gradient);
    if (norm > options_.gradient_clip) {
      const auto factor = static_cast<float>(options_.gradient_clip / norm);
      for (float& value : gradient) value *= factor;
    }
  }
  const size_t size = parameters.size();
  const size_t offset = static_cast<size_t>(member) * size;
  AdamStep({.learning_rate = options_.learning_rate}, adam_step, gradient,
           std::span(first_moment_).subspan(offset, size),
           std::span(second_moment_).subspan(offset, size), parameters);
  return loss;
}

// gradient += decay W, on weights only.
void EnsembleTrainer::AddWeightDecay(std::span<const float> parameters,
                                     std::span<float> gradient) const {
  const Mlp& mlp = ensemble_.mlp();
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    const size_t place = options_.weight_decay.size() == 1 ? 0 : static_cast<size_t>(layer);
    const auto decay = static_cast<float>(options_.weight_decay[place]);
    if (decay == 0) continue;
    const auto begin = static_cast<size_t>(mlp.weight_offset(layer));
    const auto end = static_cast<size_t>(mlp.bias_offset(layer));
    for (size_t i = begin; i < end; ++i) gradient[i] += decay * parameters[i];
  }
}

// Mean squared error of the member's mean over the hold-out rows, in target deviations.
double EnsembleTrainer::HoldoutError(int member, Buffers& buffers) const {
  const auto inputs = static_cast<size_t>(ensemble_.mlp().inputs());
  const auto outputs = static_cast<size_t>(ensemble_.mlp().outputs());
  const auto targets = static_cast<size_t>(ensemble_.features().targets());
  double sum = 0;
  for (size_t first = 0; first < holdout_.size(); first += buffers.rows.size()) {
    const size_t rows = std::min(buffers.rows.size(), holdout_.size() - first);
    for (size_t i = 0; i < rows; ++i) {
      FillInput(holdout_[first + i], buffers.values, buffers.input.data() + i * inputs);
    }
    const float* output = buffers.gradient.Forward(ensemble_.parameters(member),
                                                   static_cast<int>(rows), buffers.input.data());
    for (size_t i = 0; i < rows; ++i) {
      const float* target = buffers.target.data();
      FillTarget(holdout_[first + i], buffers.values, buffers.target.data());
      for (size_t k = 0; k < targets; ++k) {
        const double error = output[i * outputs + k] - target[k];
        sum += error * error;
      }
    }
  }
  return sum / static_cast<double>(holdout_.size() * targets);
}

void EnsembleTrainer::Save(TensorFile& file) const {
  const std::vector<int64_t> shape = {ensemble_.members(), ensemble_.member_parameters()};
  file.tensors["trainer.first_moment"] = {shape, first_moment_};
  file.tensors["trainer.second_moment"] = {shape, second_moment_};
  file.tensors["trainer.adam_steps"] = {{1},
                                        std::vector<int32_t>{static_cast<int32_t>(adam_steps_)}};
}

void EnsembleTrainer::Restore(const TensorFile& file) {
  const std::array<int64_t, 2> shape = {ensemble_.members(), ensemble_.member_parameters()};
  const std::array<int64_t, 1> one = {1};
  std::vector<float> first = file.Floats("trainer.first_moment", shape);
  std::vector<float> second = file.Floats("trainer.second_moment", shape);
  adam_steps_ = file.Ints("trainer.adam_steps", one).front();
  first_moment_ = std::move(first);
  second_moment_ = std::move(second);
}

}  // namespace foreplan
