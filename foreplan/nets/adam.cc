#include "foreplan/nets/adam.h"

#include <cmath>

#include "foreplan/nets/training_layer.h"

namespace foreplan {

AdamCoefficients CoefficientsOf(const AdamOptions& options, int64_t step) {
  // rate = lr sqrt(1 - beta2^t) / (1 - beta1^t); p -= rate m / (sqrt(v) + eps sqrt(1 - beta2^t)).
  const double correction2 = std::sqrt(1.0 - std::pow(options.beta2, static_cast<double>(step)));
  const double correction1 = 1.0 - std::pow(options.beta1, static_cast<double>(step));
  return {.beta1 = static_cast<float>(options.beta1),
          .beta2 = static_cast<float>(options.beta2),
          .rate = static_cast<float>(options.learning_rate * correction2 / correction1),
          .epsilon = static_cast<float>(options.epsilon * correction2)};
}

void AdamStep(const AdamOptions& options, int64_t step, std::span<const float> gradient,
              std::span<float> m, std::span<float> v, std::span<float> parameters) {
  const AdamCoefficients adam = CoefficientsOf(options, step);
  const float* __restrict g = gradient.data();
  float* __restrict first = m.data();
  float* __restrict second = v.data();
  float* __restrict p = parameters.data();
  if (const TrainingLayerKernel* layers = FastestTrainingLayers(); layers != nullptr) {
    layers->step(adam, {p, first, second}, 0, static_cast<int>(parameters.size()), g);
    return;
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    first[i] = adam.beta1 * first[i] + (1.0F - adam.beta1) * g[i];
    second[i] = adam.beta2 * second[i] + (1.0F - adam.beta2) * g[i] * g[i];
    p[i] -= adam.rate * first[i] / (std::sqrt(second[i]) + adam.epsilon);
  }
}

void ClipNorm(double largest, std::span<float> gradient) {
  double squares = 0;
  for (const float value : gradient) squares += static_cast<double>(value) * value;
  const double norm = std::sqrt(squares);
  if (norm <= largest) return;
  const auto factor = static_cast<float>(largest / norm);
  for (float& value : gradient) value *= factor;
}

}  // namespace foreplan
