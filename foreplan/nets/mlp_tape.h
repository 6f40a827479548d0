// Several forward passes of networks that are remembered, and gradients back through them.
#pragma once

#include <span>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/nets/dense_kernel.h"
#include "foreplan/nets/hidden_layer.h"
#include "foreplan/nets/mlp.h"

namespace foreplan {

struct AdamUpdate;

/// Forward passes are kept in slots, one per step of a rollout, so that gradients can go back
/// through them in any order. By the inputs they come slot by slot, as a rollout needs them; by the
/// parameters at the end, in one product per layer over the rows of all slots. Allocates only in
/// the constructor.
class MlpTape {
 public:
  enum class Keep {
    kInputGradients,  // for a network that is not trained here; several may share the tape
    kInputs,          // of all layers: gradients of one slot after the other, by Backward
    kAllGradients,    // and by the sums, so that one product takes the rows of all slots
  };

  MlpTape(const Mlp& mlp, const DenseKernel& kernel, int max_rows, int slots, Keep keep);

  /// Bytes that a tape of these sizes takes, as far as they grow with the slots.
  [[nodiscard]] static double Bytes(const Mlp& mlp, int max_rows, int slots, Keep keep);

  /// Returns [rows x outputs], valid until the slot's next Forward. x: [rows x inputs]. Passes that
  /// have their parameters' gradient taken together have equally many rows.
  const float* Forward(std::span<const float> parameters, int slot, int rows, const float* x);

  /// From a gradient by the outputs of that slot's last Forward, d_output: [rows x outputs], the
  /// gradient by its inputs, d_input: [rows x inputs].
  void PullBack(std::span<const float> parameters, int slot, const float* d_output, float* d_input);

  /// Gradient by the parameters, summed over slots 0 ... slots - 1, each of which has been pulled
  /// back since its last Forward. For Keep::kAllGradients. d_parameters is overwritten.
  void ParameterGradient(int slots, std::span<float> d_parameters) const;

  /// PullBack and ParameterGradient of this slot alone, layer by layer, while its rows are in
  /// cache. For Keep::kInputs and Keep::kAllGradients. d_input: [rows x inputs], or null.
  void Backward(std::span<const float> parameters, int slot, const float* d_output,
                std::span<float> d_parameters, float* d_input);

  /// Backward, and Adam's step with it on the parameters of that slot's last Forward.
  void Update(std::span<float> parameters, int slot, const float* d_output, const AdamUpdate& adam,
              float* d_input);

 private:
  [[nodiscard]] static bool KeepsInput(const Mlp& mlp, Keep keep, int layer);
  [[nodiscard]] float* Slot(std::vector<float>& values, int slot, int columns) const {
    return values.data() + static_cast<size_t>(slot) * static_cast<size_t>(rows_ * columns);
  }
  [[nodiscard]] float* KeptInput(int layer, int slot);
  [[nodiscard]] HiddenLayerSlopes Slopes(int layer, int slot);
  /// A layer's outputs, y: [rows x outputs], with its activation where it is hidden.
  void ForwardLayer(std::span<const float> parameters, int layer, int slot, const float* x,
                    float* y);
  /// From the gradient by a layer's sums, dz: [rows x outputs], to the one by its inputs, through
  /// the activation of the layer below, too, where there is one.
  void PullBackLayer(std::span<const float> parameters, int layer, int slot, const float* dz,
                     float* dx);
  /// Gradients by a layer's weights [inputs x outputs] and biases [outputs], one after the other.
  void LayerGradient(int layer, int rows, const float* x, const float* dz, float* d_layer) const;
  void UpdateLayer(std::span<float> parameters, int layer, const float* x, const float* dz,
                   const AdamUpdate& adam);

  const Mlp& mlp_;
  const DenseKernel& kernel_;
  const TrainingLayerKernel* layers_;  // null: products by the kernel, then the rest
  Keep keep_;
  int rows_ = 0;                           // of the passes kept now
  std::vector<std::vector<float>> slope_;  // per hidden layer: [slots x rows x layer_outputs]
  std::vector<std::vector<float>> inverse_deviation_;  // with the norm: [slots x rows]
  std::vector<std::vector<float>> input_;  // per layer: [slots x rows x layer_inputs], or empty
  std::vector<std::vector<float>> d_z_;    // per layer, by its sums: [slots x rows x outputs]
  std::vector<float> output_;              // [slots x rows x outputs]
  AlignedVector<float> scratch_;           // of a layer: gradients, or what `layers_` needs
  std::vector<float> even_, odd_;          // [max_rows x max_width], layers in turn
};

}  // namespace foreplan
