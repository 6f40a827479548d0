#include "foreplan/policies/onnx_policy.h"

#include <cstdint>
#include <string>
#include <vector>

#include "foreplan/models/ensembles/onnx_ensemble.h"
#include "foreplan/nets/onnx_mlp.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;

/// What follows the network's last layer: y -> offset + scale f(y), f the identity or tanh.
struct Output {
  Numbers offset, scale;
};

Output OutputOf(const NetworkPolicy& policy) {
  if (policy.output() == PolicyOutput::kNone) {
    return {policy.output_normaliser().mean, policy.output_normaliser().scale};
  }
  Output output;  // low + (high - low) (1 + tanh y) / 2
  for (int i = 0; i < policy.action_dim(); ++i) {
    output.offset.push_back(0.5 * (policy.low(i) + policy.high(i)));
    output.scale.push_back(0.5 * (policy.high(i) - policy.low(i)));
  }
  return output;
}

}  // namespace

OnnxGraph PolicyGraph(const NetworkPolicy& policy) {
  const int64_t nu = policy.action_dim();
  OnnxGraph onnx("policy");
  const std::string observation =
      onnx.Input("observation", OnnxType::kDouble, {"n", policy.state_dim()}, "before the step");
  const std::string input =
      AppendInputs(policy.features(), policy.input_normaliser(), observation, "", onnx);
  const std::string networks = AppendMlps(policy.mlp(), {policy.parameters()}, input, onnx);
  const std::string first = onnx.Constant("first", {1}, std::vector<int64_t>{0});
  std::string y = onnx.Cast(onnx.Apply("Squeeze", {networks, first}), OnnxType::kDouble);
  if (policy.output() == PolicyOutput::kTanh) y = onnx.Apply("Tanh", {y});
  const Output output = OutputOf(policy);
  Numbers low;
  Numbers high;
  for (int i = 0; i < policy.action_dim(); ++i) {
    low.push_back(policy.low(i));
    high.push_back(policy.high(i));
  }
  const std::string scaled = onnx.Apply("Mul", {y, onnx.Constant("scale", {nu}, output.scale)});
  const std::string mean =
      onnx.Apply("Add", {scaled, onnx.Constant("offset", {nu}, output.offset)});
  const std::string action =
      onnx.Apply("Min", {onnx.Apply("Max", {mean, onnx.Constant("low", {nu}, low)}),
                         onnx.Constant("high", {nu}, high)});
  const Eigen::MatrixXd& covariance = policy.covariance();
  onnx.Output(action, "action", OnnxType::kDouble, {"n", nu}, "mean, within the bounds");
  onnx.Output(onnx.Constant("noise", {nu, nu},
                            Numbers(covariance.data(), covariance.data() + covariance.size())),
              "covariance", OnnxType::kDouble, {nu, nu},
              "of the noise that the policy learned with");
  return onnx;
}

}  // namespace foreplan
