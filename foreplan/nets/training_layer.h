// One dense layer of a network that is trained: products fused with bias, activation, slopes and
// Adam's step, for the instruction sets that this processor may offer. Internal to nets/.
#pragma once

#include <cstddef>
#include <cstdint>

namespace foreplan {

/// What a layer makes of its sums.
enum class LayerFunction : uint8_t { kIdentity, kSwish, kRelu, kElu };

/// Adam's step with what does not depend on the parameter (nets/adam.h).
struct AdamCoefficients {
  float beta1 = 0;
  float beta2 = 0;
  float rate = 0;          // lr sqrt(1 - beta2^t) / (1 - beta1^t)
  float epsilon = 0;       // eps sqrt(1 - beta2^t)
  float weight_decay = 0;  // of weights, in the gradient
};

/// A layer's parameters with their moments: weights [inputs x outputs], then biases [outputs].
struct TrainedLayer {
  float* parameters = nullptr;
  float* first_moment = nullptr;
  float* second_moment = nullptr;
};

/// All matrices are row-major. Every sum of products goes from its first term to its last, one
/// fused multiply-add after the other, whatever the sizes and the instruction set: so do those of
/// oneDNN's sgemm for up to 384 terms, and results are the same. Functions and Adam's step are
/// those of nets/hidden_layer.h and nets/adam.h, whose last bit is the compiler's choice.
struct TrainingLayerKernel {
  const char* name;

  /// y = a(x W + b), and slope = a'(x W + b) unless null. x: [rows x inputs], W:
  /// [inputs x outputs], y, slope: [rows x outputs].
  void (*forward)(LayerFunction function, int rows, int inputs, int outputs, const float* x,
                  const float* weights, const float* bias, float* y, float* slope);

  /// dx = (dz W') * slope, or without the slope where that is null. dz: [rows x outputs], dx,
  /// slope: [rows x inputs], scratch: ScratchFloats(inputs, outputs).
  void (*backward_input)(int rows, int inputs, int outputs, const float* dz, const float* weights,
                         const float* slope, float* scratch, float* dx);

  /// dW = x' dz, db = sum of dz over rows.
  void (*backward_weight)(int rows, int inputs, int outputs, const float* x, const float* dz,
                          float* d_weights, float* d_bias);

  /// The same and Adam's step with it, which leaves no gradient. scratch: as above.
  void (*update)(int rows, int inputs, int outputs, const float* x, const float* dz,
                 const AdamCoefficients& adam, const TrainedLayer& layer, float* scratch);

  /// Adam's step at `count` parameters; gradient: [count].
  void (*step)(const AdamCoefficients& adam, const TrainedLayer& layer, ptrdiff_t place, int count,
               const float* gradient);

  /// Rows are brought to mean 0 and variance 1: x^ = (x - mean) / sqrt(var + epsilon), in place.
  void (*norm_rows)(float epsilon, int rows, int columns, float* x, float* inverse_deviation);
  /// d = (d - mean(d) - x^ mean(d x^)) / sqrt(var + epsilon) * slope, in place.
  void (*pull_back_norm)(int rows, int columns, const float* x, const float* inverse_deviation,
                         const float* slope, float* d);

  [[nodiscard]] static size_t ScratchFloats(int inputs, int outputs);
};

/// The best that this processor has; null: none.
const TrainingLayerKernel* FastestTrainingLayers();

/// Null where this build or this processor lacks the instructions.
const TrainingLayerKernel* TrainingLayerAvx2();    // AVX2, FMA
const TrainingLayerKernel* TrainingLayerAvx512();  // AVX-512 F, BW, DQ, VL

}  // namespace foreplan
