#include "foreplan/nets/prediction_kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <deque>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/size.h"
#include "foreplan/nets/activation.h"
#include "foreplan/nets/fused_layer.h"
#include "foreplan/nets/hidden_layer.h"

namespace foreplan {
namespace {

constexpr size_t kAlignment = 64;  // [bytes]
constexpr int kFewRows = 8;        // one block of rows of AVX-512

int RoundUp(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }
size_t Aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

/// Products by a DenseKernel, then bias and activation in a second pass.
class PlainPredictionKernel final : public PredictionKernel {
 public:
  explicit PlainPredictionKernel(const DenseKernel& dense) : dense_(dense) {}

  [[nodiscard]] std::string name() const override { return dense_.name(); }
  [[nodiscard]] Precision precision() const override { return Precision::kF32; }
  [[nodiscard]] size_t packed_bytes(const Mlp& mlp) const override {
    return Size(mlp.parameters()) * sizeof(float);
  }
  [[nodiscard]] size_t work_bytes(const Mlp& mlp, int max_rows) const override {
    return 2 * LayerBytes(mlp, max_rows);
  }

  void Pack(const Mlp& mlp, std::span<const float> parameters,
            std::span<std::byte> packed) const override {
    std::copy_n(parameters.begin(), mlp.parameters(), reinterpret_cast<float*>(packed.data()));
  }

  Prediction Predict(const Mlp& mlp, std::span<const std::byte> packed, int rows, const float* x,
                     std::span<std::byte> work) const override {
    const auto* parameters = reinterpret_cast<const float*>(packed.data());
    for (int layer = 0; layer < mlp.layers(); ++layer) {
      const int outputs = mlp.layer_outputs(layer);
      auto* y =
          reinterpret_cast<float*>(work.data() + (layer % 2 == 0 ? 0 : LayerBytes(mlp, rows)));
      const float* bias = parameters + mlp.bias_offset(layer);
      dense_.Forward(rows, mlp.layer_inputs(layer), outputs, x,
                     parameters + mlp.weight_offset(layer), y);
      if (layer + 1 < mlp.layers()) {
        ActivateHidden(mlp.options(), rows, outputs, bias, y);
      } else {
        AddBias(rows, outputs, bias, y);
      }
      x = y;
    }
    return {.y = x, .stride = mlp.outputs()};
  }

  void Deviation(int rows, int dim, const float* raw, int stride, LogVarianceBounds bounds,
                 float* deviation) const override {
    BoundedDeviation(rows, dim, raw, stride, bounds, deviation);
  }

 private:
  static size_t LayerBytes(const Mlp& mlp, int rows) {
    return Aligned(Size(rows, mlp.max_width()) * sizeof(float));
  }

  const DenseKernel& dense_;
};

// The bf16 number nearest to a float, ties to even; NaN stays NaN.
uint16_t ToBf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40U);
  return static_cast<uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}
uint32_t Pair(uint16_t low, uint16_t high) { return uint32_t{high} << 16 | low; }

// Takes the first 8 bits of a float's mantissa away, as a bf16 number.
uint16_t TakePart(float& rest) {
  const uint32_t part = std::bit_cast<uint32_t>(rest) & 0xFFFF0000U;
  rest -= std::bit_cast<float>(part);
  return static_cast<uint16_t>(part >> 16);
}

// Whether fused layers are what such networks do.
bool FusedLayersHave(const MlpOptions& options) {
  return options.activation == Activation::kSwish && !options.layer_norm;
}

/// Layers fused in registers (nets/fused_layer.h).
class FusedPredictionKernel final : public PredictionKernel {
 public:
  /// few: takes over for so few rows that blocks of `layers` would be mostly empty; may be null.
  explicit FusedPredictionKernel(const FusedLayerKernel& layers,
                                 const FusedPredictionKernel* few = nullptr)
      : layers_(layers), planes_(Planes(layers.numbers)), few_(few) {}

  [[nodiscard]] std::string name() const override { return layers_.name; }
  [[nodiscard]] Precision precision() const override {
    return layers_.numbers == UnitNumbers::kRoundedPairs ? Precision::kBf16 : Precision::kF32;
  }

  [[nodiscard]] size_t packed_bytes(const Mlp& mlp) const override {
    return OwnPackedBytes(mlp) + (few_ != nullptr ? few_->packed_bytes(mlp) : 0);
  }

  [[nodiscard]] size_t work_bytes(const Mlp& mlp, int max_rows) const override {
    const size_t own = InputBytes(mlp, max_rows) + 2 * LayerBytes(mlp, max_rows);
    return few_ != nullptr ? std::max(own, few_->work_bytes(mlp, max_rows)) : own;
  }

  void Pack(const Mlp& mlp, std::span<const float> parameters,
            std::span<std::byte> packed) const override {
    if (!FusedLayersHave(mlp.options())) {
      throw InputError(fmt::format(
          "network: found other layers than swish without a norm, which the kernel {} lacks, "
          "expected a kernel that was asked for with the network's options",
          name()));
    }
    auto* to = reinterpret_cast<float*>(packed.data());
    for (int layer = 0; layer < mlp.layers(); ++layer) {
      const int outputs = mlp.layer_outputs(layer);
      for (int first = 0; first < outputs; first += layers_.panel) {
        to = PackPanel(mlp, layer, parameters, first, to);
      }
    }
    if (few_ != nullptr) few_->Pack(mlp, parameters, packed.subspan(OwnPackedBytes(mlp)));
  }

  Prediction Predict(const Mlp& mlp, std::span<const std::byte> packed, int rows, const float* x,
                     std::span<std::byte> work) const override {
    if (few_ != nullptr && rows <= kFewRows) {
      return few_->Predict(mlp, packed.subspan(OwnPackedBytes(mlp)), rows, x, work);
    }
    const auto* panels = reinterpret_cast<const float*>(packed.data());
    const void* units = x;
    const int x_stride = planes_ * Units(mlp, 0);
    if (layers_.split != nullptr) {
      layers_.split(rows, mlp.inputs(), x, reinterpret_cast<uint32_t*>(work.data()), x_stride);
      units = work.data();
    }
    std::byte* const first = work.data() + InputBytes(mlp, rows);
    std::byte* const second = first + LayerBytes(mlp, rows);
    const int last = mlp.layers() - 1;
    int stride = x_stride;
    for (int layer = 0; layer < last; ++layer) {
      void* y = layer % 2 == 0 ? first : second;
      const int y_stride = HiddenStride(mlp.layer_outputs(layer));
      layers_.hidden(rows, Units(mlp, layer), units, stride, panels, mlp.layer_outputs(layer), y,
                     y_stride);
      panels += LayerFloats(mlp, layer);
      units = y;
      stride = y_stride;
    }
    std::byte* const y = last % 2 == 0 ? first : second;
    const int y_stride = Padded(mlp.outputs());
    layers_.output(rows, Units(mlp, last), units, stride, panels, mlp.outputs(), y, y_stride);
    return {.y = reinterpret_cast<const float*>(y), .stride = y_stride};
  }

  void Deviation(int rows, int dim, const float* raw, int stride, LogVarianceBounds bounds,
                 float* deviation) const override {
    layers_.deviation(rows, dim, raw, stride, bounds.max, bounds.min, deviation);
  }

 private:
  [[nodiscard]] int NumbersPerUnit() const {
    return layers_.numbers == UnitNumbers::kFloat ? 1 : 2;
  }
  [[nodiscard]] int Padded(int width) const { return RoundUp(width, layers_.lanes); }
  // Whether a unit of the layer's weights is one number twice.
  [[nodiscard]] bool IsDoubled(int layer) const {
    return layer == 0 && layers_.numbers == UnitNumbers::kRoundedPairs;
  }
  // Units that a layer reads, per plane.
  [[nodiscard]] int Units(const Mlp& mlp, int layer) const {
    const int numbers = IsDoubled(layer) ? 1 : NumbersPerUnit();
    return RoundUp(RoundUp(mlp.layer_inputs(layer), numbers) / numbers, layers_.unit_block);
  }
  // Units between rows of a hidden layer's outputs.
  [[nodiscard]] int HiddenStride(int width) const {
    return planes_ * RoundUp(Padded(width) / NumbersPerUnit(), layers_.unit_block);
  }
  [[nodiscard]] size_t OwnPackedBytes(const Mlp& mlp) const {
    size_t floats = 0;
    for (int layer = 0; layer < mlp.layers(); ++layer) floats += LayerFloats(mlp, layer);
    return Aligned(floats * sizeof(float));
  }
  [[nodiscard]] size_t LayerFloats(const Mlp& mlp, int layer) const {
    return Size(Padded(mlp.layer_outputs(layer)), planes_ * Units(mlp, layer) + 1);
  }
  [[nodiscard]] size_t InputBytes(const Mlp& mlp, int rows) const {
    if (layers_.split == nullptr) return 0;
    return Aligned(Size(RoundUp(rows, layers_.row_block), planes_ * Units(mlp, 0)) *
                   sizeof(uint32_t));
  }
  [[nodiscard]] size_t LayerBytes(const Mlp& mlp, int rows) const {
    const int width = std::max(Padded(mlp.max_width()), HiddenStride(mlp.max_width()));
    return Aligned(Size(RoundUp(rows, layers_.row_block), width) * sizeof(float));
  }

  // Biases, then per plane and unit the weights of the panel's outputs; outputs beyond the layer's
  // are 0.
  float* PackPanel(const Mlp& mlp, int layer, std::span<const float> parameters, int first,
                   float* to) const {
    const int outputs = mlp.layer_outputs(layer);
    const int inputs = mlp.layer_inputs(layer);
    const int columns = std::min(layers_.panel, Padded(outputs) - first);
    const float* bias = parameters.data() + mlp.bias_offset(layer);
    const float* weights = parameters.data() + mlp.weight_offset(layer);
    const auto weight = [&](int input, int output) {
      return input < inputs && output < outputs ? weights[Size(input, outputs) + Size(output)] : 0;
    };
    for (int i = first; i < first + columns; ++i) *to++ = i < outputs ? bias[i] : 0;
    for (int plane = 0; plane < planes_; ++plane) {
      for (int unit = 0; unit < Units(mlp, layer); ++unit) {
        const auto [low, high] = NumbersOf(layer, unit);
        for (int i = first; i < first + columns; ++i) {
          *to++ = Unit(plane, weight(low, i), weight(high, i));
        }
      }
    }
    return to;
  }

  // Which inputs a unit holds.
  [[nodiscard]] std::pair<int, int> NumbersOf(int layer, int unit) const {
    if (NumbersPerUnit() == 1 || IsDoubled(layer)) return {unit, unit};
    if (layers_.numbers == UnitNumbers::kRoundedPairs) return {2 * unit, 2 * unit + 1};
    const int low = 2 * (unit - unit % layers_.lanes) + unit % layers_.lanes;
    return {low, low + layers_.lanes};
  }
  [[nodiscard]] float Unit(int plane, float low, float high) const {
    if (layers_.numbers == UnitNumbers::kFloat) return low;
    if (layers_.numbers == UnitNumbers::kRoundedPairs) {
      return std::bit_cast<float>(Pair(ToBf16(low), ToBf16(high)));
    }
    for (int i = 0; i < plane; ++i) {
      TakePart(low);
      TakePart(high);
    }
    return std::bit_cast<float>(Pair(TakePart(low), TakePart(high)));
  }

  const FusedLayerKernel& layers_;
  int planes_;
  const FusedPredictionKernel* few_;
};

const PredictionKernel* BestFusedKernel(Precision precision) {
  const PredictionKernel* best = nullptr;
  for (const PredictionKernel* kernel : FusedPredictionKernels()) {
    if (kernel->precision() == precision) best = kernel;
  }
  return best;
}

}  // namespace

const std::vector<const PredictionKernel*>& FusedPredictionKernels() {
  static const std::deque<FusedPredictionKernel> kernels = [] {
    std::deque<FusedPredictionKernel> known;  // whose entries stay where they are
    const FusedPredictionKernel* few = nullptr;
    for (const FusedLayerKernel* layers : {FusedLayerAvx2(), FusedLayerAvx512()}) {
      if (layers != nullptr) few = &known.emplace_back(*layers);
    }
    for (const FusedLayerKernel* layers : {FusedLayerAvx512Bf16(), FusedLayerAmx()}) {
      if (layers != nullptr) known.emplace_back(*layers);
    }
    if (FusedLayerAmxF32() != nullptr) known.emplace_back(*FusedLayerAmxF32(), few);
    return known;
  }();
  static const std::vector<const PredictionKernel*> pointers = [] {
    std::vector<const PredictionKernel*> all;
    for (const FusedPredictionKernel& kernel : kernels) all.push_back(&kernel);
    return all;
  }();
  return pointers;
}

const PredictionKernel& GetPredictionKernel(const std::string& kernel, Precision precision,
                                            const MlpOptions& options) {
  const DenseKernel& dense = GetDenseKernel(kernel);  // throws for an unknown name
  if (precision == Precision::kBf16) {
    if (kernel != "auto") {
      throw InputError(fmt::format(
          "model.precision: found bf16 with model.kernel = {}, expected model.kernel = auto",
          kernel));
    }
    if (!FusedLayersHave(options)) {
      throw InputError(
          "model.precision: found bf16, expected f32: only swish networks without a norm of layers "
          "have bf16");
    }
    const PredictionKernel* fused = BestFusedKernel(Precision::kBf16);
    if (fused == nullptr) {
      throw InputError(
          "model.precision: found bf16, expected f32: this processor has neither AMX-BF16 nor "
          "AVX512-BF16");
    }
    return *fused;
  }
  const PredictionKernel* fused = BestFusedKernel(Precision::kF32);
  if (kernel == "auto" && fused != nullptr && FusedLayersHave(options)) return *fused;
  static const PlainPredictionKernel onednn(GetDenseKernel("auto"));
  static const PlainPredictionKernel eigen(GetDenseKernel("eigen"));
  return dense.name() == eigen.name() ? eigen : onednn;
}

}  // namespace foreplan
