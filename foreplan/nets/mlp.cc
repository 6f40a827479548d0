#include "foreplan/nets/mlp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "foreplan/core/error.h"
#include "foreplan/nets/mlp_tape.h"

namespace foreplan {
Mlp::Mlp(std::vector<int> widths, const MlpOptions& options)
    : widths_(std::move(widths)), options_(options) {
  if (widths_.size() < 2 || std::ranges::min(widths_) < 1) {
    throw InputError("network: expected at least inputs and outputs, all widths positive");
  }
  if (!(options_.norm_epsilon > 0)) {
    throw InputError(fmt::format("network: found norm_epsilon = {}, expected a number above 0",
                                 options_.norm_epsilon));
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
    : tape_(std::make_unique<MlpTape>(mlp, kernel, max_rows, 1, MlpTape::Keep::kInputs)) {}

MlpGradient::MlpGradient(MlpGradient&&) noexcept = default;
MlpGradient::~MlpGradient() = default;

const float* MlpGradient::Forward(std::span<const float> parameters, int rows, const float* x) {
  return tape_->Forward(parameters, 0, rows, x);
}

void MlpGradient::Backward(std::span<const float> parameters, const float* d_output,
                           std::span<float> d_parameters) {
  Backward(parameters, d_output, d_parameters, nullptr);
}

void MlpGradient::Backward(std::span<const float> parameters, const float* d_output,
                           std::span<float> d_parameters, float* d_input) {
  tape_->Backward(parameters, 0, d_output, d_parameters, d_input);
}

void MlpGradient::Update(std::span<float> parameters, const float* d_output, const AdamUpdate& adam,
                         float* d_input) {
  tape_->Update(parameters, 0, d_output, adam, d_input);
}

}  // namespace foreplan
