#include "foreplan/expressions/onnx_expressions.h"

#include <map>
#include <numbers>

namespace foreplan {
namespace {

using Op = ExpressionOp;

/// The operation of ONNX that does the same; null where it takes several.
const char* SameOperation(Op op) {
  switch (op) {
    case Op::kNegate:
      return "Neg";
    case Op::kAbs:
      return "Abs";
    case Op::kSign:
      return "Sign";
    case Op::kSqrt:
      return "Sqrt";
    case Op::kExp:
      return "Exp";
    case Op::kLog:
      return "Log";
    case Op::kSin:
      return "Sin";
    case Op::kCos:
      return "Cos";
    case Op::kTanh:
      return "Tanh";
    case Op::kNot:
      return "Not";
    case Op::kAdd:
      return "Add";
    case Op::kSubtract:
      return "Sub";
    case Op::kMultiply:
      return "Mul";
    case Op::kDivide:
      return "Div";
    case Op::kPower:
      return "Pow";
    case Op::kMin:
      return "Min";
    case Op::kMax:
      return "Max";
    case Op::kLess:
      return "Less";
    case Op::kLessEqual:
      return "LessOrEqual";
    case Op::kEqual:
      return "Equal";
    case Op::kAnd:
      return "And";
    case Op::kOr:
      return "Or";
    case Op::kSelect:
      return "Where";
    default:
      return nullptr;
  }
}

bool GivesCondition(Op op) {
  return op == Op::kIsFinite || op == Op::kNot || (op >= Op::kLess && op <= Op::kOr);
}

/// Of the operand at that place.
bool TakesCondition(Op op, size_t place) {
  return op == Op::kNot || op == Op::kAnd || op == Op::kOr || (op == Op::kSelect && place == 0);
}

/// Columns [n, 1] of doubles, or of booleans for conditions.
class Translation {
 public:
  Translation(const ExpressionGraph& expressions, const std::string& observation,
              const std::string& action, OnnxGraph& onnx)
      : expressions_(expressions), observation_(observation), action_(action), onnx_(onnx) {}

  std::string Outputs(const std::vector<int>& outputs) {
    for (const int node : expressions_.InOrder(outputs)) values_[node] = Value(expressions_[node]);
    std::vector<std::string> columns;
    // A constant has one row, the output as many as the observation.
    const std::string shape = onnx_.Apply("Shape", {onnx_.Columns(observation_, {0})});
    for (const int node : outputs) {
      columns.push_back(onnx_.Apply("Expand", {Operand(node, false), shape}));
    }
    return onnx_.Apply("Concat", columns, {{"axis", int64_t{1}}});
  }

 private:
  std::string Number(double value) {
    return onnx_.Constant("number", {1, 1}, std::vector<double>{value});
  }

  /// The node as a condition or a number, as its user needs it.
  std::string Operand(int node, bool as_condition) {
    const bool is_condition = GivesCondition(expressions_[node].op);
    const std::string& value = values_.at(node);
    if (is_condition == as_condition) return value;
    return onnx_.Cast(value, as_condition ? OnnxType::kBool : OnnxType::kDouble);
  }

  std::string Value(const ExpressionNode& node) {
    if (node.op == Op::kConstant) return Number(node.constant);
    if (node.op == Op::kPrevious) return onnx_.Columns(observation_, {node.index});
    if (node.op == Op::kAction) return onnx_.Columns(action_, {node.index});
    std::vector<std::string> operands;
    for (size_t i = 0; i < static_cast<size_t>(OperandCount(node.op)); ++i) {
      operands.push_back(Operand(node.operands[i], TakesCondition(node.op, i)));
    }
    if (const char* same = SameOperation(node.op)) return onnx_.Apply(same, operands);
    return Composed(node.op, operands);
  }

  std::string Composed(Op op, const std::vector<std::string>& operands) {
    const std::string& x = operands[0];
    switch (op) {
      case Op::kTan:
        return onnx_.Apply("Div", {onnx_.Apply("Sin", {x}), onnx_.Apply("Cos", {x})});
      case Op::kAsin:
        return Atan2(x, OtherLeg(x));
      case Op::kAcos:
        return Atan2(OtherLeg(x), x);
      case Op::kAtan2:
        return Atan2(x, operands[1]);
      default:  // kIsFinite; the next observation does not enter models
        return onnx_.Apply(
            "Not", {onnx_.Apply("Or", {onnx_.Apply("IsNaN", {x}), onnx_.Apply("IsInf", {x})})});
    }
  }

  /// sqrt((1 - x)(1 + x))
  std::string OtherLeg(const std::string& x) {
    const std::string one = Number(1);
    const std::string product =
        onnx_.Apply("Mul", {onnx_.Apply("Sub", {one, x}), onnx_.Apply("Add", {one, x})});
    return onnx_.Apply("Sqrt", {product});
  }

  /// Runtimes have the arc tangent of floats only. With an angle a that is right to 1e-7, what is
  /// left, atan2(y cos a - x sin a, x cos a + y sin a), is its argument to 1e-21.
  std::string Atan2(const std::string& y, const std::string& x) {
    const auto apply = [this](const char* operation, const std::string& p, const std::string& q) {
      return onnx_.Apply(operation, {p, q});
    };
    const std::string zero = Number(0);
    const std::string ratio = onnx_.Cast(apply("Div", y, x), OnnxType::kFloat);
    const std::string half = onnx_.Cast(onnx_.Apply("Atan", {ratio}), OnnxType::kDouble);
    const std::string below = apply("Less", y, zero);
    const std::string turn =
        onnx_.Apply("Where", {below, Number(-std::numbers::pi), Number(std::numbers::pi)});
    const std::string behind = apply("Less", x, zero);
    const std::string a = onnx_.Apply("Where", {behind, apply("Add", half, turn), half});
    const std::string sine = onnx_.Apply("Sin", {a});
    const std::string cosine = onnx_.Apply("Cos", {a});
    const std::string across = apply("Sub", apply("Mul", y, cosine), apply("Mul", x, sine));
    const std::string along = apply("Add", apply("Mul", x, cosine), apply("Mul", y, sine));
    const std::string angle = apply("Add", a, apply("Div", across, along));
    const std::string is_origin = apply("And", apply("Equal", x, zero), apply("Equal", y, zero));
    return onnx_.Apply("Where", {is_origin, zero, angle});
  }

  const ExpressionGraph& expressions_;
  const std::string& observation_;
  const std::string& action_;
  OnnxGraph& onnx_;
  std::map<int, std::string> values_;  // by node
};

}  // namespace

std::string AppendExpressions(const ExpressionGraph& expressions, const std::vector<int>& outputs,
                              const std::string& observation, const std::string& action,
                              OnnxGraph& onnx) {
  return Translation(expressions, observation, action, onnx).Outputs(outputs);
}

}  // namespace foreplan
