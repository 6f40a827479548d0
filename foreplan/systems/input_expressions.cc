#include "foreplan/systems/input_expressions.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/expressions/expression_compiler.h"
#include "foreplan/expressions/expression_fault.h"

namespace foreplan {
InputExpressions::Compiled InputExpressions::Compile(const EnvironmentSpec& spec,
                                                     const ExpressionDefinitions& definitions,
                                                     const std::vector<ExpressionText>& texts,
                                                     std::span<const Component> unobserved) {
  Compiled compiled;
  compiled.spec = spec;
  ExpressionCompiler compiler({spec.observation, spec.action, unobserved}, definitions);
  for (const ExpressionText& text : texts) {
    const std::vector<int> nodes = compiler.NumbersBeforeStep(text);
    compiled.nodes.insert(compiled.nodes.end(), nodes.begin(), nodes.end());
  }
  compiled.graph = compiler.graph();
  if (std::ssize(compiled.nodes) > kMaxCount) {
    throw InputError(fmt::format("{}: found {} numbers, expected at most {}", texts.front().where,
                                 compiled.nodes.size(), kMaxCount));
  }
  return compiled;
}

InputExpressions::InputExpressions(Compiled compiled)
    : spec_(std::move(compiled.spec)),
      graph_(std::move(compiled.graph)),
      nodes_(std::move(compiled.nodes)),
      sizes_{spec_.observation_dim(), spec_.action_dim()},
      program_(graph_, nodes_, -1, sizes_) {
  for (const int node : nodes_) tapes_.emplace_back(graph_, node, sizes_);
}

InputExpressions::InputExpressions(const EnvironmentSpec& spec,
                                   const ExpressionDefinitions& definitions,
                                   const std::vector<ExpressionText>& texts,
                                   std::span<const Component> unobserved)
    : InputExpressions(Compile(spec, definitions, texts, unobserved)) {}

void InputExpressions::Evaluate(int rows, const double* observation, const double* action,
                                double* values) const {
  // No expression depends on the next observation.
  program_.Run({rows, observation, action, observation}, values, nullptr);
}

void InputExpressions::Jacobian(const double* observation, const double* action,
                                double* jacobian) const {
  for (const ExpressionTape& tape : tapes_) {
    tape.Gradient(observation, action, observation, jacobian);
    jacobian += variables();
  }
}

void InputExpressions::CheckFinite(const double* observation, const double* action,
                                   std::string_view when) const {
  for (const ExpressionTape& tape : tapes_) {
    ThrowIfNotFinite(graph_, tape, {spec_.observation, spec_.action},
                     {1, observation, action, observation}, when, "finite numbers");
  }
}

void InputExpressions::CheckAtReset(System& system) const {
  std::vector<double> observation(static_cast<size_t>(sizes_.observation));
  std::vector<double> action;
  for (size_t i = 0; i < spec_.action.size(); ++i) {
    action.push_back(std::clamp(0.0, spec_.action_low[i], spec_.action_high[i]));
  }
  system.Reset(Key{0, 0});
  system.Observe(observation);
  CheckFinite(observation.data(), action.data(), "at the start of an episode");
}

}  // namespace foreplan
