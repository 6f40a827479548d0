#include "foreplan/nets/activation.h"

#include <cstddef>

namespace foreplan {

void AddBiasSwish(int rows, int columns, const float* __restrict bias, float* __restrict y) {
  for (int row = 0; row < rows; ++row, y += columns) {
    for (int i = 0; i < columns; ++i) {
      const float z = y[i] + bias[i];
      y[i] = z * Sigmoid(z);
    }
  }
}

void AddBiasSwish(int rows, int columns, const float* __restrict bias, float* __restrict y,
                  float* __restrict slope) {
  for (int row = 0; row < rows; ++row, y += columns, slope += columns) {
    for (int i = 0; i < columns; ++i) {
      const float z = y[i] + bias[i];
      const float s = Sigmoid(z);
      y[i] = z * s;
      slope[i] = s + z * s * (1.0F - s);
    }
  }
}

void AddBias(int rows, int columns, const float* __restrict bias, float* __restrict y) {
  for (int row = 0; row < rows; ++row, y += columns) {
    for (int i = 0; i < columns; ++i) y[i] += bias[i];
  }
}

}  // namespace foreplan
