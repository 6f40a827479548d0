// Networks as graphs of ONNX.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "foreplan/data/onnx_graph.h"
#include "foreplan/nets/mlp.h"

namespace foreplan {

/// Appends as many networks as there are parameter vectors, side by side, in floats.
/// input: [n, inputs] of floats; gives [networks, n, outputs].
[[nodiscard]] std::string AppendMlps(const Mlp& mlp,
                                     const std::vector<std::span<const float>>& parameters,
                                     const std::string& input, OnnxGraph& onnx);

}  // namespace foreplan
