#include "foreplan/systems/input_expressions.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/systems/expression_compiler.h"

namespace foreplan {
namespace {

constexpr int kMaxVariables = 4096;  // of (observation, action, next observation)

}  // namespace

InputExpressions::Compiled InputExpressions::Compile(const SystemSpec& spec,
                                                     const ExpressionDefinitions& definitions,
                                                     const std::vector<ExpressionText>& texts) {
  Compiled compiled;
  compiled.sizes = {spec.observation_dim(), spec.action_dim()};
  ExpressionCompiler compiler(spec, definitions);
  for (const ExpressionText& text : texts) {
    const std::vector<int> nodes = compiler.NumbersBeforeStep(text);
    compiled.nodes.insert(compiled.nodes.end(), nodes.begin(), nodes.end());
    compiled.texts.insert(compiled.texts.end(), nodes.size(), text);
  }
  compiled.graph = compiler.graph();
  const int variables = 2 * compiled.sizes.observation + compiled.sizes.action;
  if (variables > kMaxVariables || std::ssize(compiled.nodes) > kMaxCount) {
    throw InputError(fmt::format("{}: found {} numbers of {} components, expected at most {} of {}",
                                 texts.front().where, compiled.nodes.size(), variables, kMaxCount,
                                 kMaxVariables));
  }
  return compiled;
}

InputExpressions::InputExpressions(Compiled compiled)
    : sizes_(compiled.sizes),
      texts_(std::move(compiled.texts)),
      program_(compiled.graph, compiled.nodes, -1, sizes_) {
  for (const int node : compiled.nodes) tapes_.emplace_back(compiled.graph, node, sizes_);
}

InputExpressions::InputExpressions(const SystemSpec& spec, const ExpressionDefinitions& definitions,
                                   const std::vector<ExpressionText>& texts)
    : InputExpressions(Compile(spec, definitions, texts)) {}

void InputExpressions::Evaluate(int rows, const double* observation, const double* action,
                                double* values) const {
  // No expression depends on the next observation.
  program_.Run({rows, observation, action, observation}, values, nullptr);
}

void InputExpressions::PullBack(const double* observation, const double* action,
                                const double* by_value, double* by_observation,
                                double* by_action) const {
  std::array<double, kMaxVariables> gradient;
  for (size_t k = 0; k < tapes_.size(); ++k) {
    if (by_value[k] == 0) continue;
    tapes_[k].Gradient(observation, action, observation, gradient.data());
    for (int i = 0; i < sizes_.observation; ++i) {
      by_observation[i] += by_value[k] * gradient[static_cast<size_t>(i)];
    }
    for (int i = 0; i < sizes_.action; ++i) {
      by_action[i] += by_value[k] * gradient[static_cast<size_t>(sizes_.observation + i)];
    }
  }
}

void InputExpressions::CheckAtReset(System& system) const {
  const std::vector<double> action(static_cast<size_t>(sizes_.action));
  std::vector<double> observation(static_cast<size_t>(sizes_.observation));
  system.Reset(Key{0, 0});
  system.Observe(observation);
  std::vector<double> values(texts_.size());
  Evaluate(1, observation.data(), action.data(), values.data());
  for (size_t k = 0; k < values.size(); ++k) {
    if (std::isfinite(values[k])) continue;
    throw texts_[k].Error(0, fmt::format("found {} at the start of an episode, expected finite "
                                         "numbers",
                                         values[k]));
  }
}

}  // namespace foreplan
