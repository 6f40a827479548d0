// An expression ready to run, over four components and two actions, for tests.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "foreplan/core/testing/message_of.h"
#include "foreplan/expressions/expression_compiler.h"
#include "foreplan/expressions/expression_fault.h"
#include "foreplan/expressions/expression_program.h"
#include "foreplan/expressions/expression_tape.h"

namespace foreplan {

inline const std::vector<Component> kObservation{
    {"x", "m"}, {"y", "m"}, {"hinge", "rad"}, {"left hip", "rad"}};
inline const std::vector<Component> kAction{{"push", "N"}, {"hinge", "N m"}};
inline const ExpressionScope kScope{kObservation, kAction};

inline ExpressionDefinitions Definitions() {
  return {{{"length", "t: constants.length", {0.6}}, {"goal", "t: constants.goal", {1.0, 2.0}}},
          {{"distance", {"t: quantities.distance", "norm(reach)"}},
           {"reach", {"t: quantities.reach", "[x, y] - goal"}},
           {"far", {"t: quantities.far", "distance > 2"}}}};
}

/// A number and a condition, ready to run.
class Compiled {
 public:
  Compiled(const ExpressionDefinitions& definitions, const std::string& number,
           const std::string& condition)
      : Compiled(ExpressionCompiler(kScope, definitions), number, condition) {}

  void Evaluate(const TransitionBatch& batch, double* value, uint8_t* holds) const {
    program_.Run(batch, value, holds);
  }
  double Expand(const double* observation, const double* action, const double* next,
                double* gradient, double* hessian) const {
    return tape_.Expand(observation, action, next, gradient, hessian);
  }
  [[nodiscard]] std::optional<ExpressionFault> Fault(const TransitionBatch& transition) const {
    return FindFault(graph_, tape_, kScope, transition);
  }

 private:
  static constexpr TransitionSizes kSizes{4, 2};

  Compiled(ExpressionCompiler compiler, const std::string& number, const std::string& condition)
      : number_(compiler.Number({"t: reward", number})),
        condition_(condition.empty() ? -1 : compiler.Condition({"t: termination", condition})),
        graph_(compiler.graph()),
        program_(graph_, {number_}, condition_, kSizes),
        tape_(graph_, number_, kSizes) {}

  int number_;
  int condition_;
  ExpressionGraph graph_;
  ExpressionProgram program_;
  ExpressionTape tape_;
};

inline Compiled Compile(const std::string& number, const std::string& condition = "") {
  return {Definitions(), number, condition};
}

struct ExampleTransition {
  std::vector<double> observation;
  std::vector<double> action;
  std::vector<double> next;
};

inline const ExampleTransition kTransition{
    {0.5, -1.5, 0.3, 0.2}, {0.25, -0.75}, {0.7, -1.2, 0.4, 0.1}};

inline std::string RewardError(const std::string& text) {
  return MessageOf([&] { Compile(text); });
}
inline std::string TerminationError(const std::string& text) {
  return MessageOf([&] { Compile("0", text); });
}

}  // namespace foreplan
