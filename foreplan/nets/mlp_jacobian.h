// Derivatives of a network's outputs with respect to its inputs.
#pragma once

#include <span>
#include <vector>

#include "foreplan/nets/dense_kernel.h"
#include "foreplan/nets/hidden_layer.h"
#include "foreplan/nets/mlp.h"

namespace foreplan {

/// Outputs and exact Jacobians at up to `max_knots` inputs. Allocates only here.
///
/// The chain rule from the outputs backwards, as a network that predicts a state has fewer outputs
/// than hidden units: all outputs of all knots are the rows of one product per layer.
class MlpJacobian {
 public:
  MlpJacobian(const Mlp& mlp, const DenseKernel& kernel, int max_knots);

  /// The outputs alone. x: [knots x inputs].
  void Forward(std::span<const float> parameters, int knots, const float* x);
  /// x: [knots x inputs].
  void Evaluate(std::span<const float> parameters, int knots, const float* x);

  /// Of the last Evaluate or Forward, valid until the next: [knots x outputs].
  [[nodiscard]] const float* outputs() const { return y_.back().data(); }
  /// dy_o / dx_i of the last Evaluate: [knots x outputs x inputs].
  [[nodiscard]] const float* jacobian() const { return jacobian_; }

 private:
  [[nodiscard]] HiddenLayerSlopes Slopes(size_t layer);
  /// rows[k, o, j] = w[j, o]: the last layer, and back through the activation under it.
  void StartRows(std::span<const float> parameters, int knots, float* rows);
  /// Back through a hidden layer's activation. rows: [knots x outputs x layer_outputs].
  void PullBackRows(int layer, int knots, float* rows);

  Mlp mlp_;  // its own, so that what holds one can be copied
  const DenseKernel& kernel_;
  std::vector<std::vector<float>> y_;      // per layer: [max_knots x layer_outputs]
  std::vector<std::vector<float>> slope_;  // per hidden layer: the activation's derivative
  std::vector<std::vector<float>> inverse_deviation_;  // with the norm: [max_knots]
  std::vector<float> even_, odd_;                      // [max_knots x outputs x max_width], in turn
  std::vector<float> last_layer_;  // [outputs x layer_inputs], its weights transposed
  const float* jacobian_ = nullptr;
};

}  // namespace foreplan
