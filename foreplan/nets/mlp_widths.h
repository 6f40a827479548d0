// Layers of a network whose hidden ones are equally wide.
#pragma once

#include <vector>

namespace foreplan {

/// Units of every layer, for Mlp: inputs, `hidden_layers` times `width`, outputs.
[[nodiscard]] inline std::vector<int> MlpWidths(int inputs, int hidden_layers, int width,
                                                int outputs) {
  std::vector<int> widths(static_cast<size_t>(hidden_layers), width);
  widths.insert(widths.begin(), inputs);
  widths.push_back(outputs);
  return widths;
}

}  // namespace foreplan
