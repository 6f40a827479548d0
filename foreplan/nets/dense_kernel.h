// Dense float products: the seam between networks and the library that multiplies fastest here.
#pragma once

#include <string>
#include <vector>

namespace foreplan {

struct TrainingLayerKernel;

/// Row-major products without bias. Stateless, shared between threads; each call runs on the
/// calling thread only, allocates nothing, and gives the same bits whenever its sizes are the same.
class DenseKernel {
 public:
  virtual ~DenseKernel() = default;
  [[nodiscard]] virtual std::string name() const = 0;

  /// y = x w; x: [rows x inputs], w: [inputs x outputs], y: [rows x outputs].
  virtual void Forward(int rows, int inputs, int outputs, const float* x, const float* w,
                       float* y) const = 0;
  /// dx = dy w'; dy: [rows x outputs], dx: [rows x inputs].
  virtual void BackwardInput(int rows, int inputs, int outputs, const float* dy, const float* w,
                             float* dx) const = 0;
  /// dw = x' dy; dw: [inputs x outputs].
  virtual void BackwardWeight(int rows, int inputs, int outputs, const float* x, const float* dy,
                              float* dw) const = 0;

  /// Layers with all that stands around their products (nets/training_layer.h), of "auto" alone;
  /// null: none here.
  [[nodiscard]] virtual const TrainingLayerKernel* training_layers() const { return nullptr; }
};

/// "auto" (oneDNN when this build has it, else Eigen, and layers for training where these are
/// faster), "onednn" or "eigen". Throws InputError for another name or a library this build lacks.
const DenseKernel& GetDenseKernel(const std::string& name);
std::vector<std::string> DenseKernelNames();

}  // namespace foreplan
