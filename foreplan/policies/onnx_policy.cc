#include "foreplan/policies/onnx_policy.h"

#include <cstdint>
#include <span>
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

/// What the network says of observations: [n, outputs], in doubles.
std::string Outputs(const FeatureMap& features, const Normaliser& normaliser, const Mlp& mlp,
                    std::span<const float> parameters, OnnxGraph& onnx) {
  const std::string observation = onnx.Input("observation", OnnxType::kDouble,
                                             {"n", features.observation_dim()}, "before the step");
  const std::string input = AppendInputs(features, normaliser, observation, "", onnx);
  const std::string networks = AppendMlps(mlp, {parameters}, input, onnx);
  const std::string first = onnx.Constant("first", {1}, std::vector<int64_t>{0});
  return onnx.Cast(onnx.Apply("Squeeze", {networks, first}), OnnxType::kDouble);
}

/// offset + scale y within the policy's bounds: [n, nu].
template <typename SomePolicy>
std::string Bounded(const std::string& y, const Output& output, const SomePolicy& policy,
                    OnnxGraph& onnx) {
  const int64_t nu = policy.action_dim();
  Numbers low;
  Numbers high;
  for (int i = 0; i < policy.action_dim(); ++i) {
    low.push_back(policy.low(i));
    high.push_back(policy.high(i));
  }
  const std::string scaled = onnx.Apply("Mul", {y, onnx.Constant("scale", {nu}, output.scale)});
  const std::string mean =
      onnx.Apply("Add", {scaled, onnx.Constant("offset", {nu}, output.offset)});
  return onnx.Apply("Min", {onnx.Apply("Max", {mean, onnx.Constant("low", {nu}, low)}),
                            onnx.Constant("high", {nu}, high)});
}

/// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|).
std::string Softplus(const std::string& x, OnnxGraph& onnx) {
  const std::string zero = onnx.Constant("zero", {}, Numbers{0});
  const std::string one = onnx.Constant("one", {}, Numbers{1});
  const std::string small = onnx.Apply("Exp", {onnx.Apply("Neg", {onnx.Apply("Abs", {x})})});
  return onnx.Apply(
      "Add", {onnx.Apply("Max", {x, zero}), onnx.Apply("Log", {onnx.Apply("Add", {one, small})})});
}

}  // namespace

OnnxGraph PolicyGraph(const NetworkPolicy& policy) {
  const int64_t nu = policy.action_dim();
  OnnxGraph onnx("policy");
  std::string y = Outputs(policy.features(), policy.input_normaliser(), policy.mlp(),
                          policy.parameters(), onnx);
  if (policy.output() == PolicyOutput::kTanh) y = onnx.Apply("Tanh", {y});
  const std::string action = Bounded(y, OutputOf(policy), policy, onnx);
  const Eigen::MatrixXd& covariance = policy.covariance();
  onnx.Output(action, "action", OnnxType::kDouble, {"n", nu}, "mean, within the bounds");
  onnx.Output(onnx.Constant("noise", {nu, nu},
                            Numbers(covariance.data(), covariance.data() + covariance.size())),
              "covariance", OnnxType::kDouble, {nu, nu},
              "of the noise that the policy learned with");
  return onnx;
}

OnnxGraph PolicyGraph(const SquashedGaussianPolicy& policy) {
  const int64_t nu = policy.action_dim();
  OnnxGraph onnx("policy");
  const ObservationEncoder& encoder = policy.encoder();
  const std::string outputs = Outputs(encoder.features(), encoder.normaliser(), policy.mlp(),
                                      policy.parameters(), onnx);  // (mu, rho)
  std::vector<int64_t> mu;
  std::vector<int64_t> rho;
  Output squashed;
  for (int i = 0; i < policy.action_dim(); ++i) {
    mu.push_back(i);
    rho.push_back(nu + i);
    squashed.scale.push_back(policy.half_range(i));
  }
  squashed.offset.resize(squashed.scale.size());
  policy.ToTask(Numbers(squashed.scale.size()).data(), squashed.offset.data());
  const std::string action =
      Bounded(onnx.Apply("Tanh", {onnx.Columns(outputs, mu)}), squashed, policy, onnx);
  const std::string least = onnx.Constant("least", {}, Numbers{SquashedGaussian::kLeastDeviation});
  const std::string deviation =
      onnx.Apply("Add", {Softplus(onnx.Columns(outputs, rho), onnx), least});
  onnx.Output(action, "action", OnnxType::kDouble, {"n", nu}, "mean, within the bounds");
  onnx.Output(deviation, "deviation", OnnxType::kDouble, {"n", nu},
              "of the normal distribution before the squashing");
  return onnx;
}

}  // namespace foreplan
