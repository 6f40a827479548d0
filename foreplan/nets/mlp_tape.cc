#include "foreplan/nets/mlp_tape.h"

#include <algorithm>

#include "foreplan/core/size.h"
#include "foreplan/nets/activation.h"
#include "foreplan/nets/adam.h"
#include "foreplan/nets/training_layer.h"

namespace foreplan {
namespace {

// d_bias[i] = sum over rows of dz[row, i].
void SumRows(int rows, int columns, const float* __restrict dz, float* __restrict d_bias) {
  std::fill_n(d_bias, columns, 0.0F);
  for (int row = 0; row < rows; ++row, dz += columns) {
    for (int i = 0; i < columns; ++i) d_bias[i] += dz[i];
  }
}

// Where sums of `layers_` and of oneDNN's sgemm have the same bits (nets/training_layer.h): below,
// its gradients by inputs sum in another order, and beyond, weights' gradients are summed in
// blocks.
constexpr int kFewestRows = 16;
constexpr int kMostRows = 384;

LayerFunction FunctionOf(Activation activation) {
  switch (activation) {
    case Activation::kSwish:
      return LayerFunction::kSwish;
    case Activation::kRelu:
      return LayerFunction::kRelu;
    case Activation::kElu:
      return LayerFunction::kElu;
  }
  return LayerFunction::kIdentity;
}

// Of a layer's gradients and of what the training layers need.
size_t ScratchFloats(const Mlp& mlp) {
  size_t most = 0;
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    most = std::max(most, TrainingLayerKernel::ScratchFloats(mlp.layer_inputs(layer),
                                                             mlp.layer_outputs(layer)));
  }
  return most;
}

}  // namespace

MlpTape::MlpTape(const Mlp& mlp, const DenseKernel& kernel, int max_rows, int slots, Keep keep)
    : mlp_(mlp),
      kernel_(kernel),
      layers_(kernel.training_layers()),
      keep_(keep),
      output_(Size(slots, max_rows, mlp.outputs())),
      scratch_(ScratchFloats(mlp)),
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
    ForwardLayer(parameters, layer, slot, x, y);
    x = y;
  }
  return x;
}

void MlpTape::ForwardLayer(std::span<const float> parameters, int layer, int slot, const float* x,
                           float* y) {
  const MlpOptions& options = mlp_.options();
  const int inputs = mlp_.layer_inputs(layer);
  const int outputs = mlp_.layer_outputs(layer);
  const bool last = layer + 1 == mlp_.layers();
  const float* weights = parameters.data() + mlp_.weight_offset(layer);
  const float* bias = parameters.data() + mlp_.bias_offset(layer);
  const HiddenLayerSlopes slopes = last ? HiddenLayerSlopes{} : Slopes(layer, slot);
  if (layers_ != nullptr && outputs > 1) {  // of one output, sgemm sums in another order
    layers_->forward(last ? LayerFunction::kIdentity : FunctionOf(options.activation), rows_,
                     inputs, outputs, x, weights, bias, y, slopes.slope);
    if (!last && options.layer_norm) {
      layers_->norm_rows(static_cast<float>(options.norm_epsilon), rows_, outputs, y,
                         slopes.inverse_deviation);
    }
    return;
  }
  kernel_.Forward(rows_, inputs, outputs, x, weights, y);
  if (last) {
    AddBias(rows_, outputs, bias, y);
  } else {
    ActivateHidden(options, rows_, outputs, bias, y, slopes);
  }
}

void MlpTape::PullBackLayer(std::span<const float> parameters, int layer, int slot, const float* dz,
                            float* dx) {
  const int inputs = mlp_.layer_inputs(layer);
  const int outputs = mlp_.layer_outputs(layer);
  const float* weights = parameters.data() + mlp_.weight_offset(layer);
  const float* below =
      layer > 0 && KeepsInput(mlp_, keep_, layer) ? KeptInput(layer, slot) : nullptr;
  const HiddenLayerSlopes slopes = layer > 0 ? Slopes(layer - 1, slot) : HiddenLayerSlopes{};
  // dx = dz W', and through the activation below.
  if (layers_ != nullptr && rows_ >= kFewestRows) {
    const bool normed = layer > 0 && mlp_.options().layer_norm;
    layers_->backward_input(rows_, inputs, outputs, dz, weights, normed ? nullptr : slopes.slope,
                            scratch_.data(), dx);
    if (normed) {
      layers_->pull_back_norm(rows_, inputs, below, slopes.inverse_deviation, slopes.slope, dx);
    }
    return;
  }
  kernel_.BackwardInput(rows_, inputs, outputs, dz, weights, dx);
  if (layer > 0) PullBackHidden(mlp_.options(), rows_, 1, inputs, below, slopes, dx);
}

void MlpTape::LayerGradient(int layer, int rows, const float* x, const float* dz,
                            float* d_layer) const {
  const int inputs = mlp_.layer_inputs(layer);
  const int outputs = mlp_.layer_outputs(layer);
  float* const d_bias = d_layer + Size(inputs, outputs);
  // dW = x' dz, db = sum of dz over rows.
  if (layers_ != nullptr && rows <= kMostRows) {
    layers_->backward_weight(rows, inputs, outputs, x, dz, d_layer, d_bias);
    return;
  }
  kernel_.BackwardWeight(rows, inputs, outputs, x, dz, d_layer);
  SumRows(rows, outputs, dz, d_bias);
}

void MlpTape::UpdateLayer(std::span<float> parameters, int layer, const float* x, const float* dz,
                          const AdamUpdate& adam) {
  const int inputs = mlp_.layer_inputs(layer);
  const int outputs = mlp_.layer_outputs(layer);
  const auto begin = static_cast<size_t>(mlp_.weight_offset(layer));
  const size_t weights = Size(inputs, outputs);
  const size_t count = weights + Size(outputs);
  const std::span<float> mine = parameters.subspan(begin, count);
  const std::span<float> first = adam.first_moment.subspan(begin, count);
  const std::span<float> second = adam.second_moment.subspan(begin, count);
  const std::span<const double> decays = adam.weight_decay;
  const auto decay = static_cast<float>(
      decays.empty() ? 0.0 : decays[decays.size() == 1 ? 0 : static_cast<size_t>(layer)]);
  if (layers_ != nullptr && rows_ <= kMostRows) {
    AdamCoefficients coefficients = CoefficientsOf(adam.options, adam.step);
    coefficients.weight_decay = decay;
    layers_->update(rows_, inputs, outputs, x, dz, coefficients,
                    {mine.data(), first.data(), second.data()}, scratch_.data());
    return;
  }
  LayerGradient(layer, rows_, x, dz, scratch_.data());
  for (size_t i = 0; decay != 0 && i < weights; ++i) scratch_[i] += decay * mine[i];
  AdamStep(adam.options, adam.step, std::span(scratch_).first(count), first, second, mine);
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
    LayerGradient(layer, slots * rows_, input_[place].data(), d_z_[place].data(),
                  d_parameters.data() + mlp_.weight_offset(layer));
  }
}

void MlpTape::Backward(std::span<const float> parameters, int slot, const float* d_output,
                       std::span<float> d_parameters, float* d_input) {
  const float* dz = d_output;
  for (int layer = mlp_.layers() - 1; layer >= 0; --layer) {
    LayerGradient(layer, rows_, KeptInput(layer, slot), dz,
                  d_parameters.data() + mlp_.weight_offset(layer));
    float* dx = layer == 0 ? d_input : layer % 2 == 0 ? even_.data() : odd_.data();
    if (dx != nullptr) PullBackLayer(parameters, layer, slot, dz, dx);
    dz = dx;
  }
}

void MlpTape::Update(std::span<float> parameters, int slot, const float* d_output,
                     const AdamUpdate& adam, float* d_input) {
  const float* dz = d_output;
  for (int layer = mlp_.layers() - 1; layer >= 0; --layer) {
    float* dx = layer == 0 ? d_input : layer % 2 == 0 ? even_.data() : odd_.data();
    // By the weights as they were.
    if (dx != nullptr) PullBackLayer(parameters, layer, slot, dz, dx);
    UpdateLayer(parameters, layer, KeptInput(layer, slot), dz, adam);
    dz = dx;
  }
}

}  // namespace foreplan
