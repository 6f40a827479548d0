// An expression as a list of plain operations, with derivatives.
#pragma once

#include <array>
#include <vector>

#include "foreplan/expressions/expression_graph.h"
#include "foreplan/expressions/expression_program.h"

namespace foreplan {

/// Const and shared between threads; allocates nothing. Derivatives are exact: tangents go forward
/// in one direction after the other, and adjoints of values and tangents back, which gives a row of
/// the Hessian each (Griewank & Walther 2008, section 5.5). A branch is differentiated along the
/// side that is taken.
class ExpressionTape {
 public:
  static constexpr int kMaxSteps = 4096;

  /// Throws InputError for more than kMaxSteps operations.
  ExpressionTape(const ExpressionGraph& graph, int output, TransitionSizes sizes);

  /// The value, with input(i) in the place of component i of the next observation; where nothing
  /// else is read and the sizes are 0.
  template <typename Input>
  [[nodiscard]] double ValueOf(const Input& input) const {
    std::array<double, kMaxSteps> values;
    for (const auto& [step, variable] : inputs_)
      values[static_cast<size_t>(step)] = input(variable);
    Compute(values.data());
    return values[steps_.size() - 1];
  }
  /// As Reward::Gradient, of one row.
  void Gradient(const double* observation, const double* action, const double* next_observation,
                double* gradient) const;
  /// As Reward::Expand.
  double Expand(const double* observation, const double* action, const double* next_observation,
                double* gradient, double* hessian) const;

  /// The operation on finite numbers from which a value that is not finite comes.
  struct Culprit {
    int node = -1;  // of the graph; -1: the value is finite
    double a = 0;   // what it was applied to
    double b = 0;
    std::vector<int> inputs;  // it depends on, of (observation, action, next observation)
  };
  [[nodiscard]] Culprit FindCulprit(const double* observation, const double* action,
                                    const double* next_observation) const;

 private:
  struct Step {
    ExpressionOp op = ExpressionOp::kConstant;
    std::array<int, 3> operands{-1, -1, -1};  // steps
    double constant = 0;
    int node = 0;  // of the graph
  };
  struct Input {
    int step = 0;
    int variable = 0;  // of (observation, action, next observation)
  };

  void ComputeValues(const double* observation, const double* action,
                     const double* next_observation, double* values) const;
  /// From the inputs' values.
  void Compute(double* values) const;
  void ComputeTangents(const double* values, int seed, double* tangents) const;
  void ComputeAdjoints(const double* values, const double* tangents, double* adjoints,
                       double* adjoint_tangents) const;

  TransitionSizes sizes_;
  std::vector<Step> steps_;  // the last one is the output
  std::vector<Input> inputs_;
};

}  // namespace foreplan
