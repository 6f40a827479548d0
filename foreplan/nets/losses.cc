#include "foreplan/nets/losses.h"

#include <cmath>

#include "foreplan/nets/activation.h"

namespace foreplan {

double SquaredError(int rows, int dim, const float* mean, const float* target, float* d_mean) {
  const int count = rows * dim;
  const float scale = 2.0F / static_cast<float>(count);
  double sum = 0;
  for (int i = 0; i < count; ++i) {
    const float error = mean[i] - target[i];
    sum += static_cast<double>(error) * error;
    d_mean[i] = scale * error;
  }
  return sum / count;
}

double GaussianNll(int rows, int dim, const float* output, const float* target,
                   LogVarianceBounds bounds, double penalty, double beta, float* d_output,
                   float* d_max, float* d_min) {
  const float scale = 1.0F / static_cast<float>(rows * dim);
  for (int i = 0; i < dim; ++i) {
    d_max[i] = static_cast<float>(penalty);
    d_min[i] = -static_cast<float>(penalty);
  }
  double sum = 0;
  for (int row = 0; row < rows; ++row) {
    const float* mean = output + row * 2 * dim;
    const float* raw = mean + dim;
    float* d_mean = d_output + row * 2 * dim;
    float* d_raw = d_mean + dim;
    for (int i = 0; i < dim; ++i) {
      // Sigmoids at both bounds: s1 = d lv1 / d raw, s2 = d lv / d lv1.
      const float s1 = Sigmoid(bounds.max[i] - raw[i]);
      const float variance1 = FastExp(bounds.max[i]) * (1.0F - s1);  // exp(lv1)
      const float variance = FastExp(bounds.min[i]) + variance1;     // exp(lv)
      const float s2 = variance1 / variance;
      const float error = mean[i] - target[row * dim + i];
      const float weighted = error / variance;
      const float log_variance = std::log(variance);
      sum += static_cast<double>(error) * weighted + log_variance;
      // variance^beta, a constant for the gradient
      const float weight = beta > 0 ? FastExp(static_cast<float>(beta) * log_variance) : 1.0F;
      d_mean[i] = 2.0F * weight * scale * weighted;
      const float d_lv = scale * (1.0F - error * weighted);
      d_raw[i] = weight * d_lv * s2 * s1;
      d_max[i] += d_lv * s2 * (1.0F - s1);
      d_min[i] += d_lv * (1.0F - s2);
    }
  }
  return sum / (static_cast<double>(rows) * dim);
}

double ConstantNoiseNll(int rows, int dim, const float* mean, const float* target,
                        const float* log_variance, double beta, float* d_mean,
                        float* d_log_variance) {
  const float scale = 1.0F / static_cast<float>(rows * dim);
  for (int i = 0; i < dim; ++i) d_log_variance[i] = 0;
  double sum = 0;
  for (int row = 0; row < rows; ++row, mean += dim, target += dim, d_mean += dim) {
    for (int i = 0; i < dim; ++i) {
      const float error = mean[i] - target[i];
      const float weighted = error * FastExp(-log_variance[i]);
      sum += static_cast<double>(error) * weighted + log_variance[i];
      // variance^beta, a constant for the gradient
      const float weight = beta > 0 ? FastExp(static_cast<float>(beta) * log_variance[i]) : 1.0F;
      d_mean[i] = 2.0F * scale * weight * weighted;
      d_log_variance[i] += scale * (1.0F - weighted * error);
    }
  }
  return sum / (static_cast<double>(rows) * dim);
}

void BoundedDeviation(int rows, int dim, const float* raw, int stride, LogVarianceBounds bounds,
                      float* deviation) {
  for (int row = 0; row < rows; ++row, raw += stride, deviation += dim) {
    for (int i = 0; i < dim; ++i) {
      const float inverse = 1.0F / (1.0F + FastExp(bounds.max[i] - raw[i]));
      deviation[i] = std::sqrt(FastExp(bounds.min[i]) + FastExp(bounds.max[i]) * inverse);
    }
  }
}

}  // namespace foreplan
