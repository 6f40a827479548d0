#include "foreplan/nets/mlp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "foreplan/core/error.h"
#include "foreplan/core/size.h"
#include "foreplan/nets/activation.h"

namespace foreplan {
namespace {

// d_bias[i] = sum over rows of dy[row, i].
void SumRows(int rows, int columns, const float* __restrict dy, float* __restrict d_bias) {
  std::fill_n(d_bias, columns, 0.0F);
  for (int row = 0; row < rows; ++row, dy += columns) {
    for (int i = 0; i < columns; ++i) d_bias[i] += dy[i];
  }
}

}  // namespace

Mlp::Mlp(std::vector<int> widths) : widths_(std::move(widths)) {
  if (widths_.size() < 2 || std::ranges::min(widths_) < 1) {
    throw InputError("network: expected at least inputs and outputs, all widths positive");
  }
  for (int layer = 0; layer < layers(); ++layer) {
    offsets_.push_back(parameters_);
    parameters_ += (layer_inputs(layer) + 1) * layer_outputs(layer);
  }
}

int Mlp::max_width() const { return std::ranges::max(widths_); }

void Mlp::Initialise(Key key, std::span<float> parameters) const {
  for (int layer = 0; layer < layers(); ++layer) {
    Random random(key.Fold(static_cast<uint64_t>(layer)));
    const double sigma = 0.5 / std::sqrt(static_cast<double>(layer_inputs(layer)));
    for (int i = weight_offset(layer); i < bias_offset(layer); ++i) {
      parameters[static_cast<size_t>(i)] = static_cast<float>(sigma * random.TruncatedNormal());
    }
    std::fill_n(parameters.data() + bias_offset(layer), layer_outputs(layer), 0.0F);
  }
}

MlpGradient::MlpGradient(const Mlp& mlp, const DenseKernel& kernel, int max_rows)
    : mlp_(mlp),
      kernel_(kernel),
      d_even_(Size(max_rows, mlp.max_width())),
      d_odd_(Size(max_rows, mlp.max_width())) {
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    output_.emplace_back(Size(max_rows, mlp.layer_outputs(layer)));
    slope_.emplace_back(layer + 1 < mlp.layers() ? Size(max_rows, mlp.layer_outputs(layer)) : 0);
  }
}

const float* MlpGradient::Forward(std::span<const float> parameters, int rows, const float* x) {
  rows_ = rows;
  x_ = x;
  for (int layer = 0; layer < mlp_.layers(); ++layer) {
    float* y = output_[static_cast<size_t>(layer)].data();
    const float* bias = parameters.data() + mlp_.bias_offset(layer);
    kernel_.Forward(rows, mlp_.layer_inputs(layer), mlp_.layer_outputs(layer), x,
                    parameters.data() + mlp_.weight_offset(layer), y);
    if (layer + 1 < mlp_.layers()) {
      AddBiasSwish(rows, mlp_.layer_outputs(layer), bias, y,
                   slope_[static_cast<size_t>(layer)].data());
    } else {
      AddBias(rows, mlp_.layer_outputs(layer), bias, y);
    }
    x = y;
  }
  return x;
}

void MlpGradient::Backward(std::span<const float> parameters, const float* d_output,
                           std::span<float> d_parameters) {
  Backward(parameters, d_output, d_parameters, nullptr);
}

void MlpGradient::Backward(std::span<const float> parameters, const float* d_output,
                           std::span<float> d_parameters, float* d_input) {
  const float* dz = d_output;  // gradient of the layer's pre-activation
  for (int layer = mlp_.layers() - 1; layer >= 0; --layer) {
    const int inputs = mlp_.layer_inputs(layer);
    const int outputs = mlp_.layer_outputs(layer);
    const float* x = layer == 0 ? x_ : output_[static_cast<size_t>(layer) - 1].data();
    const float* w = parameters.data() + mlp_.weight_offset(layer);
    // dW = x' dz, db = sum of dz over rows.
    kernel_.BackwardWeight(rows_, inputs, outputs, x, dz,
                           d_parameters.data() + mlp_.weight_offset(layer));
    SumRows(rows_, outputs, dz, d_parameters.data() + mlp_.bias_offset(layer));
    if (layer == 0) {
      if (d_input != nullptr) kernel_.BackwardInput(rows_, inputs, outputs, dz, w, d_input);
      return;
    }
    // dx = dz W', and through the activation below: dz = dx * swish'.
    float* dx = layer % 2 == 0 ? d_even_.data() : d_odd_.data();
    kernel_.BackwardInput(rows_, inputs, outputs, dz, w, dx);
    const float* slope = slope_[static_cast<size_t>(layer) - 1].data();
    const size_t count = Size(rows_, inputs);
    for (size_t i = 0; i < count; ++i) dx[i] *= slope[i];
    dz = dx;
  }
}

}  // namespace foreplan
