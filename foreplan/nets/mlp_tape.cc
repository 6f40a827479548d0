#include "foreplan/nets/mlp_tape.h"

#include <algorithm>

#include "foreplan/core/size.h"
#include "foreplan/nets/activation.h"

namespace foreplan {
namespace {

// d_bias[i] = sum over rows of dz[row, i].
void SumRows(int rows, int columns, const float* __restrict dz, float* __restrict d_bias) {
  std::fill_n(d_bias, columns, 0.0F);
  for (int row = 0; row < rows; ++row, dz += columns) {
    for (int i = 0; i < columns; ++i) d_bias[i] += dz[i];
  }
}

}  // namespace

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
    inverse_deviation_.emplace_back(hidden && mlp.options().layer_norm ? Size(slots, max_rows) : 0);
    input_.emplace_back(
        KeepsInput(mlp, keep, layer) ? Size(slots, max_rows, mlp.layer_inputs(layer)) : 0);
    d_z_.emplace_back(keep == Keep::kAllGradients ? Size(slots, max_rows, mlp.layer_outputs(layer))
                                                  : 0);
  }
}

// The way back through a norm needs what it gave.
bool MlpTape::KeepsInput(const Mlp& mlp, Keep keep, int layer) {
  return keep != Keep::kInputGradients || (layer > 0 && mlp.options().layer_norm);
}

double MlpTape::Bytes(const Mlp& mlp, int max_rows, int slots, Keep keep) {
  double floats = mlp.outputs();
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    if (layer + 1 < mlp.layers()) {
      floats += mlp.layer_outputs(layer) + (mlp.options().layer_norm ? 1 : 0);
    }
    if (KeepsInput(mlp, keep, layer)) floats += mlp.layer_inputs(layer);
    if (keep == Keep::kAllGradients) floats += mlp.layer_outputs(layer);
  }
  return sizeof(float) * floats * max_rows * slots;
}

float* MlpTape::KeptInput(int layer, int slot) {
  return Slot(input_[static_cast<size_t>(layer)], slot, mlp_.layer_inputs(layer));
}

HiddenLayerSlopes MlpTape::Slopes(int layer, int slot) {
  const auto place = static_cast<size_t>(layer);
  return {.slope = Slot(slope_[place], slot, mlp_.layer_outputs(layer)),
          .inverse_deviation =
              mlp_.options().layer_norm ? Slot(inverse_deviation_[place], slot, 1) : nullptr};
}

const float* MlpTape::Forward(std::span<const float> parameters, int slot, int rows,
                              const float* x) {
  rows_ = rows;
  if (KeepsInput(mlp_, keep_, 0)) {
    float* const kept = KeptInput(0, slot);
    std::copy_n(x, Size(rows, mlp_.inputs()), kept);
    x = kept;
  }
  for (int layer = 0; layer < mlp_.layers(); ++layer) {
    const int outputs = mlp_.layer_outputs(layer);
    const bool last = layer + 1 == mlp_.layers();
    // The output of a hidden layer is kept as the input of the next one, or not at all.
    float* y = last                                 ? Slot(output_, slot, outputs)
               : KeepsInput(mlp_, keep_, layer + 1) ? KeptInput(layer + 1, slot)
               : layer % 2 == 0                     ? even_.data()
                                                    : odd_.data();
    const float* bias = parameters.data() + mlp_.bias_offset(layer);
    kernel_.Forward(rows, mlp_.layer_inputs(layer), outputs, x,
                    parameters.data() + mlp_.weight_offset(layer), y);
    if (last) {
      AddBias(rows, outputs, bias, y);
    } else {
      ActivateHidden(mlp_.options(), rows, outputs, bias, y, Slopes(layer, slot));
    }
    x = y;
  }
  return x;
}

void MlpTape::PullBackLayer(std::span<const float> parameters, int layer, int slot, const float* dz,
                            float* dx) {
  const int inputs = mlp_.layer_inputs(layer);
  // dx = dz W', and through the activation below.
  kernel_.BackwardInput(rows_, inputs, mlp_.layer_outputs(layer), dz,
                        parameters.data() + mlp_.weight_offset(layer), dx);
  if (layer == 0) return;
  const float* below = KeepsInput(mlp_, keep_, layer) ? KeptInput(layer, slot) : nullptr;
  PullBackHidden(mlp_.options(), rows_, 1, inputs, below, Slopes(layer - 1, slot), dx);
}

void MlpTape::LayerGradient(int layer, int rows, const float* x, const float* dz,
                            std::span<float> d_parameters) const {
  const int outputs = mlp_.layer_outputs(layer);
  // dW = x' dz, db = sum of dz over rows.
  kernel_.BackwardWeight(rows, mlp_.layer_inputs(layer), outputs, x, dz,
                         d_parameters.data() + mlp_.weight_offset(layer));
  SumRows(rows, outputs, dz, d_parameters.data() + mlp_.bias_offset(layer));
}

void MlpTape::PullBack(std::span<const float> parameters, int slot, const float* d_output,
                       float* d_input) {
  const bool keeps = keep_ == Keep::kAllGradients;
  const float* dz = d_output;
  if (keeps) {
    std::copy_n(d_output, Size(rows_, mlp_.outputs()), Slot(d_z_.back(), slot, mlp_.outputs()));
  }
  for (int layer = mlp_.layers() - 1; layer >= 0; --layer) {
    float* dx = layer == 0 ? d_input
                : keeps ? Slot(d_z_[static_cast<size_t>(layer) - 1], slot, mlp_.layer_inputs(layer))
                : layer % 2 == 0 ? even_.data()
                                 : odd_.data();
    PullBackLayer(parameters, layer, slot, dz, dx);
    dz = dx;
  }
}

void MlpTape::ParameterGradient(int slots, std::span<float> d_parameters) const {
  for (int layer = 0; layer < mlp_.layers(); ++layer) {
    const auto place = static_cast<size_t>(layer);
    LayerGradient(layer, slots * rows_, input_[place].data(), d_z_[place].data(), d_parameters);
  }
}

void MlpTape::Backward(std::span<const float> parameters, int slot, const float* d_output,
                       std::span<float> d_parameters, float* d_input) {
  const float* dz = d_output;
  for (int layer = mlp_.layers() - 1; layer >= 0; --layer) {
    LayerGradient(layer, rows_, KeptInput(layer, slot), dz, d_parameters);
    float* dx = layer == 0 ? d_input : layer % 2 == 0 ? even_.data() : odd_.data();
    if (dx != nullptr) PullBackLayer(parameters, layer, slot, dz, dx);
    dz = dx;
  }
}

}  // namespace foreplan
