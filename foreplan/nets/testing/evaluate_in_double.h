// A network in double, from float parameters: an oracle that shares no code with what it judges.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "foreplan/nets/mlp.h"

namespace foreplan {

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
      y[static_cast<size_t>(j)] = layer + 1 < mlp.layers() ? z / (1 + std::exp(-z)) : z;
    }
    x = std::move(y);
  }
  return x;
}

}  // namespace foreplan
