// How networks predict: the seam between a network's parameters and the code that evaluates it
// fastest on this processor. Training has a seam of its own, nets/dense_kernel.h.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "foreplan/nets/losses.h"
#include "foreplan/nets/mlp.h"

namespace foreplan {

/// Number format of the products. Sums are float in both.
enum class Precision {
  kF32,   // float, or sums of bf16 numbers that are as exact
  kBf16,  // weights and activations rounded to bf16; the network's inputs keep 16 bits of mantissa
  kAuto,  // what is fastest and proven harmless here (docs/performance.md): today f32
};

/// Rows of outputs, valid until the next call with the same workspace.
struct Prediction {
  const float* y = nullptr;  // [rows x stride], the first `outputs` of each row count
  int stride = 0;            // [floats]
};

/// Evaluates networks (nets/mlp.h) for batches of rows. Stateless, shared between threads;
/// each call runs on the calling thread, allocates nothing, and gives the same bits whenever its
/// sizes are the same.
class PredictionKernel {
 public:
  virtual ~PredictionKernel() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual Precision precision() const = 0;  // kF32 or kBf16

  /// Sizes of what Pack fills and of what Predict works in [bytes].
  [[nodiscard]] virtual size_t packed_bytes(const Mlp& mlp) const = 0;
  [[nodiscard]] virtual size_t work_bytes(const Mlp& mlp, int max_rows) const = 0;

  /// Lays the parameters out as Predict reads them; once per fit.
  virtual void Pack(const Mlp& mlp, std::span<const float> parameters,
                    std::span<std::byte> packed) const = 0;

  /// x: [rows x inputs]; packed and work are aligned to 64 bytes.
  virtual Prediction Predict(const Mlp& mlp, std::span<const std::byte> packed, int rows,
                             const float* x, std::span<std::byte> work) const = 0;

  /// BoundedDeviation of nets/losses.h.
  virtual void Deviation(int rows, int dim, const float* raw, int stride, LogVarianceBounds bounds,
                         float* deviation) const = 0;
};

/// The kernel for a choice of `model.kernel` and `model.precision`, and networks with such options:
/// with "auto" the fused layers of the best instruction set that this processor has (AVX-512,
/// AVX2), else the dense kernel of that name. Fused layers are swish without a norm; other networks
/// have the dense kernel. Throws InputError where the processor, the kernel or the networks have no
/// bf16, or for an unknown name.
const PredictionKernel& GetPredictionKernel(const std::string& kernel, Precision precision,
                                            const MlpOptions& options = {});

/// What this processor runs of the fused layers (of swish networks without a norm), better ones
/// last; "auto" takes the last of its precision.
const std::vector<const PredictionKernel*>& FusedPredictionKernels();

}  // namespace foreplan
