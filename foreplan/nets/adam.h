// Adam (Kingma & Ba 2015) over a flat parameter vector.
#pragma once

#include <cstdint>
#include <span>

namespace foreplan {

struct AdamOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
};

struct AdamCoefficients;

/// What of step number `step` does not depend on the parameter.
AdamCoefficients CoefficientsOf(const AdamOptions& options, int64_t step);

/// The step of a network while its gradient is made (nets/mlp.h).
struct AdamUpdate {
  AdamOptions options;
  int64_t step = 1;                      // as in AdamStep
  std::span<float> first_moment;         // [parameters]
  std::span<float> second_moment;        // [parameters]
  std::span<const double> weight_decay;  // L2 in the gradient of weights: none, one, or one a layer
};

/// One step on `parameters`; all spans have the same size. `step` counts from 1 and belongs to the
/// moments m and v, which start at 0 and are kept between fits (warm start).
void AdamStep(const AdamOptions& options, int64_t step, std::span<const float> gradient,
              std::span<float> m, std::span<float> v, std::span<float> parameters);

/// Scales a gradient down to that norm where its own is larger.
void ClipNorm(double largest, std::span<float> gradient);

}  // namespace foreplan
