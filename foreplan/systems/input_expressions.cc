#include "foreplan/systems/input_expressions.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "foreplan/core/error.h"
#include "foreplan/systems/expression_compiler.h"

namespace foreplan {
namespace {

constexpr int kMaxVariables = 4096;  // of (observation, action, next observation)

}  // namespace

InputExpressions::InputExpressions(const SystemSpec& spec, const ExpressionDefinitions& definitions,
                                   const std::vector<ExpressionText>& texts)
    : sizes_{spec.observation_dim(), spec.action_dim()} {
  if (!texts.empty() && 2 * sizes_.observation + sizes_.action > kMaxVariables) {
    throw InputError(fmt::format("{}: found {} observation components, expected at most {}",
                                 texts.front().where, sizes_.observation,
                                 (kMaxVariables - sizes_.action) / 2));
  }
  ExpressionCompiler compiler(spec, definitions);
  for (const ExpressionText& text : texts) {
    for (const int node : compiler.NumbersBeforeStep(text)) {
      programs_.emplace_back(compiler.graph(), node, -1, sizes_);
      tapes_.emplace_back(compiler.graph(), node, sizes_);
      texts_.push_back(text);
    }
  }
}

void InputExpressions::Evaluate(int index, int rows, const double* observation,
                                const double* action, double* values) const {
  // No expression depends on the next observation.
  programs_[static_cast<size_t>(index)].Run({rows, observation, action, observation}, values,
                                            nullptr);
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
  for (int k = 0; k < count(); ++k) {
    double value = 0;
    Evaluate(k, 1, observation.data(), action.data(), &value);
    if (std::isfinite(value)) continue;
    throw texts_[static_cast<size_t>(k)].Error(
        0, fmt::format("found {} at the start of an episode, expected finite numbers", value));
  }
}

}  // namespace foreplan
