// Expressions as a graph of operations on single numbers, each of which is there only once.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "foreplan/expressions/expression_syntax.h"

namespace foreplan {

/// A condition is 1 where it holds, else 0.
enum class ExpressionOp : uint8_t {
  kConstant,
  kPrevious,  // observation before the step, by index
  kAction,
  kNext,  // observation after the step
  // of one number
  kNegate,
  kAbs,
  kSign,
  kSqrt,
  kExp,
  kLog,
  kSin,
  kCos,
  kTan,
  kAsin,
  kAcos,
  kTanh,
  kIsFinite,  // a condition
  kNot,       // of a condition
  // of two
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kPower,
  kAtan2,
  kMin,
  kMax,
  kLess,       // conditions
  kLessEqual,  // ...
  kEqual,
  kAnd,  // of conditions
  kOr,
  // of three
  kSelect,  // the second where the first, a condition, holds, else the third
};

/// How many operands it has.
int OperandCount(ExpressionOp op);
/// Its value for one number each; what it lacks is ignored.
double ApplyOperation(ExpressionOp op, double a, double b, double c);

struct ExpressionNode {
  ExpressionOp op = ExpressionOp::kConstant;
  std::array<int, 3> operands{-1, -1, -1};
  double constant = 0;
  int index = 0;        // of an input
  int source = 0;       // the text it comes from first,
  size_t position = 0;  // and where in it
};

class ExpressionGraph {
 public:
  /// Nodes made from here on come from this text.
  int AddSource(const ExpressionText& source);
  [[nodiscard]] const ExpressionText& source(int index) const {
    return sources_[static_cast<size_t>(index)];
  }

  struct Place {
    int source = 0;
    size_t position = 0;
  };

  // All return the node, which is an older one where that is the same. What is constant is computed
  // at once; throws InputError at the place when it is not finite though its operands are, and when
  // the graph gets too large.
  int Constant(double value);
  int Input(ExpressionOp op, int index, Place place);
  int Apply(ExpressionOp op, Place place, int a, int b = -1, int c = -1);

  [[nodiscard]] const ExpressionNode& operator[](int node) const {
    return nodes_[static_cast<size_t>(node)];
  }
  [[nodiscard]] int size() const { return static_cast<int>(nodes_.size()); }
  [[nodiscard]] bool IsConstant(int node) const {
    return (*this)[node].op == ExpressionOp::kConstant;
  }

  /// Nodes that the outputs depend on, operands before their users and near them.
  [[nodiscard]] std::vector<int> InOrder(const std::vector<int>& outputs) const;

  /// What is not finite about an operation of finite numbers: "a division by zero", ...
  [[nodiscard]] static std::string Fault(ExpressionOp op, double a, double b);

 private:
  struct Key {
    ExpressionOp op;
    std::array<int, 3> operands;
    uint64_t constant;
    int index;
    auto operator<=>(const Key&) const = default;
  };

  int Find(const ExpressionNode& node);
  /// The same number without the operation, or -1.
  [[nodiscard]] int Simplified(ExpressionOp op, int a, int b, int c) const;

  std::vector<ExpressionText> sources_;
  std::vector<ExpressionNode> nodes_;
  std::map<Key, int> known_;
};

}  // namespace foreplan
