#include "foreplan/nets/mlp_tape.h"

#include <algorithm>

#include "foreplan/core/size.h"
#include "foreplan/nets/activation.h"

namespace foreplan {
MlpTape::MlpTape(const Mlp& mlp, const DenseKernel& kernel, int max_rows, int slots, Keep keep)
    : mlp_(mlp),
      kernel_(kernel),
      keep_(keep),
      output_(Size(slots, max_rows, mlp.outputs())),
      even_(Size(max_rows, mlp.max_width())),
      odd_(even_.size()) {
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    const bool hidden = layer + 1 < mlp.layers();
    slope_.emplace_back(hidden ? Size(slots, max_rows, mlp.layer_outputs(layer)) : 0);
    if (keep == Keep::kInputGradients) continue;
    input_.emplace_back(Size(slots, max_rows, mlp.layer_inputs(layer)));
    d_z_.emplace_back(Size(slots, max_rows, mlp.layer_outputs(layer)));
  }
}

double MlpTape::Bytes(const Mlp& mlp, int max_rows, int slots, Keep keep) {
  double floats = mlp.outputs();
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    if (layer + 1 < mlp.layers()) floats += mlp.layer_outputs(layer);
    if (keep == Keep::kAllGradients) floats += mlp.layer_inputs(layer) + mlp.layer_outputs(layer);
  }
  return sizeof(float) * floats * max_rows * slots;
}

const float* MlpTape::Forward(std::span<const float> parameters, int slot, int rows,
                              const float* x) {
  rows_ = rows;
  for (int layer = 0; layer < mlp_.layers(); ++layer) {
    const auto place = static_cast<size_t>(layer);
    const int inputs = mlp_.layer_inputs(layer);
    const int outputs = mlp_.layer_outputs(layer);
    const bool last = layer + 1 == mlp_.layers();
    if (keep_ == Keep::kAllGradients && layer == 0) {
      x = std::copy_n(x, Size(rows, inputs), Slot(input_[0], slot, inputs)) - Size(rows, inputs);
    }
    // The output of a hidden layer is kept as the input of the next one, or not at all.
    float* y = last                           ? Slot(output_, slot, outputs)
               : keep_ == Keep::kAllGradients ? Slot(input_[place + 1], slot, outputs)
               : layer % 2 == 0               ? even_.data()
                                              : odd_.data();
    const float* bias = parameters.data() + mlp_.bias_offset(layer);
    kernel_.Forward(rows, inputs, outputs, x, parameters.data() + mlp_.weight_offset(layer), y);
    if (last) {
      AddBias(rows, outputs, bias, y);
    } else {
      AddBiasSwish(rows, outputs, bias, y, Slot(slope_[place], slot, outputs));
    }
    x = y;
  }
  return x;
}

void MlpTape::PullBack(std::span<const float> parameters, int slot, const float* d_output,
                       float* d_input) {
  const float* dz = d_output;
  for (int layer = mlp_.layers() - 1; layer >= 0; --layer) {
    const auto place = static_cast<size_t>(layer);
    const int inputs = mlp_.layer_inputs(layer);
    const int outputs = mlp_.layer_outputs(layer);
    if (keep_ == Keep::kAllGradients) {
      std::copy_n(dz, Size(rows_, outputs), Slot(d_z_[place], slot, outputs));
    }
    // dx = dz W', and through the activation below: dz = dx * swish'.
    float* dx = layer == 0 ? d_input : layer % 2 == 0 ? even_.data() : odd_.data();
    kernel_.BackwardInput(rows_, inputs, outputs, dz, parameters.data() + mlp_.weight_offset(layer),
                          dx);
    if (layer == 0) return;
    const float* slope = Slot(slope_[place - 1], slot, inputs);
    const size_t count = Size(rows_, inputs);
    for (size_t i = 0; i < count; ++i) dx[i] *= slope[i];
    dz = dx;
  }
}

void MlpTape::ParameterGradient(int slots, std::span<float> d_parameters) const {
  for (int layer = 0; layer < mlp_.layers(); ++layer) {
    const auto place = static_cast<size_t>(layer);
    const int outputs = mlp_.layer_outputs(layer);
    const int rows = slots * rows_;
    // dW = x' dz, db = sum of dz over rows.
    kernel_.BackwardWeight(rows, mlp_.layer_inputs(layer), outputs, input_[place].data(),
                           d_z_[place].data(), d_parameters.data() + mlp_.weight_offset(layer));
    float* d_bias = d_parameters.data() + mlp_.bias_offset(layer);
    std::fill_n(d_bias, outputs, 0.0F);
    const float* dz = d_z_[place].data();
    for (int row = 0; row < rows; ++row, dz += outputs) {
      for (int i = 0; i < outputs; ++i) d_bias[i] += dz[i];
    }
  }
}

}  // namespace foreplan
