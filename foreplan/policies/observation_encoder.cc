#include "foreplan/policies/observation_encoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "foreplan/core/size.h"
#include "foreplan/data/column_statistics.h"

namespace foreplan {
namespace {

// `row(i)`: observation i.
template <typename Row>
Normaliser MeasureFeatures(const FeatureMap& features, int64_t rows, const Row& row) {
  Normaliser measured = Normaliser::OfInputs(
      MeasureColumns(rows, Size(features.inputs()),
                     [&](int64_t i, double* input) { features.Input(row(i), nullptr, input); }));
  const std::vector<bool> bounded = features.SinesAndCosines();
  for (size_t i = 0; i < bounded.size(); ++i) {
    if (!bounded[i]) continue;
    measured.mean[i] = 0;
    measured.scale[i] = 1;
  }
  return measured;
}

}  // namespace

ObservationEncoder::ObservationEncoder(FeatureMap features)
    : features_(std::move(features)), normaliser_(features_.inputs()) {}

void ObservationEncoder::Encode(int rows, const double* observation, float* x) const {
  features_.Inputs(rows, observation, nullptr, normaliser_, x);
}

bool ObservationEncoder::IsDigestible(const float* x) const {
  return std::all_of(x, x + inputs(), [](float value) { return std::abs(value) <= kFarthest; });
}

void ObservationEncoder::PullBack(int rows, const double* observation, const float* d_x, int stride,
                                  std::span<double> by_input, double* d_observation) const {
  for (int row = 0; row < rows; ++row) {
    const float* d_row = d_x + Size(row, stride);
    for (size_t i = 0; i < by_input.size(); ++i) by_input[i] = d_row[i] / normaliser_.scale[i];
    features_.PullBack(observation + Size(row, observation_dim()), nullptr, by_input.data(),
                       d_observation + Size(row, observation_dim()), nullptr);
  }
}

Normaliser ObservationEncoder::Measure(const Dataset& data) const {
  return MeasureFeatures(features_, data.size(),
                         [&](int64_t i) { return data.observation(i).data(); });
}

Normaliser ObservationEncoder::Measure(int64_t rows, const double* observation) const {
  return MeasureFeatures(features_, rows,
                         [&](int64_t i) { return observation + i * observation_dim(); });
}

void RescaleFirstLayer(const Mlp& mlp, const Normaliser& from, const Normaliser& to,
                       std::span<float> parameters) {
  const int outputs = mlp.layer_outputs(0);
  float* bias = parameters.data() + mlp.bias_offset(0);
  for (int j = 0; j < outputs; ++j) {
    double shift = 0;
    for (size_t k = 0; k < from.scale.size(); ++k) {
      float& weight = parameters[Size(mlp.weight_offset(0)) + k * Size(outputs) + Size(j)];
      shift += weight * ((to.mean[k] - from.mean[k]) / from.scale[k]);
      weight = static_cast<float>(weight * (to.scale[k] / from.scale[k]));
    }
    bias[j] = static_cast<float>(bias[j] + shift);
  }
}

}  // namespace foreplan
