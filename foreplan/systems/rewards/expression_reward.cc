#include "foreplan/systems/rewards/expression_reward.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "foreplan/expressions/expression_compiler.h"
#include "foreplan/expressions/expression_fault.h"

namespace foreplan {
namespace {

std::vector<double> Zero(int size) { return std::vector<double>(static_cast<size_t>(size)); }

}  // namespace

ExpressionReward::Compiled ExpressionReward::Compile(
    const EnvironmentSpec& spec, const ExpressionDefinitions& definitions,
    const ExpressionText& reward, const std::optional<ExpressionText>& termination,
    std::span<const Component> unobserved) {
  ExpressionCompiler compiler({spec.observation, spec.action, unobserved}, definitions);
  const int number = compiler.Number(reward);
  const int condition = termination ? compiler.Condition(*termination) : -1;
  return {{spec.observation_dim(), spec.action_dim()}, compiler.graph(), number, condition};
}

ExpressionReward::ExpressionReward(Compiled compiled)
    : sizes_(compiled.sizes),
      graph_(std::move(compiled.graph)),
      program_(graph_, {compiled.number}, compiled.condition, sizes_),
      tape_(graph_, compiled.number, sizes_) {}

ExpressionReward::ExpressionReward(const EnvironmentSpec& spec,
                                   const ExpressionDefinitions& definitions,
                                   const ExpressionText& reward,
                                   const std::optional<ExpressionText>& termination,
                                   std::span<const Component> unobserved)
    : ExpressionReward(Compile(spec, definitions, reward, termination, unobserved)) {}

ExpressionReward::ExpressionReward(const EnvironmentSpec& spec,
                                   const ExpressionDefinitions& definitions,
                                   const ExpressionText& reward,
                                   std::shared_ptr<const Reward> terminations,
                                   std::span<const Component> unobserved)
    : ExpressionReward(Compile(spec, definitions, reward, std::nullopt, unobserved)) {
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
  const EnvironmentSpec& spec = system.spec();
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

std::string ExpressionReward::WhyNotFinite(const EnvironmentSpec& spec,
                                           const TransitionBatch& transition) const {
  const std::optional<ExpressionFault> fault =
      FindFault(graph_, tape_, {spec.observation, spec.action}, transition);
  if (!fault) return "";
  return fault->inputs.empty() ? fault->found : fault->found + ", at " + fault->inputs;
}

void ExpressionReward::CheckFinite(const EnvironmentSpec& spec,
                                   const TransitionBatch& transition) const {
  ThrowIfNotFinite(graph_, tape_, {spec.observation, spec.action}, transition,
                   "at the start of an episode", "a finite reward");
}

std::string DescribeNotFinite(const Reward& reward, const EnvironmentSpec& spec,
                              const TransitionBatch& transition) {
  double value = 0;
  uint8_t terminated = 0;
  reward.Evaluate(transition, &value, &terminated);
  if (std::isfinite(value)) return "";
  // Without the sign that a NaN may have.
  const std::string is = fmt::format("is {}", std::isnan(value) ? std::abs(value) : value);
  const auto* expression = dynamic_cast<const ExpressionReward*>(&reward);
  const std::string why = expression == nullptr ? "" : expression->WhyNotFinite(spec, transition);
  return why.empty() ? is : is + ": " + why;
}

}  // namespace foreplan
