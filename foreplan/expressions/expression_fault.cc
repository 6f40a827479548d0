#include "foreplan/expressions/expression_fault.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

// "previous.hinge = 0.5"; `variable` is an index into (observation, action, next observation).
std::string DescribeInput(const ExpressionScope& scope, const TransitionBatch& transition,
                          int variable) {
  const auto text = [](std::string_view scope, const Component& component, double value) {
    return fmt::format("{}{} = {:.6g}", scope, component.name, value + 0.0);  // no -0
  };
  const int of_action = variable - static_cast<int>(scope.observation.size());
  const int of_next = of_action - static_cast<int>(scope.action.size());
  if (of_next >= 0) {
    return text("", scope.observation[static_cast<size_t>(of_next)],
                transition.next_observation[of_next]);
  }
  if (of_action >= 0) {
    return text("u.", scope.action[static_cast<size_t>(of_action)], transition.action[of_action]);
  }
  return text("previous.", scope.observation[static_cast<size_t>(variable)],
              transition.observation[variable]);
}

}  // namespace

std::optional<ExpressionFault> FindFault(const ExpressionGraph& graph, const ExpressionTape& tape,
                                         const ExpressionScope& scope,
                                         const TransitionBatch& transition) {
  const ExpressionTape::Culprit culprit =
      tape.FindCulprit(transition.observation, transition.action, transition.next_observation);
  if (culprit.node < 0) return std::nullopt;
  constexpr size_t kShown = 4;
  std::vector<std::string> inputs;
  for (size_t i = 0; i < std::min(kShown, culprit.inputs.size()); ++i) {
    inputs.push_back(DescribeInput(scope, transition, culprit.inputs[i]));
  }
  if (culprit.inputs.size() > kShown) inputs.emplace_back("...");
  return ExpressionFault{culprit.node,
                         ExpressionGraph::Fault(graph[culprit.node].op, culprit.a, culprit.b),
                         fmt::format("{}", fmt::join(inputs, ", "))};
}

void ThrowIfNotFinite(const ExpressionGraph& graph, const ExpressionTape& tape,
                      const ExpressionScope& scope, const TransitionBatch& transition,
                      std::string_view when, std::string_view expected) {
  const std::optional<ExpressionFault> fault = FindFault(graph, tape, scope, transition);
  if (!fault) return;
  const ExpressionNode& node = graph[fault->node];
  throw graph.source(node.source)
      .Error(node.position,
             fmt::format("found {} {}{}{}, expected {}", fault->found, when,
                         fault->inputs.empty() ? "" : ", at ", fault->inputs, expected));
}

}  // namespace foreplan
