// Inputs of a model that a task file gives as expressions; docs/your_task.md explains them.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "foreplan/expressions/expression_definitions.h"
#include "foreplan/expressions/expression_graph.h"
#include "foreplan/expressions/expression_program.h"
#include "foreplan/expressions/expression_tape.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// Numbers computed from an observation and an action. Const and shared between threads; evaluating
/// them allocates nothing.
class InputExpressions {
 public:
  /// Of at least one text; each gives one number or several. `unobserved`: what else of the system
  /// has a name, which therefore must not be taken for that of an action. Throws InputError that
  /// points into a text.
  InputExpressions(const EnvironmentSpec& spec, const ExpressionDefinitions& definitions,
                   const std::vector<ExpressionText>& texts,
                   std::span<const Component> unobserved = {});

  static constexpr int kMaxCount = 4096;
  [[nodiscard]] int count() const { return program_.count(); }
  [[nodiscard]] const ExpressionGraph& graph() const { return graph_; }
  [[nodiscard]] const std::vector<int>& nodes() const { return nodes_; }  // of the values: [count]
  /// observation: [rows x no], action: [rows x nu], values: [rows x count].
  void Evaluate(int rows, const double* observation, const double* action, double* values) const;
  /// Exact derivatives of every value by (observation, action, next observation), the last 0:
  /// [count x (2 no + nu)].
  void Jacobian(const double* observation, const double* action, double* jacobian) const;
  [[nodiscard]] int variables() const { return 2 * sizes_.observation + sizes_.action; }
  /// Throws InputError that points to the operation whose result is not finite; `when` says where
  /// the observation is from.
  void CheckFinite(const double* observation, const double* action, std::string_view when) const;
  /// The same where episodes start. `system` is in another state afterwards.
  void CheckAtReset(System& system) const;

 private:
  struct Compiled {
    EnvironmentSpec spec;
    ExpressionGraph graph;
    std::vector<int> nodes;  // [count]
  };

  explicit InputExpressions(Compiled compiled);
  static Compiled Compile(const EnvironmentSpec& spec, const ExpressionDefinitions& definitions,
                          const std::vector<ExpressionText>& texts,
                          std::span<const Component> unobserved);

  EnvironmentSpec spec_;
  ExpressionGraph graph_;
  std::vector<int> nodes_;  // [count]
  TransitionSizes sizes_;
  ExpressionProgram program_;
  std::vector<ExpressionTape> tapes_;  // [count]
};

}  // namespace foreplan
