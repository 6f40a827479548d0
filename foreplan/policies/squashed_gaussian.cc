#include "foreplan/policies/squashed_gaussian.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/size.h"
#include "foreplan/core/validated.h"
#include "foreplan/data/tensor_checks.h"
#include "foreplan/nets/mlp_widths.h"

namespace foreplan {
namespace {

// ln(1 + e^x)
double Softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

Mlp MakeMlp(int inputs, int outputs, const SquashedGaussianOptions& options) {
  const auto valid = Validated("actor_critic.policy", options);
  return Mlp(MlpWidths(inputs, valid.hidden_layers, valid.width, outputs));
}

}  // namespace

void SquashedGaussianOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("hidden_layers", hidden_layers, {1, 8}, "hidden layers");
  visitor.Field("width", width, {1, 4096}, "units per hidden layer");
  visitor.Choice("kernel", kernel, DenseKernelNames(), "library for dense products");
  visitor.Field("omit", omit,
                "observation components that policy and critics do not see, beside those that the "
                "task's encoding omits");
}

double SquashedGaussian::Draw(int nu, const float* output, const double* noise, double* action,
                              double* deviation) {
  const double kLogRootTwoPi = 0.5 * std::log(2 * std::numbers::pi);
  double log_density = 0;
  for (int j = 0; j < nu; ++j) {
    deviation[j] = Softplus(output[nu + j]) + kLeastDeviation;
    const double z = output[j] + deviation[j] * noise[j];
    action[j] = std::tanh(z);
    log_density += -0.5 * noise[j] * noise[j] - std::log(deviation[j]) - kLogRootTwoPi -
                   2 * (std::numbers::ln2 - z - Softplus(-2 * z));
  }
  return log_density;
}

// With w = entropy_weight: d z = by_action (1 - a^2) - 2 w a;  d mu = d z;
// d sigma = xi d z + w / sigma;  d rho = d sigma sigmoid(rho).
void SquashedGaussian::PullBack(int nu, const float* output, const double* noise,
                                const double* action, const double* deviation,
                                const double* by_action, double entropy_weight, float* d_output) {
  for (int j = 0; j < nu; ++j) {
    const double d_z = by_action[j] * (1 - action[j] * action[j]) - 2 * entropy_weight * action[j];
    const double d_deviation = noise[j] * d_z + entropy_weight / deviation[j];
    d_output[j] = static_cast<float>(d_z);
    d_output[nu + j] =
        static_cast<float>(d_deviation / (1 + std::exp(-static_cast<double>(output[nu + j]))));
  }
}

SquashedGaussianPolicy::SquashedGaussianPolicy(const FeatureMap& features,
                                               std::span<const double> low,
                                               std::span<const double> high,
                                               const SquashedGaussianOptions& options, Key key)
    : encoder_(features),
      mlp_(MakeMlp(features.inputs(), 2 * static_cast<int>(low.size()), options)),
      kernel_(GetDenseKernel(options.kernel)),
      parameters_(Size(mlp_.parameters())) {
  if (low.size() != high.size()) {
    throw InputError(fmt::format("policy: bounds: found {} lower and {} upper, expected as many",
                                 low.size(), high.size()));
  }
  for (size_t i = 0; i < low.size(); ++i) {
    if (!(low[i] < high[i]) || !std::isfinite(low[i]) || !std::isfinite(high[i])) {
      throw InputError(
          fmt::format("policy: bounds of action {}: found {} ... {}, expected finite low < high", i,
                      low[i], high[i]));
    }
    low_.push_back(low[i]);
    high_.push_back(high[i]);
    middle_.push_back(0.5 * (low[i] + high[i]));
    half_range_.push_back(0.5 * (high[i] - low[i]));
  }
  mlp_.Initialise(key, parameters_);
}

void SquashedGaussianPolicy::ToTask(const double* action, double* task_action) const {
  for (size_t i = 0; i < middle_.size(); ++i) {
    task_action[i] = std::clamp(middle_[i] + half_range_[i] * action[i], low_[i], high_[i]);
  }
}

void SquashedGaussianPolicy::FromTask(const double* task_action, double* action) const {
  for (size_t i = 0; i < middle_.size(); ++i) {
    action[i] = (task_action[i] - middle_[i]) / half_range_[i];
  }
}

void SquashedGaussianPolicy::Rescale(const Normaliser& normaliser) {
  RescaleFirstLayer(mlp_, encoder_.normaliser(), normaliser, parameters_);
  encoder_.normaliser() = normaliser;
}

void SquashedGaussianPolicy::Save(const std::string& prefix, TensorFile& file) const {
  file.tensors[prefix + "parameters"] = {{mlp_.parameters()}, parameters_};
  encoder_.normaliser().Save(prefix + "input", file);
}

void SquashedGaussianPolicy::Restore(const std::string& prefix, const TensorFile& file) {
  const std::array<int64_t, 1> all = {mlp_.parameters()};
  const std::vector<float>& parameters = file.Floats(prefix + "parameters", all);
  Normaliser input = encoder_.normaliser();
  input.Restore(prefix + "input", file);
  CheckFinite(file, prefix + "parameters");
  parameters_ = parameters;
  encoder_.normaliser() = std::move(input);
}

SquashedActor::SquashedActor(const SquashedGaussianPolicy& policy, PolicyAction action)
    : policy_(policy),
      action_(action),
      network_(policy.mlp(), policy.kernel(), 1),
      input_(Size(policy.mlp().inputs())),
      noise_(Size(policy.action_dim())),
      half_action_(noise_.size()),
      deviation_(noise_.size()) {}

void SquashedActor::Act(const Situation& situation, std::span<double> action) {
  policy_.encoder().Encode(1, situation.observation.data(), input_.data());
  const float* output = network_.Forward(policy_.parameters(), 1, input_.data());
  if (action_ == PolicyAction::kMean) {
    std::transform(output, output + policy_.action_dim(), half_action_.begin(),
                   [](float mean) { return std::tanh(static_cast<double>(mean)); });
  } else {
    Random(situation.key).FillNormal(noise_);
    log_density_ = SquashedGaussian::Draw(policy_.action_dim(), output, noise_.data(),
                                          half_action_.data(), deviation_.data());
  }
  policy_.ToTask(half_action_.data(), action.data());
}

}  // namespace foreplan
