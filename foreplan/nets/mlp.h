// Multi-layer perceptrons with swish hidden layers and a linear output, over a flat parameter
// vector, so that optimisers, files and ensembles treat parameters as plain arrays.
#pragma once

#include <span>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/nets/dense_kernel.h"

namespace foreplan {

/// Sizes and the place of every layer's weights and biases in the flat vector.
class Mlp {
 public:
  /// widths = {inputs, hidden..., outputs}, at least two entries, all positive (InputError).
  explicit Mlp(std::vector<int> widths);

  [[nodiscard]] int inputs() const { return widths_.front(); }
  [[nodiscard]] int outputs() const { return widths_.back(); }
  [[nodiscard]] int layers() const { return static_cast<int>(widths_.size()) - 1; }
  [[nodiscard]] int layer_inputs(int layer) const { return widths_[static_cast<size_t>(layer)]; }
  [[nodiscard]] int layer_outputs(int layer) const {
    return widths_[static_cast<size_t>(layer) + 1];
  }
  [[nodiscard]] int max_width() const;
  [[nodiscard]] int parameters() const { return parameters_; }

  /// Layer's weights: [layer_inputs x layer_outputs], row-major, at this offset; its biases
  /// [layer_outputs] follow.
  [[nodiscard]] int weight_offset(int layer) const { return offsets_[static_cast<size_t>(layer)]; }
  [[nodiscard]] int bias_offset(int layer) const {
    return weight_offset(layer) + layer_inputs(layer) * layer_outputs(layer);
  }

  /// Weights from a normal truncated at two standard deviations, sigma = 1 / (2 sqrt(inputs of the
  /// layer)) (Chua et al. 2018), biases 0.
  void Initialise(Key key, std::span<float> parameters) const;

 private:
  std::vector<int> widths_;
  std::vector<int> offsets_;
  int parameters_ = 0;
};

/// Buffers for forward and backward passes over up to `max_rows` rows. Allocates only here.
class MlpGradient {
 public:
  MlpGradient(const Mlp& mlp, const DenseKernel& kernel, int max_rows);

  /// Returns [rows x outputs], valid until the next call; keeps what Backward needs. `x`:
  /// [rows x inputs] must stay valid until then.
  const float* Forward(std::span<const float> parameters, int rows, const float* x);

  /// Gradient of a scalar loss with respect to all parameters (overwritten), given its gradient
  /// with respect to the outputs of the last Forward, d_output: [rows x outputs].
  void Backward(std::span<const float> parameters, const float* d_output,
                std::span<float> d_parameters);

  /// The same, and the gradient with respect to the inputs, d_input: [rows x inputs].
  void Backward(std::span<const float> parameters, const float* d_output,
                std::span<float> d_parameters, float* d_input);

 private:
  const Mlp& mlp_;
  const DenseKernel& kernel_;
  int rows_ = 0;
  const float* x_ = nullptr;
  std::vector<std::vector<float>> output_;  // per layer: [max_rows x layer_outputs]
  std::vector<std::vector<float>> slope_;   // per hidden layer: activation's derivative
  std::vector<float> d_even_, d_odd_;       // [max_rows x max_width], gradients of layers in turn
};

}  // namespace foreplan
