#include "foreplan/expressions/expression_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

namespace foreplan {
namespace {

using Op = ExpressionOp;

// Order of operands does not matter.
bool IsCommutative(Op op) {
  return op == Op::kAdd || op == Op::kMultiply || op == Op::kEqual || op == Op::kAnd ||
         op == Op::kOr;
}

}  // namespace

int OperandCount(Op op) {
  if (op < Op::kNegate) return 0;
  if (op < Op::kAdd) return 1;
  return op < Op::kSelect ? 2 : 3;
}

double ApplyOperation(Op op, double a, double b, double c) {
  switch (op) {
    case Op::kConstant:
    case Op::kPrevious:
    case Op::kAction:
    case Op::kNext:
      break;
    case Op::kNegate:
      return -a;
    case Op::kAbs:
      return std::abs(a);
    case Op::kSign:
      return a > 0 ? 1 : a < 0 ? -1 : a;
    case Op::kSqrt:
      return std::sqrt(a);
    case Op::kExp:
      return std::exp(a);
    case Op::kLog:
      return std::log(a);
    case Op::kSin:
      return std::sin(a);
    case Op::kCos:
      return std::cos(a);
    case Op::kTan:
      return std::tan(a);
    case Op::kAsin:
      return std::asin(a);
    case Op::kAcos:
      return std::acos(a);
    case Op::kTanh:
      return std::tanh(a);
    case Op::kIsFinite:
      return std::isfinite(a) ? 1 : 0;
    case Op::kNot:
      return a != 0 ? 0 : 1;
    case Op::kAdd:
      return a + b;
    case Op::kSubtract:
      return a - b;
    case Op::kMultiply:
      return a * b;
    case Op::kDivide:
      return a / b;
    case Op::kPower:
      return std::pow(a, b);
    case Op::kAtan2:
      return std::atan2(a, b);
    case Op::kMin:
      return b < a ? b : a;
    case Op::kMax:
      return a < b ? b : a;
    case Op::kLess:
      return a < b ? 1 : 0;
    case Op::kLessEqual:
      return a <= b ? 1 : 0;
    case Op::kEqual:
      return a == b ? 1 : 0;
    case Op::kAnd:
      return a != 0 && b != 0 ? 1 : 0;
    case Op::kOr:
      return a != 0 || b != 0 ? 1 : 0;
    case Op::kSelect:
      return a != 0 ? b : c;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

int ExpressionGraph::AddSource(const ExpressionText& source) {
  sources_.push_back(source);
  return static_cast<int>(sources_.size()) - 1;
}

int ExpressionGraph::Constant(double value) {
  ExpressionNode node;
  node.constant = value;
  return Find(node);
}

int ExpressionGraph::Input(Op op, int index, Place place) {
  ExpressionNode node;
  node.op = op;
  node.index = index;
  node.source = place.source;
  node.position = place.position;
  return Find(node);
}

int ExpressionGraph::Apply(Op op, Place place, int a, int b, int c) {
  constexpr int kMaxNodes = 100'000;
  if (size() > kMaxNodes) {
    throw source(place.source)
        .Error(place.position,
               fmt::format("found more than {} operations up to here, expected fewer", kMaxNodes));
  }
  if (const int same = Simplified(op, a, b, c); same >= 0) return same;
  const auto is_constant = [&](int operand) { return operand < 0 || IsConstant(operand); };
  if (is_constant(a) && is_constant(b) && is_constant(c)) {
    const auto value = [&](int operand) { return operand < 0 ? 0.0 : (*this)[operand].constant; };
    const double result = ApplyOperation(op, value(a), value(b), value(c));
    const bool from_finite =
        std::isfinite(value(a)) && std::isfinite(value(b)) && std::isfinite(value(c));
    if (std::isnan(result) || (from_finite && !std::isfinite(result))) {
      throw source(place.source)
          .Error(place.position,
                 fmt::format("found {}, expected a finite number", Fault(op, value(a), value(b))));
    }
    return Constant(result);
  }
  if (IsCommutative(op) && b < a) std::swap(a, b);
  ExpressionNode node;
  node.op = op;
  node.operands = {a, b, c};
  node.source = place.source;
  node.position = place.position;
  return Find(node);
}

int ExpressionGraph::Simplified(Op op, int a, int b, int c) const {
  const auto is = [&](int node, double value) {
    return node >= 0 && IsConstant(node) && (*this)[node].constant == value;
  };
  switch (op) {
    case Op::kMultiply:
      if (is(a, 1)) return b;
      return is(b, 1) ? a : -1;
    case Op::kDivide:
      return is(b, 1) ? a : -1;
    case Op::kNegate:
    case Op::kNot:
      return (*this)[a].op == op ? (*this)[a].operands[0] : -1;
    case Op::kAnd:
      if (is(a, 0) || is(b, 1)) return a;
      return is(b, 0) || is(a, 1) ? b : -1;
    case Op::kOr:
      if (is(a, 1) || is(b, 0)) return a;
      return is(b, 1) || is(a, 0) ? b : -1;
    case Op::kSelect:
      if (b == c || is(a, 1)) return b;
      return is(a, 0) ? c : -1;
    default:
      return -1;
  }
}

int ExpressionGraph::Find(const ExpressionNode& node) {
  const Key key{node.op, node.operands, std::bit_cast<uint64_t>(node.constant), node.index};
  const auto [found, inserted] = known_.try_emplace(key, size());
  if (inserted) nodes_.push_back(node);
  return found->second;
}

std::vector<int> ExpressionGraph::InOrder(const std::vector<int>& outputs) const {
  std::vector<int> order;
  std::vector<uint8_t> entered(nodes_.size());
  // (node, operand to visit next)
  std::vector<std::pair<int, size_t>> path;
  for (const int output : outputs) {
    path.emplace_back(output, 0);
    while (!path.empty()) {
      const int node = path.back().first;
      const size_t next = path.back().second++;
      if (next == 0) {
        if (entered[static_cast<size_t>(node)] != 0) {
          path.pop_back();
          continue;
        }
        entered[static_cast<size_t>(node)] = 1;
      }
      if (next < static_cast<size_t>(OperandCount((*this)[node].op))) {
        path.emplace_back((*this)[node].operands[next], 0);
      } else {
        order.push_back(node);
        path.pop_back();
      }
    }
  }
  return order;
}

std::string ExpressionGraph::Fault(Op op, double a, double b) {
  switch (op) {
    case Op::kDivide:
      if (b == 0) return "a division by zero";
      break;
    case Op::kSqrt:
      if (a < 0) return fmt::format("the square root of {}", a);
      break;
    case Op::kLog:
      if (a <= 0) return fmt::format("the logarithm of {}", a);
      break;
    case Op::kAsin:
    case Op::kAcos:
      return fmt::format("the arc {} of {}", op == Op::kAsin ? "sine" : "cosine", a);
    case Op::kPower:
      return a == 0 ? "a division by zero" : fmt::format("{} to the power of {}", a, b);
    default:
      break;
  }
  return "a number that is not finite";
}

}  // namespace foreplan
