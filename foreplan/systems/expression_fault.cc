#include "foreplan/systems/expression_fault.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

// "previous.hinge = 0.5"; `variable` is an index into (observation, action, next observation).
std::string DescribeInput(const SystemSpec& spec, const TransitionBatch& transition, int variable) {
  const auto text = [](std::string_view scope, const Component& component, double value) {
    return fmt::format("{}{} = {:.6g}", scope, component.name, value + 0.0);  // no -0
  };
  const int of_action = variable - spec.observation_dim();
  const int of_next = of_action - spec.action_dim();
  if (of_next >= 0) {
    return text("", spec.observation[static_cast<size_t>(of_next)],
                transition.next_observation[of_next]);
  }
  if (of_action >= 0) {
    return text("u.", spec.action[static_cast<size_t>(of_action)], transition.action[of_action]);
  }
  return text("previous.", spec.observation[static_cast<size_t>(variable)],
              transition.observation[variable]);
}

}  // namespace

std::optional<ExpressionFault> FindFault(const ExpressionGraph& graph, const ExpressionTape& tape,
                                         const SystemSpec& spec,
                                         const TransitionBatch& transition) {
  const ExpressionTape::Culprit culprit =
      tape.FindCulprit(transition.observation, transition.action, transition.next_observation);
  if (culprit.node < 0) return std::nullopt;
  constexpr size_t kShown = 4;
  std::vector<std::string> inputs;
  for (size_t i = 0; i < std::min(kShown, culprit.inputs.size()); ++i) {
    inputs.push_back(DescribeInput(spec, transition, culprit.inputs[i]));
  }
  if (culprit.inputs.size() > kShown) inputs.emplace_back("...");
  return ExpressionFault{culprit.node,
                         ExpressionGraph::Fault(graph[culprit.node].op, culprit.a, culprit.b),
                         fmt::format("{}", fmt::join(inputs, ", "))};
}

void ThrowIfNotFinite(const ExpressionGraph& graph, const ExpressionTape& tape,
                      const SystemSpec& spec, const TransitionBatch& transition,
                      std::string_view when, std::string_view expected) {
  const std::optional<ExpressionFault> fault = FindFault(graph, tape, spec, transition);
  if (!fault) return;
  const ExpressionNode& node = graph[fault->node];
  throw graph.source(node.source)
      .Error(node.position,
             fmt::format("found {} {}{}{}, expected {}", fault->found, when,
                         fault->inputs.empty() ? "" : ", at ", fault->inputs, expected));
}

}  // namespace foreplan
