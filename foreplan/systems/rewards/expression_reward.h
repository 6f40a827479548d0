// Rewards and terminations that a task file gives as expressions; docs/your_task.md explains them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foreplan/expressions/expression_definitions.h"
#include "foreplan/expressions/expression_graph.h"
#include "foreplan/expressions/expression_program.h"
#include "foreplan/expressions/expression_tape.h"
#include "foreplan/systems/rewards/reward.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// A compiled expression.
class ExpressionReward final : public Reward {
 public:
  /// Without a termination it never ends an episode. `unobserved`: what else of the system has a
  /// name, which therefore must not be taken for that of an action. Throws InputError that points
  /// into a text.
  ExpressionReward(const EnvironmentSpec& spec, const ExpressionDefinitions& definitions,
                   const ExpressionText& reward, const std::optional<ExpressionText>& termination,
                   std::span<const Component> unobserved = {});
  /// Ends episodes where `terminations` does.
  ExpressionReward(const EnvironmentSpec& spec, const ExpressionDefinitions& definitions,
                   const ExpressionText& reward, std::shared_ptr<const Reward> terminations,
                   std::span<const Component> unobserved = {});

  [[nodiscard]] std::optional<TransitionSizes> sizes() const override { return sizes_; }
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override;
  void Gradient(const TransitionBatch& batch, double* gradient) const override;
  double Expand(const double* observation, const double* action, const double* next_observation,
                double* gradient, double* hessian) const override;

  /// Throws InputError that names the operation when the reward is not finite where a system of
  /// `spec` starts: at rest in the state after a reset, or in its first step without action.
  /// `system` is in another state afterwards.
  void CheckAtReset(System& system) const;

  /// Why the reward of a transition (one row) is not finite, e.g. "a division by zero, at hinge =
  /// 0"; "" where it is.
  [[nodiscard]] std::string WhyNotFinite(const EnvironmentSpec& spec,
                                         const TransitionBatch& transition) const;

 private:
  struct Compiled {
    TransitionSizes sizes;
    ExpressionGraph graph;
    int number = 0;      // node
    int condition = -1;  // node
  };

  explicit ExpressionReward(Compiled compiled);
  static Compiled Compile(const EnvironmentSpec& spec, const ExpressionDefinitions& definitions,
                          const ExpressionText& reward,
                          const std::optional<ExpressionText>& termination,
                          std::span<const Component> unobserved);
  void CheckFinite(const EnvironmentSpec& spec, const TransitionBatch& transition) const;

  TransitionSizes sizes_;
  ExpressionGraph graph_;
  ExpressionProgram program_;
  ExpressionTape tape_;
  std::shared_ptr<const Reward> terminations_;  // or null
};

/// "is nan", or of an expression "is nan: a division by zero, at hinge = 0"; "" where the reward of
/// the transition (one row) is finite.
std::string DescribeNotFinite(const Reward& reward, const EnvironmentSpec& spec,
                              const TransitionBatch& transition);

}  // namespace foreplan
