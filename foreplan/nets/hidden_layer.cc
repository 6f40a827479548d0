#include "foreplan/nets/hidden_layer.h"

#include <algorithm>
#include <cmath>

#include "foreplan/core/size.h"
#include "foreplan/nets/activation.h"

namespace foreplan {
namespace {

struct Relu {
  static float Value(float z) { return z < 0.0F ? 0.0F : z; }  // NaN passes
  static float Slope(float z) { return z > 0.0F ? 1.0F : 0.0F; }
};

struct Elu {
  static float Value(float z) { return z > 0.0F ? z : FastExp(z) - 1.0F; }
  static float Slope(float z) { return z > 0.0F ? 1.0F : FastExp(z); }
};

template <typename Function>
void AddBiasActivate(int rows, int columns, const float* __restrict bias, float* __restrict y) {
  for (int row = 0; row < rows; ++row, y += columns) {
    for (int i = 0; i < columns; ++i) y[i] = Function::Value(y[i] + bias[i]);
  }
}

template <typename Function>
void AddBiasActivate(int rows, int columns, const float* __restrict bias, float* __restrict y,
                     float* __restrict slope) {
  for (int row = 0; row < rows; ++row, y += columns, slope += columns) {
    for (int i = 0; i < columns; ++i) {
      const float z = y[i] + bias[i];
      y[i] = Function::Value(z);
      slope[i] = Function::Slope(z);
    }
  }
}

// Mean of term(0) ... term(columns - 1): sixteen sums side by side, which become vector code.
template <typename Term>
float Mean(int columns, const Term& term) {
  constexpr int kSums = 16;
  float sums[kSums] = {};
  int i = 0;
  for (; i + kSums <= columns; i += kSums) {
    for (int k = 0; k < kSums; ++k) sums[k] += term(i + k);
  }
  float sum = 0;
  for (; i < columns; ++i) sum += term(i);
  for (const float part : sums) sum += part;
  return sum / static_cast<float>(columns);
}

// x^ = (x - mean) / sqrt(var + epsilon) over the units of each row (Ba et al. 2016).
void NormRows(double epsilon, int rows, int columns, float* y, float* inverse_deviation) {
  for (int row = 0; row < rows; ++row, y += columns) {
    const float mean = Mean(columns, [=](int i) { return y[i]; });
    const float variance = Mean(columns, [=](int i) { return (y[i] - mean) * (y[i] - mean); });
    const float inverse = 1.0F / std::sqrt(variance + static_cast<float>(epsilon));
    for (int i = 0; i < columns; ++i) y[i] = (y[i] - mean) * inverse;
    if (inverse_deviation != nullptr) inverse_deviation[row] = inverse;
  }
}

// dx = (d^ - mean(d^) - x^ mean(d^ x^)) / sqrt(var + epsilon), in place.
void PullBackNorm(int columns, const float* __restrict y, float inverse, float* __restrict d) {
  const float mean = Mean(columns, [=](int i) { return d[i]; });
  const float along = Mean(columns, [=](int i) { return d[i] * y[i]; });
  for (int i = 0; i < columns; ++i) d[i] = (d[i] - mean - y[i] * along) * inverse;
}

}  // namespace

void ActivateHidden(const MlpOptions& options, int rows, int columns, const float* bias, float* y) {
  switch (options.activation) {
    case Activation::kSwish:
      AddBiasSwish(rows, columns, bias, y);
      break;
    case Activation::kRelu:
      AddBiasActivate<Relu>(rows, columns, bias, y);
      break;
    case Activation::kElu:
      AddBiasActivate<Elu>(rows, columns, bias, y);
      break;
  }
  if (options.layer_norm) NormRows(options.norm_epsilon, rows, columns, y, nullptr);
}

void ActivateHidden(const MlpOptions& options, int rows, int columns, const float* bias, float* y,
                    const HiddenLayerSlopes& slopes) {
  switch (options.activation) {
    case Activation::kSwish:
      AddBiasSwish(rows, columns, bias, y, slopes.slope);
      break;
    case Activation::kRelu:
      AddBiasActivate<Relu>(rows, columns, bias, y, slopes.slope);
      break;
    case Activation::kElu:
      AddBiasActivate<Elu>(rows, columns, bias, y, slopes.slope);
      break;
  }
  if (options.layer_norm) {
    NormRows(options.norm_epsilon, rows, columns, y, slopes.inverse_deviation);
  }
}

void PullBackHidden(const MlpOptions& options, int rows, int copies, int columns, const float* y,
                    const HiddenLayerSlopes& slopes, float* d) {
  for (int row = 0; row < rows; ++row) {
    const float* slope = slopes.slope + Size(row, columns);
    for (int copy = 0; copy < copies; ++copy, d += columns) {
      if (options.layer_norm) {
        PullBackNorm(columns, y + Size(row, columns), slopes.inverse_deviation[row], d);
      }
      for (int i = 0; i < columns; ++i) d[i] *= slope[i];
    }
  }
}

}  // namespace foreplan
