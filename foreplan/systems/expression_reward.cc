#include "foreplan/systems/expression_reward.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/systems/expression_compiler.h"

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

std::vector<double> Zero(int size) { return std::vector<double>(static_cast<size_t>(size)); }

}  // namespace

ExpressionReward::Compiled ExpressionReward::Compile(
    const SystemSpec& spec, const ExpressionDefinitions& definitions, const ExpressionText& reward,
    const std::optional<ExpressionText>& termination) {
  ExpressionCompiler compiler(spec, definitions);
  const int number = compiler.Number(reward);
  const int condition = termination ? compiler.Condition(*termination) : -1;
  return {{spec.observation_dim(), spec.action_dim()}, compiler.graph(), number, condition};
}

ExpressionReward::ExpressionReward(Compiled compiled)
    : sizes_(compiled.sizes),
      graph_(std::move(compiled.graph)),
      program_(graph_, {compiled.number}, compiled.condition, sizes_),
      tape_(graph_, compiled.number, sizes_) {}

ExpressionReward::ExpressionReward(const SystemSpec& spec, const ExpressionDefinitions& definitions,
                                   const ExpressionText& reward,
                                   const std::optional<ExpressionText>& termination)
    : ExpressionReward(Compile(spec, definitions, reward, termination)) {}

ExpressionReward::ExpressionReward(const SystemSpec& spec, const ExpressionDefinitions& definitions,
                                   const ExpressionText& reward,
                                   std::shared_ptr<const Reward> terminations)
    : ExpressionReward(Compile(spec, definitions, reward, std::nullopt)) {
  terminations_ = std::move(terminations);
}

void ExpressionReward::Evaluate(const TransitionBatch& batch, double* reward,
                                uint8_t* terminated) const {
  // The other's rewards are overwritten, its terminations stay.
  if (terminations_ != nullptr) terminations_->Evaluate(batch, reward, terminated);
  program_.Run(batch, reward, terminations_ == nullptr ? terminated : nullptr);
}

void ExpressionReward::Gradient(const TransitionBatch& batch, double* gradient) const {
  const int no = sizes_.observation;
  const int nu = sizes_.action;
  for (int row = 0; row < batch.rows; ++row) {
    tape_.Gradient(batch.observation + row * no, batch.action + row * nu,
                   batch.next_observation + row * no, gradient + row * (2 * no + nu));
  }
}

double ExpressionReward::Expand(const double* observation, const double* action,
                                const double* next_observation, double* gradient,
                                double* hessian) const {
  return tape_.Expand(observation, action, next_observation, gradient, hessian);
}

void ExpressionReward::CheckAtReset(System& system) const {
  const SystemSpec& spec = system.spec();
  std::vector<double> observation = Zero(sizes_.observation);
  std::vector<double> next = Zero(sizes_.observation);
  std::vector<double> action = Zero(sizes_.action);
  for (size_t i = 0; i < action.size(); ++i) {
    action[i] = std::clamp(0.0, spec.action_low[i], spec.action_high[i]);
  }
  system.Reset(Key{0, 0});
  system.Observe(observation);
  CheckFinite(spec, {1, observation.data(), action.data(), observation.data()});
  if (system.Step(action) != StepStatus::kOk) return;
  system.Observe(next);
  CheckFinite(spec, {1, observation.data(), action.data(), next.data()});
}

void ExpressionReward::CheckFinite(const SystemSpec& spec,
                                   const TransitionBatch& transition) const {
  const ExpressionTape::Culprit culprit =
      tape_.FindCulprit(transition.observation, transition.action, transition.next_observation);
  if (culprit.node < 0) return;
  constexpr size_t kShown = 4;
  std::vector<std::string> inputs;
  for (size_t i = 0; i < std::min(kShown, culprit.inputs.size()); ++i) {
    inputs.push_back(DescribeInput(spec, transition, culprit.inputs[i]));
  }
  if (culprit.inputs.size() > kShown) inputs.emplace_back("...");
  const ExpressionNode& node = graph_[culprit.node];
  throw graph_.source(node.source)
      .Error(node.position,
             fmt::format("found {} at the start of an episode{}{}, expected a finite reward",
                         ExpressionGraph::Fault(node.op, culprit.a, culprit.b),
                         inputs.empty() ? "" : ", at ", fmt::join(inputs, ", ")));
}

}  // namespace foreplan
