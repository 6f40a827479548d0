#include "foreplan/critics/critic_ensemble.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/size.h"
#include "foreplan/core/validated.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/nets/adam.h"
#include "foreplan/nets/mlp_widths.h"
#include "foreplan/policies/observation_encoder.h"

namespace foreplan {
namespace {

// With the values in order at 0 ... n - 1, what stands at share (n - 1), on the line between its
// neighbours. Reorders.
double Quantile(std::span<double> values, double share) {
  const double place = share * static_cast<double>(values.size() - 1);
  const double below = std::floor(place);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::ranges::nth_element(values, at);
  if (at + 1 == values.end()) return *at;
  const double next = *std::min_element(at + 1, values.end());
  return *at + (place - below) * (next - *at);
}

}  // namespace

void CriticOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("critics", critics, {1, 64}, "critics; two of them, at random, make a target");
  visitor.Field("hidden_layers", hidden_layers, {1, 8}, "hidden layers");
  visitor.Field("width", width, {1, 4096}, "units per hidden layer");
  visitor.Field("layer_norm", layer_norm,
                "hidden units to mean 0 and variance 1 before the next layer");
  visitor.Field("learning_rate", learning_rate, {1e-8, 1}, "Adam's learning rate");
  visitor.Field("target_rate", target_rate, {0, 1},
                "share of a critic that its target takes over with every step");
  visitor.Field("bounded", bounded,
                "values in units of, and targets clamped to, what the rewards allow");
  visitor.Field("bounds_rate", bounds_rate, {0, 1}, "rate of these bounds' moving average");
  visitor.Choice("kernel", kernel, DenseKernelNames(), "library for dense products");
}

void ValueBounds::Observe(std::span<double> rewards, double discount, double rate,
                          bool some_ended) {
  if (rewards.empty()) return;
  double new_low = Quantile(rewards, 0.01) / (1 - discount);
  double new_high = Quantile(rewards, 0.99) / (1 - discount);
  if (some_ended) {
    new_low = std::min(new_low, 0.0);
    new_high = std::max(new_high, 0.0);
  }
  low = known ? (1 - rate) * low + rate * new_low : new_low;
  high = known ? (1 - rate) * high + rate * new_high : new_high;
  known = true;
}

double ValueBounds::Clamp(double q) const { return known ? std::clamp(q, low, high) : q; }

void FillCriticInput(std::span<const float> x, std::span<const double> action, float* input) {
  input = std::ranges::copy(x, input).out;
  std::ranges::transform(action, input, [](double a) { return static_cast<float>(a); });
}

// What one worker needs for a part of the rows.
struct CriticEnsemble::Buffers {
  Buffers(const Mlp& mlp, const DenseKernel& kernel, int rows)
      : network(mlp, kernel, rows), d_output(Size(rows)) {}
  MlpGradient network;
  std::vector<float> d_output;
};

CriticEnsemble::CriticEnsemble(int observation_inputs, int action_dim, const CriticOptions& options,
                               int batch, Key key, std::shared_ptr<Executor> executor)
    : options_(Validated("actor_critic.critic", options)),
      observation_inputs_(observation_inputs),
      mlp_(MlpWidths(observation_inputs + action_dim, options.hidden_layers, options.width, 1),
           {.layer_norm = options.layer_norm}),
      kernel_(GetDenseKernel(options.kernel)),
      batch_(batch),
      executor_(std::move(executor)),
      parameters_(Size(options.critics, mlp_.parameters())),
      adam_(std::ssize(parameters_), kRowParts, {.learning_rate = options.learning_rate},
            executor_),
      losses_(Size(options.critics, kRowParts)),
      values_(losses_.size()) {
  for (int critic = 0; critic < critics(); ++critic) {
    const std::span<float> all = parameters(critic);
    mlp_.Initialise(key.Fold(static_cast<uint64_t>(critic)), all);
    std::ranges::fill(all.subspan(Size(mlp_.weight_offset(mlp_.layers() - 1))), 0.0F);
  }
  targets_ = parameters_;
  for (int worker = 0; worker < executor_->size(); ++worker) {
    buffers_.push_back(
        std::make_unique<Buffers>(mlp_, kernel_, (batch_ + kRowParts - 1) / kRowParts));
  }
}

CriticEnsemble::~CriticEnsemble() = default;

std::span<const float> CriticEnsemble::parameters(int critic) const {
  return std::span(parameters_).subspan(Size(critic, mlp_.parameters()), Size(mlp_.parameters()));
}

std::span<float> CriticEnsemble::parameters(int critic) {
  return std::span(parameters_).subspan(Size(critic, mlp_.parameters()), Size(mlp_.parameters()));
}

std::span<const float> CriticEnsemble::target_parameters(int critic) const {
  return std::span(targets_).subspan(Size(critic, mlp_.parameters()), Size(mlp_.parameters()));
}

void CriticEnsemble::Evaluate(int rows, const float* x, std::span<double> values) const {
  MlpGradient network(mlp_, kernel_, rows);
  std::ranges::fill(values, 0.0);
  for (int critic = 0; critic < critics(); ++critic) {
    const float* output = network.Forward(parameters(critic), rows, x);
    for (int row = 0; row < rows; ++row) {
      values[Size(row)] += bounds_.Value(output[row]) / critics();
    }
  }
}

CriticReport CriticEnsemble::TakeStep(int rows, const float* x, const double* y) {
  executor_->ParallelFor(critics() * kRowParts, [&](int task, int worker) {
    AccumulatePart(task / kRowParts, task % kRowParts, rows, x, y, *buffers_[Size(worker)]);
  });
  CriticReport report;
  for (size_t i = 0; i < losses_.size(); ++i) {
    report.loss += losses_[i] / critics();
    report.value += values_[i] / critics();
  }
  report.gradient_norm = adam_.Sum();
  report.valid = std::isfinite(report.gradient_norm);
  if (!report.valid) return report;
  const auto tau = static_cast<float>(options_.target_rate);
  adam_.Descend(parameters_, [&](size_t first, size_t count) {
    for (size_t i = first; i < first + count; ++i) {
      targets_[i] = (1 - tau) * targets_[i] + tau * parameters_[i];
    }
  });
  return report;
}

// Gradient of sum over the part's rows of (Q - y)^2 / rows, Q = middle + half range net(x).
void CriticEnsemble::AccumulatePart(int critic, int part, int rows, const float* x, const double* y,
                                    Buffers& buffers) {
  const int first = part * rows / kRowParts;
  const int count = (part + 1) * rows / kRowParts - first;
  const auto count_all = Size(mlp_.parameters());
  const std::span<float> gradient = adam_.part(part).subspan(Size(critic) * count_all, count_all);
  if (count == 0) {  // a single row is in the other part; a product without rows writes nothing
    std::ranges::fill(gradient, 0.0F);
    losses_[Size(critic * kRowParts + part)] = values_[Size(critic * kRowParts + part)] = 0;
    return;
  }
  const float* output =
      buffers.network.Forward(parameters(critic), count, x + Size(first, inputs()));
  double loss = 0;
  double value = 0;
  for (int row = 0; row < count; ++row) {
    const double q = bounds_.Value(output[row]);
    const double target = y[first + row];
    const bool counts = !std::isnan(target);
    const double error = counts ? q - target : 0.0;
    loss += error * error / rows;
    value += q / rows;
    buffers.d_output[Size(row)] = static_cast<float>(2 * error * bounds_.half_range() / rows);
  }
  losses_[Size(critic * kRowParts + part)] = loss;
  values_[Size(critic * kRowParts + part)] = value;
  buffers.network.Backward(parameters(critic), buffers.d_output.data(), gradient);
}

void CriticEnsemble::Rescale(const Normaliser& from, const Normaliser& to) {
  const size_t count = Size(mlp_.parameters());
  for (int critic = 0; critic < critics(); ++critic) {
    RescaleFirstLayer(mlp_, from, to, parameters(critic));
    RescaleFirstLayer(mlp_, from, to, std::span(targets_).subspan(Size(critic) * count, count));
  }
}

void CriticEnsemble::Save(const std::string& prefix, TensorFile& file) const {
  const std::vector<int64_t> shape = {critics(), mlp_.parameters()};
  file.tensors[prefix + "parameters"] = {shape, parameters_};
  file.tensors[prefix + "targets"] = {shape, targets_};
  file.tensors[prefix + "bounds"] = {
      {3}, std::vector<double>{bounds_.low, bounds_.high, bounds_.known ? 1.0 : 0.0}};
  adam_.Save(prefix, file);
}

void CriticEnsemble::Restore(const std::string& prefix, const TensorFile& file) {
  const std::array<int64_t, 2> shape = {critics(), mlp_.parameters()};
  const std::vector<float>& parameters = file.Floats(prefix + "parameters", shape);
  const std::vector<float>& targets = file.Floats(prefix + "targets", shape);
  const std::vector<double>& bounds = FiniteDoubles(file, prefix + "bounds", 3);
  CheckFinite(file, prefix + "parameters");
  CheckFinite(file, prefix + "targets");
  if (bounds[0] > bounds[1] || (bounds[2] != 0 && bounds[2] != 1)) {
    throw InputError(
        fmt::format("{}: tensor '{}bounds': found {} ... {}, {}, expected low <= high, and 0 or 1",
                    file.source, prefix, bounds[0], bounds[1], bounds[2]));
  }
  adam_.Restore(prefix, file);
  parameters_ = parameters;
  targets_ = targets;
  bounds_ = {bounds[0], bounds[1], bounds[2] != 0};
}

}  // namespace foreplan
