// A network in double, from float parameters: an oracle that shares no code with what it judges.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "foreplan/nets/mlp.h"

namespace foreplan {

inline double ActivateInDouble(const MlpOptions& options, double z) {
  if (options.activation == Activation::kRelu) return std::fmax(z, 0);
  if (options.activation == Activation::kElu) return z > 0 ? z : std::expm1(z);
  return z / (1 + std::exp(-z));
}

inline void NormInDouble(const MlpOptions& options, std::vector<double>& row) {
  const auto units = static_cast<double>(row.size());
  double mean = 0;
  for (const double value : row) mean += value / units;
  double variance = 0;
  for (const double value : row) variance += (value - mean) * (value - mean) / units;
  for (double& value : row) value = (value - mean) / std::sqrt(variance + options.norm_epsilon);
}

inline std::vector<double> EvaluateInDouble(const Mlp& mlp, const std::vector<double>& parameters,
                                            std::vector<double> x) {
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    const int outputs = mlp.layer_outputs(layer);
    std::vector<double> y(static_cast<size_t>(outputs));
    for (int j = 0; j < outputs; ++j) {
      double z = parameters[static_cast<size_t>(mlp.bias_offset(layer) + j)];
      for (int i = 0; i < mlp.layer_inputs(layer); ++i) {
        z += parameters[static_cast<size_t>(mlp.weight_offset(layer) + i * outputs + j)] *
             x[static_cast<size_t>(i)];
      }
      y[static_cast<size_t>(j)] = layer + 1 < mlp.layers() ? ActivateInDouble(mlp.options(), z) : z;
    }
    if (layer + 1 < mlp.layers() && mlp.options().layer_norm) NormInDouble(mlp.options(), y);
    x = std::move(y);
  }
  return x;
}

}  // namespace foreplan
