#include "foreplan/models/ensembles/ensemble_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <limits>
#include <mutex>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/models/batch_sampler.h"
#include "foreplan/models/change_statistics.h"
#include "foreplan/models/ensembles/fit_rows.h"
#include "foreplan/nets/adam.h"

namespace foreplan {
namespace {

enum Stream : uint64_t { kMember = 1, kBootstrap, kShuffle };  // 0 is that of FitRows

constexpr int kTold = 100;  // times that a member tells how far it is
constexpr int kTurns = 16;  // of a member in a fit

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
  FitRows rows;
  int steps = 0;                     // planned, of each member
  std::vector<float> parameters;     // [members x member_parameters]
  std::vector<float> first_moment;   // [members x member_parameters]
  std::vector<float> second_moment;  // [members x member_parameters]
  std::vector<int64_t> adam_steps;   // [members]

  Member member(int index) {
    const auto place = static_cast<size_t>(index);
    const size_t size = parameters.size() / adam_steps.size();
    const auto part = [&](std::vector<float>& all) {
      return std::span(all).subspan(place * size, size);
    };
    return {part(parameters), part(first_moment), part(second_moment), adam_steps[place]};
  }
};

// A member's way through a fit, of which workers take a turn each.
struct EnsembleTrainer::Training {
  Training(int number, const Member& views, std::vector<int64_t> own_rows, Key key)
      : index(number), member(views), rows(std::move(own_rows)), sampler(rows, key) {}

  // The member as it was at the best hold-out score; made when it is first needed.
  Member Best() {
    const size_t size = member.parameters.size();
    best.resize(3 * size);
    const auto part = [&](size_t k) { return std::span(best).subspan(k * size, size); };
    return {part(0), part(1), part(2), best_adam_steps};
  }
  [[nodiscard]] int steps() const { return static_cast<int>(losses.size()); }

  int index;
  Member member;
  std::vector<int64_t> rows;  // that it draws from
  BatchSampler sampler;
  std::vector<float> losses;  // [steps taken]
  double best_error = 0;
  int failed_checks = 0;
  std::vector<float> best;  // [3 x member_parameters]
  int64_t best_adam_steps = 0;
  bool is_over = false;
  std::exception_ptr error;
  double training_loss = 0;
  double holdout_error = 0;  // mean squared
};

// Hands out members that are not trained to the end, of those that nobody has the one that has
// taken the fewest steps: five are two and a half rounds for two workers, not three.
class EnsembleTrainer::Turns {
 public:
  explicit Turns(std::vector<std::unique_ptr<Training>>& trainings) {
    for (const auto& training : trainings) waiting_.push_back(training.get());
  }

  Training* Take() {
    const std::lock_guard lock(mutex_);
    const auto next = std::ranges::min_element(waiting_, {}, [](const Training* training) {
      return std::pair(training->steps(), training->index);
    });
    if (next == waiting_.end()) return nullptr;
    Training* const taken = *next;
    waiting_.erase(next);
    return taken;
  }
  void GiveBack(Training* training) {
    const std::lock_guard lock(mutex_);
    if (!training->is_over) waiting_.push_back(training);
  }

 private:
  std::mutex mutex_;
  std::vector<Training*> waiting_;
};

// What one worker needs to train members.
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

  MlpGradient gradient;
  std::vector<float> input;         // [batch x inputs]
  std::vector<float> target;        // [batch x targets]
  std::vector<float> d_output;      // [batch x outputs]
  std::vector<float> d_parameters;  // [member_parameters]
  std::vector<double> values;       // of a row, before they are normalised
  std::vector<int64_t> rows;        // [batch], indices of the batch
};

// Who follows the fit.
struct EnsembleTrainer::Observed {
  const FitControl& control;
  FitMeter& meter;  // of gradient steps
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
  FitMeter meter(control, static_cast<double>(draft.steps) * ensemble_->members());
  std::vector<std::unique_ptr<Training>> trainings(adam_steps_.size());
  executor_->ParallelFor(ensemble_->members(), [&](int member, int /*worker*/) {
    trainings[static_cast<size_t>(member)] = BeginMember(member, key, draft);
  });
  Turns turns(trainings);
  executor_->ParallelFor(executor_->size(), [&](int /*task*/, int worker) {
    while (Training* const training = turns.Take()) {
      TakeTurn(draft, {control, meter}, *training, *buffers_[static_cast<size_t>(worker)]);
      turns.GiveBack(training);
    }
  });
  for (const auto& training : trainings) {
    if (training->error) std::rethrow_exception(training->error);
  }
  control.ThrowIfStopped();

  FitReport report{.training_rows = std::ssize(draft.rows.training()),
                   .holdout_rows = std::ssize(draft.rows.holdout())};
  for (const auto& training : trainings) {
    report.steps = std::max(report.steps, training->steps());
    report.training_loss += training->training_loss / ensemble_->members();
    report.holdout_rmse += std::sqrt(training->holdout_error) / ensemble_->members();
  }
  report.scale =
      MeasureChanges(data, ensemble_->features().difference(), draft.rows.training()).deviation;
  auto fitted = std::make_shared<Ensemble>(*ensemble_);
  // From here on nothing throws.
  fitted->Replace(std::move(draft.parameters), draft.rows.input(), draft.rows.target());
  ensemble_ = std::move(fitted);
  first_moment_ = std::move(draft.first_moment);
  second_moment_ = std::move(draft.second_moment);
  adam_steps_ = std::move(draft.adam_steps);
  return report;
}

EnsembleTrainer::Draft EnsembleTrainer::Begin(const Dataset& data) const {
  Draft draft{.rows = FitRows(*ensemble_, data, options_.holdout_share),
              .parameters = {},
              .first_moment = first_moment_,
              .second_moment = second_moment_,
              .adam_steps = adam_steps_};
  for (int member = 0; member < ensemble_->members(); ++member) {
    const std::span<const float> own = ensemble_->parameters(member);
    draft.parameters.insert(draft.parameters.end(), own.begin(), own.end());
  }
  const bool is_first = std::ranges::max(adam_steps_) == 0;
  draft.steps = options_.StepsOf(std::ssize(draft.rows.training()), is_first);
  draft.rows.Keep(int64_t{draft.steps} * options_.batch * ensemble_->members(), *executor_);
  return draft;
}

std::unique_ptr<EnsembleTrainer::Training> EnsembleTrainer::BeginMember(int index, Key key,
                                                                        Draft& draft) const {
  const Key member_key = key.Fold(kMember).Fold(static_cast<uint64_t>(index));
  const std::vector<int64_t>& training = draft.rows.training();
  std::vector<int64_t> own = training;
  if (options_.bootstrap) {
    Random random(member_key.Fold(kBootstrap));
    for (int64_t& row : own) row = training[random.Below(training.size())];
  }
  return std::make_unique<Training>(index, draft.member(index), std::move(own),
                                    member_key.Fold(kShuffle));
}

// What is thrown waits until all members are through, of which the first one's counts.
void EnsembleTrainer::TakeTurn(const Draft& draft, const Observed& observed, Training& training,
                               Buffers& buffers) const {
  try {
    TrainPart(draft, observed, training, buffers);
    if (training.is_over) Judge(draft, observed, training, buffers);
  } catch (...) {
    training.error = std::current_exception();
    training.is_over = true;
  }
}

void EnsembleTrainer::TrainPart(const Draft& draft, const Observed& observed, Training& training,
                                Buffers& buffers) const {
  const Member& member = training.member;
  const auto holdout_error = [&] { return HoldoutError(draft.rows, member.parameters, buffers); };
  const bool early_stopping = options_.patience > 0 && !draft.rows.holdout().empty();
  const int check_every = std::max(1, draft.steps / options_.checks);
  if (early_stopping && training.steps() == 0) {
    training.best_error = holdout_error();
    training.Best().CopyFrom(member);
  }
  const int end = std::min(draft.steps, training.steps() + std::max(1, draft.steps / kTurns));
  while (training.steps() < end && !training.is_over) {
    observed.control.ThrowIfStopped();
    training.sampler.Fill(buffers.rows);
    const double rate_share = options_.RateShareAt(training.steps() + 1, draft.steps);
    const double loss = TakeGradientStep(draft.rows, member, rate_share, buffers);
    training.losses.push_back(static_cast<float>(loss));
    const int step = training.steps();
    if (!std::isfinite(loss)) {
      throw RunError(fmt::format("fit: the loss of member {} is {} at gradient step {} of {}",
                                 training.index, std::isnan(loss) ? "nan" : "infinite", step,
                                 draft.steps));
    }
    if (step % TellEvery(draft) == 0) observed.meter.Add(TellEvery(draft), loss);
    if (!early_stopping || step % check_every != 0) continue;
    const double error = holdout_error();
    if (error < training.best_error) {
      training.best_error = error;
      training.failed_checks = 0;
      training.Best().CopyFrom(member);
    } else if (++training.failed_checks == options_.patience) {
      training.is_over = true;
    }
  }
  if (training.steps() == draft.steps) training.is_over = true;
  if (training.is_over && early_stopping) member.CopyFrom(training.Best());
}

void EnsembleTrainer::Judge(const Draft& draft, const Observed& observed, Training& training,
                            Buffers& buffers) const {
  training.training_loss = MeanOfLastTenth(training.losses);
  const int told = training.steps() - training.steps() % TellEvery(draft);
  observed.meter.Add(draft.steps - told, training.training_loss);
  if (!draft.rows.holdout().empty()) {
    training.holdout_error = HoldoutError(draft.rows, training.member.parameters, buffers);
  }
  if (!std::isfinite(training.holdout_error)) {
    throw RunError(fmt::format(
        "fit: the hold-out error of member {} is {} after {} gradient steps", training.index,
        std::isnan(training.holdout_error) ? "nan" : "infinite", training.steps()));
  }
}

int EnsembleTrainer::TellEvery(const Draft& draft) { return std::max(1, draft.steps / kTold); }

double EnsembleTrainer::TakeGradientStep(const FitRows& fit, const Member& member,
                                         double rate_share, Buffers& buffers) const {
  const std::span<const int64_t> batch(buffers.rows);
  const int rows = static_cast<int>(batch.size());
  const auto inputs = static_cast<size_t>(ensemble_->mlp().inputs());
  const auto targets = static_cast<size_t>(ensemble_->features().targets());
  for (size_t i = 0; i < batch.size(); ++i) {
    fit.FillInput(batch[i], buffers.values, buffers.input.data() + i * inputs);
    fit.FillTarget(batch[i], buffers.values, buffers.target.data() + i * targets);
  }

  const float* output = buffers.gradient.Forward(member.parameters, rows, buffers.input.data());
  const double loss = Loss(member.parameters, rows, output, buffers);
  ++member.adam_steps;
  StepNetwork(member, rate_share, buffers);
  StepNoise(fit, member, rate_share, buffers.d_parameters);
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
void EnsembleTrainer::StepNetwork(const Member& member, double rate_share, Buffers& buffers) const {
  const auto network = static_cast<size_t>(ensemble_->mlp().parameters());
  const AdamOptions adam{.learning_rate = rate_share * options_.learning_rate};
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
  if (options_.decoupled_decay) {
    DecayWeights(options_, adam.learning_rate, ensemble_->mlp(), member.parameters);
  } else {
    AddWeightDecay(options_, ensemble_->mlp(), member.parameters, gradient);
  }
  if (options_.gradient_clip > 0) ClipNorm(options_.gradient_clip, gradient);
  AdamStep(adam, member.adam_steps, gradient.first(network), member.first_moment.first(network),
           member.second_moment.first(network), member.parameters.first(network));
}

// What stands beside the network: bounds of log-variances, or these themselves, at their own rate.
void EnsembleTrainer::StepNoise(const FitRows& fit, const Member& member, double rate_share,
                                std::span<const float> gradient) const {
  const bool constant = ensemble_->has_constant_noise();
  const auto network = static_cast<size_t>(ensemble_->mlp().parameters());
  const double rate = constant ? options_.noise_learning_rate : options_.learning_rate;
  AdamStep({.learning_rate = rate_share * rate}, member.adam_steps, gradient.subspan(network),
           member.first_moment.subspan(network), member.second_moment.subspan(network),
           member.parameters.subspan(network));
  if (!constant) return;
  const std::span<float> log_variance = ensemble_->NoiseIn(member.parameters);
  for (size_t i = 0; i < log_variance.size(); ++i) {
    log_variance[i] = std::max(log_variance[i], fit.least_log_variance()[i]);
  }
}

// Mean squared error over the hold-out rows, in target deviations; constant targets have none.
double EnsembleTrainer::HoldoutError(const FitRows& fit, std::span<const float> parameters,
                                     Buffers& buffers) const {
  const auto inputs = static_cast<size_t>(ensemble_->mlp().inputs());
  const auto outputs = static_cast<size_t>(ensemble_->mlp().outputs());
  const std::vector<int64_t>& holdout = fit.holdout();
  double sum = 0;
  int64_t count = 0;
  for (size_t first = 0; first < holdout.size(); first += buffers.rows.size()) {
    const size_t rows = std::min(buffers.rows.size(), holdout.size() - first);
    for (size_t i = 0; i < rows; ++i) {
      fit.FillInput(holdout[first + i], buffers.values, buffers.input.data() + i * inputs);
    }
    const float* output =
        buffers.gradient.Forward(parameters, static_cast<int>(rows), buffers.input.data());
    for (size_t i = 0; i < rows; ++i) {
      const float* target = buffers.target.data();
      fit.FillTarget(holdout[first + i], buffers.values, buffers.target.data());
      for (size_t k = 0; k < fit.target_scale().size(); ++k) {
        if (fit.target_scale()[k] == 0) continue;
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
  CheckCounters(file, "trainer.adam_steps");
  adam_steps_.assign(steps.begin(), steps.end());
  first_moment_ = std::move(first);
  second_moment_ = std::move(second);
}

}  // namespace foreplan
