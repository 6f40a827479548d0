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

std::string Activated(Activation activation, const std::string& z, OnnxGraph& onnx) {
  switch (activation) {
    case Activation::kSwish:
      break;
    case Activation::kRelu:
      return onnx.Apply("Relu", {z});
    case Activation::kElu:
      return onnx.Apply("Elu", {z});
  }
  // swish(z) = z / (1 + e^-z) (Ramachandran et al. 2017)
  return onnx.Apply("Mul", {z, onnx.Apply("Sigmoid", {z})});
}

// x^ = (x - mean) / sqrt(var + epsilon) over the last axis (Ba et al. 2016).
// x: [networks, n, units].
std::string Normed(double epsilon, const std::string& x, OnnxGraph& onnx) {
  const auto mean = [&](const std::string& value) {
    return onnx.Apply("ReduceMean", {value}, {{"axes", std::vector<int64_t>{2}}});
  };
  const std::string centred = onnx.Apply("Sub", {x, mean(x)});
  const std::string variance = mean(onnx.Apply("Mul", {centred, centred}));
  const std::string positive = onnx.Apply(
      "Add",
      {variance, onnx.Constant("epsilon", {}, std::vector<float>{static_cast<float>(epsilon)})});
  return onnx.Apply("Div", {centred, onnx.Apply("Sqrt", {positive})});
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
    value = Activated(mlp.options().activation, value, onnx);
    if (mlp.options().layer_norm) value = Normed(mlp.options().norm_epsilon, value, onnx);
  }
  return value;
}

}  // namespace foreplan
