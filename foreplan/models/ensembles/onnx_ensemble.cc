#include "foreplan/models/ensembles/onnx_ensemble.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "foreplan/expressions/onnx_expressions.h"
#include "foreplan/nets/onnx_mlp.h"
#include "foreplan/systems/input_expressions.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;

constexpr const char* kRows = "n";

std::string Sum(const std::string& a, const std::string& b, OnnxGraph& onnx) {
  return onnx.Apply("Add", {a, b});
}

std::string Product(const std::string& a, const std::string& b, OnnxGraph& onnx) {
  return onnx.Apply("Mul", {a, b});
}

std::string OverMembers(const std::string& value, OnnxGraph& onnx) {
  return onnx.Apply("ReduceMean", {value},
                    {{"axes", std::vector<int64_t>{0}}, {"keepdims", int64_t{0}}});
}

/// Part of the last of three dimensions.
std::string LastColumns(const std::string& value, int first, int count, OnnxGraph& onnx) {
  std::vector<int64_t> columns(static_cast<size_t>(count));
  std::iota(columns.begin(), columns.end(), first);
  const std::string index = onnx.Constant("columns", {count}, columns);
  return onnx.Apply("Gather", {value, index}, {{"axis", int64_t{2}}});
}

/// As many zeros as there are numbers.
std::string Zeros(const std::string& values, OnnxGraph& onnx) {
  return Product(values, onnx.Constant("zero", {}, Numbers{0}), onnx);
}

/// Standard deviations of normalised targets [members, n, no], of the networks' outputs:
/// s^2 = e^min + e^max / (1 + e^(max - raw)) (nets/losses.h).
std::string Deviations(const Ensemble& ensemble, const std::string& outputs, OnnxGraph& onnx) {
  const int no = ensemble.observation_dim();
  std::vector<float> max;
  std::vector<float> least;
  std::vector<float> range;
  for (int member = 0; member < ensemble.members(); ++member) {
    const LogVarianceBounds bounds = ensemble.bounds(member);
    for (int i = 0; i < no; ++i) {
      max.push_back(bounds.max[i]);
      range.push_back(std::exp(bounds.max[i]));
      least.push_back(std::exp(bounds.min[i]));
    }
  }
  const std::vector<int64_t> shape = {ensemble.members(), 1, no};
  const std::string raw = LastColumns(outputs, no, no, onnx);
  const std::string above = onnx.Apply("Sub", {raw, onnx.Constant("log_max", shape, max)});
  const std::string share = onnx.Apply("Sigmoid", {above});
  const std::string variance =
      Sum(onnx.Constant("variance_min", shape, least),
          Product(onnx.Constant("variance_max", shape, range), share, onnx), onnx);
  return onnx.Cast(onnx.Apply("Sqrt", {variance}), OnnxType::kDouble);
}

/// Constant ones of the same sizes.
std::string ConstantDeviations(const Ensemble& ensemble, const std::string& y, OnnxGraph& onnx) {
  const auto no = static_cast<size_t>(ensemble.observation_dim());
  std::vector<float> floats(no);
  Numbers deviations;  // of every member
  for (int member = 0; member < ensemble.members(); ++member) {
    ensemble.ConstantDeviations(member, floats);
    deviations.insert(deviations.end(), floats.begin(), floats.end());
  }
  const std::vector<int64_t> shape = {ensemble.members(), 1, ensemble.observation_dim()};
  return Sum(Zeros(y, onnx), onnx.Constant("deviation", shape, deviations), onnx);
}

/// What the next observation is beside the networks' share: kept o + dt rate, or what is known of
/// it, keep o + gain u + offset. [n, no]
std::string Base(const FeatureMap& features, const std::string& observation,
                 const std::string& action, OnnxGraph& onnx) {
  const int64_t no = features.observation_dim();
  Numbers keep(features.kept().begin(), features.kept().end());
  Numbers gain(keep.size());
  Numbers offset(keep.size());
  std::vector<int64_t> acting(keep.size());  // the action of every component
  for (const KnownMotion& motion : features.known()) {
    const auto i = static_cast<size_t>(motion.component);
    keep[i] = motion.keep;
    offset[i] = motion.offset;
    if (motion.action < 0) continue;
    acting[i] = motion.action;
    gain[i] = motion.gain;
  }
  std::string base = Product(observation, onnx.Constant("keep", {no}, keep), onnx);
  if (!features.integrated().empty()) {
    Numbers dt(keep.size());
    std::vector<int64_t> rates(keep.size());  // of every component
    for (const auto [component, rate] : features.integrated()) {
      dt[static_cast<size_t>(component)] = features.dt();
      rates[static_cast<size_t>(component)] = rate;
    }
    const std::string way =
        Product(onnx.Columns(observation, rates), onnx.Constant("dt", {no}, dt), onnx);
    base = Sum(base, way, onnx);
  }
  if (!features.known().empty()) {
    const std::string acted =
        Product(onnx.Columns(action, acting), onnx.Constant("gain", {no}, gain), onnx);
    base = Sum(Sum(base, acted, onnx), onnx.Constant("offset", {no}, offset), onnx);
  }
  return base;
}

/// Means and deviations of all members, [members, n, no] each.
struct MemberValues {
  std::string mean, deviation;
};

MemberValues AppendMembers(const Ensemble& ensemble, const std::string& observation,
                           const std::string& action, OnnxGraph& onnx) {
  const FeatureMap& features = ensemble.features();
  const int no = ensemble.observation_dim();
  const std::string input =
      AppendInputs(features, ensemble.input_normaliser(), observation, action, onnx);
  std::vector<std::span<const float>> parameters;
  for (int member = 0; member < ensemble.members(); ++member) {
    parameters.push_back(ensemble.parameters(member));
  }
  const std::string outputs = AppendMlps(ensemble.mlp(), parameters, input, onnx);
  // o' = base + mean + scale y; networks say nothing of what is known
  Numbers mean = ensemble.target_normaliser().mean;
  Numbers scale = ensemble.target_normaliser().scale;
  const std::string deviation_scale = onnx.Constant("target_scale", {no}, scale);
  for (const KnownMotion& motion : features.known()) {
    mean[static_cast<size_t>(motion.component)] = 0;
    scale[static_cast<size_t>(motion.component)] = 0;
  }
  const std::string y = onnx.Cast(LastColumns(outputs, 0, no, onnx), OnnxType::kDouble);
  const std::string change = Sum(Product(y, onnx.Constant("learned_scale", {no}, scale), onnx),
                                 onnx.Constant("learned_mean", {no}, mean), onnx);
  const std::string means = Sum(Base(features, observation, action, onnx), change, onnx);
  const std::string spread = ensemble.predicts_noise()       ? Deviations(ensemble, outputs, onnx)
                             : ensemble.has_constant_noise() ? ConstantDeviations(ensemble, y, onnx)
                                                             : Zeros(y, onnx);
  return {means, Product(spread, deviation_scale, onnx)};
}

}  // namespace

std::string AppendInputs(const FeatureMap& features, const Normaliser& normaliser,
                         const std::string& observation, const std::string& action,
                         OnnxGraph& onnx) {
  // Everything that may enter side by side, (observation, sines, cosines, action, expressions),
  // of which columns are chosen in the order of the inputs.
  std::vector<int64_t> angles;
  for (int i = 0; i < features.observation_dim(); ++i) {
    if (features.entry(i) == FeatureMap::Entry::kSinCos) angles.push_back(i);
  }
  const int64_t no = features.observation_dim();
  const int64_t turned = no + std::ssize(angles);  // where cosines begin
  std::vector<int64_t> order;
  int64_t angle = 0;
  for (int i = 0; i < features.observation_dim(); ++i) {
    if (features.entry(i) == FeatureMap::Entry::kValue) order.push_back(i);
    if (features.entry(i) != FeatureMap::Entry::kSinCos) continue;
    order.push_back(no + angle);
    order.push_back(turned + angle++);
  }
  for (int64_t column = turned + angle; std::ssize(order) < features.inputs(); ++column) {
    order.push_back(column);
  }
  std::vector<std::string> parts = {observation};
  if (!angles.empty()) {
    const std::string turns = onnx.Columns(observation, angles);
    parts.push_back(onnx.Apply("Sin", {turns}));
    parts.push_back(onnx.Apply("Cos", {turns}));
  }
  if (features.action_dim() > 0) parts.push_back(action);
  if (const InputExpressions* expressions = features.expressions()) {
    parts.push_back(
        AppendExpressions(expressions->graph(), expressions->nodes(), observation, action, onnx));
  }
  const std::string all = onnx.Apply("Concat", parts, {{"axis", int64_t{1}}});
  const std::vector<int64_t> shape = {features.inputs()};
  const std::string centred = onnx.Apply(
      "Sub", {onnx.Columns(all, order), onnx.Constant("input_mean", shape, normaliser.mean)});
  const std::string scaled =
      onnx.Apply("Div", {centred, onnx.Constant("input_scale", shape, normaliser.scale)});
  return onnx.Cast(scaled, OnnxType::kFloat);
}

OnnxGraph EnsembleGraph(const Ensemble& ensemble) {
  const int64_t no = ensemble.observation_dim();
  const int64_t members = ensemble.members();
  OnnxGraph onnx("ensemble");
  const std::string observation =
      onnx.Input("observation", OnnxType::kDouble, {kRows, no}, "before the step");
  const std::string action =
      onnx.Input("action", OnnxType::kDouble, {kRows, ensemble.action_dim()}, "of the step");
  const auto [means, deviations] = AppendMembers(ensemble, observation, action, onnx);
  // mu = mean_k mu_k, Var = mean_k s_k^2 + mean_k (mu_k - mu)^2 over members k
  const std::string mean = OverMembers(means, onnx);
  const std::string away = onnx.Apply("Sub", {means, mean});
  const std::string variance = Sum(OverMembers(Product(deviations, deviations, onnx), onnx),
                                   OverMembers(Product(away, away, onnx), onnx), onnx);
  onnx.Output(mean, "mean", OnnxType::kDouble, {kRows, no},
              "of the next observation, of all members together");
  onnx.Output(onnx.Apply("Sqrt", {variance}), "standard_deviation", OnnxType::kDouble, {kRows, no},
              "the same");
  onnx.Output(means, "member_means", OnnxType::kDouble, {members, kRows, no}, "of every member");
  onnx.Output(deviations, "member_standard_deviations", OnnxType::kDouble, {members, kRows, no},
              "of every member");
  return onnx;
}

}  // namespace foreplan
