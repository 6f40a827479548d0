// Multi-layer perceptrons with a linear output, over a flat parameter vector, so that optimisers,
// files and ensembles treat parameters as plain arrays.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/nets/dense_kernel.h"

namespace foreplan {

/// Of every hidden unit.
enum class Activation : uint8_t {
  kSwish,  // z / (1 + e^-z) (Ramachandran et al. 2017)
  kRelu,   // max(z, 0)
  kElu,    // z, below 0 e^z - 1 (Clevert et al. 2016)
};

/// What the hidden layers do besides their products.
struct MlpOptions {
  Activation activation = Activation::kSwish;
  /// What a hidden layer gives, after its activation, is brought to mean 0 and variance 1 over its
  /// units, row by row, without gain and bias: x^ = (x - mean) / sqrt(var + epsilon) (Ba et al.
  /// 2016). Every product but the first has such rows.
  bool layer_norm = false;
  double norm_epsilon = 1e-5;
};

/// Sizes and the place of every layer's weights and biases in the flat vector.
class Mlp {
 public:
  /// widths = {inputs, hidden..., outputs}, at least two entries, all positive, norm_epsilon
  /// positive, too (InputError).
  explicit Mlp(std::vector<int> widths, const MlpOptions& options = {});

  [[nodiscard]] int inputs() const { return widths_.front(); }
  [[nodiscard]] int outputs() const { return widths_.back(); }
  [[nodiscard]] int layers() const { return static_cast<int>(widths_.size()) - 1; }
  [[nodiscard]] int layer_inputs(int layer) const { return widths_[static_cast<size_t>(layer)]; }
  [[nodiscard]] int layer_outputs(int layer) const {
    return widths_[static_cast<size_t>(layer) + 1];
  }
  [[nodiscard]] int max_width() const;
  [[nodiscard]] int parameters() const { return parameters_; }
  [[nodiscard]] const MlpOptions& options() const { return options_; }

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
  MlpOptions options_;
  std::vector<int> offsets_;
  int parameters_ = 0;
};

struct AdamUpdate;
class MlpTape;

/// Forward and backward passes over up to `max_rows` rows, one at a time. Allocates only here.
class MlpGradient {
 public:
  MlpGradient(const Mlp& mlp, const DenseKernel& kernel, int max_rows);
  MlpGradient(MlpGradient&&) noexcept;
  ~MlpGradient();

  /// Returns [rows x outputs], valid until the next call; keeps what Backward needs.
  /// x: [rows x inputs].
  const float* Forward(std::span<const float> parameters, int rows, const float* x);

  /// Gradient of a scalar loss with respect to all parameters (overwritten), given its gradient
  /// with respect to the outputs of the last Forward, d_output: [rows x outputs].
  void Backward(std::span<const float> parameters, const float* d_output,
                std::span<float> d_parameters);

  /// The same, and the gradient with respect to the inputs, d_input: [rows x inputs].
  void Backward(std::span<const float> parameters, const float* d_output,
                std::span<float> d_parameters, float* d_input);

  /// Backward, and Adam's step with it on the parameters that the last Forward had, layer by layer:
  /// the same bits as AdamStep with Backward's gradient, which is written nowhere. d_input may be
  /// null.
  void Update(std::span<float> parameters, const float* d_output, const AdamUpdate& adam,
              float* d_input);

 private:
  std::unique_ptr<MlpTape> tape_;  // of one slot
};

}  // namespace foreplan
