#include "foreplan/models/ensembles/fit_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

/// Visits the weights that decay: where a layer's begin, where they end, their coefficient.
template <typename Visit>
void ForDecayingWeights(const FitOptions& options, const Mlp& mlp, const Visit& visit) {
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    const size_t place = options.weight_decay.size() == 1 ? 0 : static_cast<size_t>(layer);
    const double decay = options.weight_decay[place];
    if (decay == 0) continue;
    visit(static_cast<size_t>(mlp.weight_offset(layer)),
          static_cast<size_t>(mlp.bias_offset(layer)), decay);
  }
}

}  // namespace

void FitOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("epochs", epochs, {0, 1e4}, "passes over the training rows");
  visitor.Field("min_steps", min_steps, {1, 1e7}, "fewest gradient steps of a fit");
  visitor.Field(
      "first_steps", first_steps, {0, 1e7},
      "fewest gradient steps of a first fit, whatever max_steps says; 0: as of any other");
  visitor.Field("max_steps", max_steps, {1, 1e7}, "most gradient steps of a fit");
  visitor.Field("batch", batch, {1, 65536}, "rows per gradient step and member");
  visitor.Field("learning_rate", learning_rate, {1e-8, 1}, "Adam's learning rate");
  visitor.Field("noise_learning_rate", noise_learning_rate, {1e-8, 1},
                "the same of variances, where model.noise is constant");
  visitor.Field("final_rate_share", final_rate_share, {0, 1},
                "what is left of both at the end of a fit, along half a cosine; 1: all");
  visitor.Field("weight_decay", weight_decay, {0, 1e3}, "L2 coefficient: one, or one per layer");
  visitor.Field("decoupled_decay", decoupled_decay,
                "weights decay beside Adam's step (AdamW), else in the gradient");
  visitor.Field("log_variance_penalty", log_variance_penalty, {0, 1e3}, "on sum(max - min)");
  visitor.Field("nll_beta", nll_beta, {0, 1},
                "errors count as by the likelihood (0) ... as by least squares (1)");
  visitor.Field("gradient_clip", gradient_clip, {0, 1e9}, "largest gradient norm; 0: none");
  visitor.Field("bootstrap", bootstrap, "each member sees its own resampled rows");
  visitor.Field("holdout_share", holdout_share, {0, 0.5}, "share of rows never trained on");
  visitor.Field("patience", patience, {0, 1e6}, "checks without a better score; 0: all steps");
  visitor.Field("checks", checks, {1, 1e6}, "hold-out checks per fit");
}

int FitOptions::StepsOf(int64_t rows, bool is_first) const {
  const double epoch_steps = epochs * static_cast<double>(rows) / batch;
  const auto steps = static_cast<int>(
      std::clamp(epoch_steps, static_cast<double>(min_steps), static_cast<double>(max_steps)));
  return is_first ? std::max(steps, first_steps) : steps;
}

double FitOptions::RateShareAt(int step, int steps) const {
  const double passed = static_cast<double>(step - 1) / steps;
  return final_rate_share +
         (1 - final_rate_share) * 0.5 * (1 + std::cos(std::numbers::pi * passed));
}

FitOptions CheckedFit(FitOptions options, const Mlp& mlp) {
  ValidateOptions("fit", options);
  if (options.max_steps < options.min_steps) {
    throw InputError(fmt::format("fit.max_steps: found {}, expected at least fit.min_steps = {}",
                                 options.max_steps, options.min_steps));
  }
  const size_t layers = static_cast<size_t>(mlp.layers());
  if (options.weight_decay.size() != 1 && options.weight_decay.size() != layers) {
    throw InputError(
        fmt::format("fit.weight_decay: found {} values, expected 1 or {} (one a layer)",
                    options.weight_decay.size(), layers));
  }
  const double largest = std::ranges::max(options.weight_decay);
  if (options.decoupled_decay && options.learning_rate * largest >= 1) {
    throw InputError(
        fmt::format("fit.weight_decay: found {} with fit.decoupled_decay, expected less than 1 / "
                    "fit.learning_rate = {}",
                    largest, 1 / options.learning_rate));
  }
  return options;
}

void AddWeightDecay(const FitOptions& options, const Mlp& mlp, std::span<const float> parameters,
                    std::span<float> gradient) {
  ForDecayingWeights(options, mlp, [&](size_t begin, size_t end, double coefficient) {
    const auto decay = static_cast<float>(coefficient);
    for (size_t i = begin; i < end; ++i) gradient[i] += decay * parameters[i];
  });
}

void DecayWeights(const FitOptions& options, double rate, const Mlp& mlp,
                  std::span<float> parameters) {
  ForDecayingWeights(options, mlp, [&](size_t begin, size_t end, double coefficient) {
    const auto kept = static_cast<float>(1 - rate * coefficient);
    for (size_t i = begin; i < end; ++i) parameters[i] *= kept;
  });
}

}  // namespace foreplan
