// What a fit of networks is told.
#pragma once

#include <span>
#include <vector>

#include "foreplan/core/options.h"
#include "foreplan/nets/mlp.h"

namespace foreplan {

/// Section [fit]. Gradient steps of a fit = clamp(epochs * rows / batch, min_steps, max_steps), of
/// the first one no less than first_steps.
struct FitOptions {
  double epochs = 5;       // passes over the training rows, 0 ... 10000
  int min_steps = 500;     // PETS' 5 epochs are far too few on little data
  int first_steps = 0;     // fewest of a first fit, whatever max_steps says; 0: as of any other
  int max_steps = 100000;  // 1 ... 10^7
  int batch = 32;          // rows per gradient step and member
  double learning_rate = 1e-3;               // Adam's
  double noise_learning_rate = 1e-2;         // the same of log-variances that are constant
  double final_rate_share = 1;               // what is left of both at the end of a fit
  std::vector<double> weight_decay = {0.0};  // of weights: one value, or one per layer
  bool decoupled_decay = false;              // beside Adam's step; else L2, in the gradient
  double log_variance_penalty = 0.01;        // on sum(max - min) of the bounds
  double nll_beta = 0;                       // 0: likelihood ... 1: mean as by least squares
  double gradient_clip = 0;                  // largest norm of a member's gradient; 0: none
  bool bootstrap = true;                     // each member sees its own resampled rows
  double holdout_share = 0;                  // rows never trained on; 0 ... 0.5
  int patience = 0;                          // stop a member after so many checks without a
                                             // better hold-out score; 0: train all steps
  int checks = 20;                           // hold-out checks per fit

  void Visit(OptionsVisitor& visitor);
  /// Gradient steps of a fit to so many rows; is_first: from fresh weights.
  [[nodiscard]] int StepsOf(int64_t rows, bool is_first) const;
  /// What is left of the learning rates at a step, 1 ... steps: with e = final_rate_share,
  ///   e + (1 - e) (1 + cos(pi (step - 1) / steps)) / 2
  /// (Loshchilov & Hutter 2017); every fit begins with the whole rates.
  [[nodiscard]] double RateShareAt(int step, int steps) const;
};

/// Throws InputError when they are out of range, contradict each other or do not fit the network.
[[nodiscard]] FitOptions CheckedFit(FitOptions options, const Mlp& mlp);

/// Decay of weights, never of biases, by the coefficient of their layer.
///   L2:                                       gradient += decay W
///   decoupled (Loshchilov & Hutter 2019):     W -= rate decay W, beside Adam's step at that rate
void AddWeightDecay(const FitOptions& options, const Mlp& mlp, std::span<const float> parameters,
                    std::span<float> gradient);
void DecayWeights(const FitOptions& options, double rate, const Mlp& mlp,
                  std::span<float> parameters);

}  // namespace foreplan
