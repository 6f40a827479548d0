#include "foreplan/nets/adam.h"

#include <cmath>

namespace foreplan {

void AdamStep(const AdamOptions& options, int64_t step, std::span<const float> gradient,
              std::span<float> m, std::span<float> v, std::span<float> parameters) {
  const auto beta1 = static_cast<float>(options.beta1);
  const auto beta2 = static_cast<float>(options.beta2);
  // rate = lr sqrt(1 - beta2^t) / (1 - beta1^t); p -= rate m / (sqrt(v) + eps sqrt(1 - beta2^t)).
  const double correction2 = std::sqrt(1.0 - std::pow(options.beta2, static_cast<double>(step)));
  const double correction1 = 1.0 - std::pow(options.beta1, static_cast<double>(step));
  const auto rate = static_cast<float>(options.learning_rate * correction2 / correction1);
  const auto epsilon = static_cast<float>(options.epsilon * correction2);
  const float* __restrict g = gradient.data();
  float* __restrict first = m.data();
  float* __restrict second = v.data();
  float* __restrict p = parameters.data();
  for (size_t i = 0; i < parameters.size(); ++i) {
    first[i] = beta1 * first[i] + (1.0F - beta1) * g[i];
    second[i] = beta2 * second[i] + (1.0F - beta2) * g[i] * g[i];
    p[i] -= rate * first[i] / (std::sqrt(second[i]) + epsilon);
  }
}

}  // namespace foreplan
