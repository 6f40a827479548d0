#include "foreplan/nets/onnx_mlp.h"

#include <cstddef>
#include <cstdint>

namespace foreplan {
namespace {

/// The same part of every network's parameters, one after the other.
std::vector<float> Stacked(const std::vector<std::span<const float>>& parameters, int offset,
                           int count) {
  std::vector<float> stacked;
  for (const std::span<const float> one : parameters) {
    const auto part = one.subspan(static_cast<size_t>(offset), static_cast<size_t>(count));
    stacked.insert(stacked.end(), part.begin(), part.end());
  }
  return stacked;
}

}  // namespace

std::string AppendMlps(const Mlp& mlp, const std::vector<std::span<const float>>& parameters,
                       const std::string& input, OnnxGraph& onnx) {
  const int64_t networks = std::ssize(parameters);
  std::string value = input;
  for (int layer = 0; layer < mlp.layers(); ++layer) {
    const int inputs = mlp.layer_inputs(layer);
    const int outputs = mlp.layer_outputs(layer);
    const std::string weights =
        onnx.Constant("weights", {networks, inputs, outputs},
                      Stacked(parameters, mlp.weight_offset(layer), inputs * outputs));
    const std::string biases = onnx.Constant("biases", {networks, 1, outputs},
                                             Stacked(parameters, mlp.bias_offset(layer), outputs));
    value = onnx.Apply("Add", {onnx.Apply("MatMul", {value, weights}), biases});
    if (layer + 1 == mlp.layers()) break;
    // swish(z) = z / (1 + e^-z) (Ramachandran et al. 2017)
    value = onnx.Apply("Mul", {value, onnx.Apply("Sigmoid", {value})});
  }
  return value;
}

}  // namespace foreplan
