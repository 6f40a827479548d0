#include "foreplan/nets/mlp_jacobian.h"

#include <algorithm>
#include <utility>

#include "foreplan/core/size.h"
#include "foreplan/nets/activation.h"

namespace foreplan {
MlpJacobian::MlpJacobian(const Mlp& mlp, const DenseKernel& kernel, int max_knots)
    : mlp_(mlp),
      kernel_(kernel),
      even_(Size(max_knots * mlp.outputs(), mlp.max_width())),
      odd_(even_.size()),
      last_layer_(Size(mlp.outputs(), mlp.layer_inputs(mlp.layers() - 1))) {
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    y_.emplace_back(Size(max_knots, mlp.layer_outputs(layer)));
    const bool hidden = layer + 1 < mlp.layers();
    slope_.emplace_back(hidden ? Size(max_knots, mlp.layer_outputs(layer)) : 0);
    inverse_deviation_.emplace_back(hidden && mlp.options().layer_norm ? Size(max_knots) : 0);
  }
}

void MlpJacobian::Evaluate(std::span<const float> parameters, int knots, const float* x) {
  Forward(parameters, knots, x);
  float* rows = even_.data();
  float* next = odd_.data();
  StartRows(parameters, knots, rows);
  for (int layer = mlp_.layers() - 2; layer >= 0; --layer) {
    // d y / d x_layer = (d y / d z_layer) W'
    kernel_.BackwardInput(knots * mlp_.outputs(), mlp_.layer_inputs(layer),
                          mlp_.layer_outputs(layer), rows,
                          parameters.data() + mlp_.weight_offset(layer), next);
    if (layer > 0) PullBackRows(layer - 1, knots, next);
    std::swap(rows, next);
  }
  jacobian_ = rows;
}

void MlpJacobian::Forward(std::span<const float> parameters, int knots, const float* x) {
  for (int layer = 0; layer < mlp_.layers(); ++layer) {
    const auto place = static_cast<size_t>(layer);
    float* y = y_[place].data();
    const float* bias = parameters.data() + mlp_.bias_offset(layer);
    kernel_.Forward(knots, mlp_.layer_inputs(layer), mlp_.layer_outputs(layer), x,
                    parameters.data() + mlp_.weight_offset(layer), y);
    if (layer + 1 < mlp_.layers()) {
      ActivateHidden(mlp_.options(), knots, mlp_.layer_outputs(layer), bias, y, Slopes(place));
    } else {
      AddBias(knots, mlp_.layer_outputs(layer), bias, y);
    }
    x = y;
  }
}

void MlpJacobian::StartRows(std::span<const float> parameters, int knots, float* rows) {
  const int last = mlp_.layers() - 1;
  const auto units = static_cast<size_t>(mlp_.layer_inputs(last));
  const auto outputs = static_cast<size_t>(mlp_.outputs());
  const float* w = parameters.data() + mlp_.weight_offset(last);
  for (size_t j = 0; j < units; ++j) {
    for (size_t o = 0; o < outputs; ++o) last_layer_[o * units + j] = w[j * outputs + o];
  }
  for (int knot = 0; knot < knots; ++knot) {
    std::ranges::copy(last_layer_, rows + static_cast<size_t>(knot) * last_layer_.size());
  }
  if (last > 0) PullBackRows(last - 1, knots, rows);
}

HiddenLayerSlopes MlpJacobian::Slopes(size_t layer) {
  return {
      .slope = slope_[layer].data(),
      .inverse_deviation = mlp_.options().layer_norm ? inverse_deviation_[layer].data() : nullptr};
}

void MlpJacobian::PullBackRows(int layer, int knots, float* rows) {
  const auto place = static_cast<size_t>(layer);
  PullBackHidden(mlp_.options(), knots, mlp_.outputs(), mlp_.layer_outputs(layer), y_[place].data(),
                 Slopes(place), rows);
}

}  // namespace foreplan
