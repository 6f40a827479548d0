// Operations on values of expressions, and what is said where they do not fit.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/expressions/expression_graph.h"
#include "foreplan/expressions/expression_syntax.h"

namespace foreplan {

/// Numbers or conditions, one node each.
struct ExpressionValue {
  bool is_condition = false;
  std::vector<int> nodes;
  int width = 1;  // nodes that an index counts as one
};

/// Puts operations into a graph. Each remembers the place in the text at which the builder stood;
/// errors are InputErrors that show the place of the syntax.
class ExpressionBuilder {
 public:
  [[nodiscard]] const ExpressionGraph& graph() const { return graph_; }
  [[nodiscard]] ExpressionGraph::Place place() const { return place_; }
  void MoveTo(ExpressionGraph::Place place) { place_ = place; }
  void MoveTo(size_t position) { place_.position = position; }
  void MoveTo(const ExpressionText& source) { place_ = {graph_.AddSource(source), 0}; }

  int Constant(double value) { return graph_.Constant(value); }
  /// Components from `first` on.
  ExpressionValue Inputs(ExpressionOp op, size_t first, size_t count);
  int Apply(ExpressionOp op, int a, int b = -1, int c = -1) {
    return graph_.Apply(op, place_, a, b, c);
  }
  /// Of each.
  ExpressionValue Map(ExpressionOp op, const ExpressionValue& a);
  /// Of each pair; one of the two may be a single number.
  ExpressionValue Map(ExpressionOp op, const ExpressionValue& a, const ExpressionValue& b);
  /// Of all of them, from the first to the last.
  int Reduce(ExpressionOp op, const std::vector<int>& nodes);
  int Power(int base, int exponent);

  void ExpectNumbers(const ExpressionValue& value, const Syntax& syntax) const;
  void ExpectConditions(const ExpressionValue& value, const Syntax& syntax) const;
  /// The nodes of `value`, repeated to `size`; throws InputError when they cannot be.
  [[nodiscard]] std::vector<int> Spread(const ExpressionValue& value, size_t size,
                                        const Syntax& syntax) const;
  [[nodiscard]] InputError Error(const Syntax& syntax, std::string_view message) const;
  [[nodiscard]] InputError UnknownNameAt(const Syntax& name, std::string_view what,
                                         const std::vector<std::string>& known) const;

 private:
  ExpressionGraph graph_;
  ExpressionGraph::Place place_;  // of the operation that is built
};

}  // namespace foreplan
