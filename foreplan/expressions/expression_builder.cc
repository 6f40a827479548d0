#include "foreplan/expressions/expression_builder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "foreplan/core/config_text.h"

namespace foreplan {

using Op = ExpressionOp;

// Small whole powers are products, and 1/2 is a root.
int ExpressionBuilder::Power(int base, int exponent) {
  constexpr double kMaxProduct = 16;
  if (graph_.IsConstant(exponent) && !graph_.IsConstant(base)) {
    const double n = graph_[exponent].constant;
    if (n == 0.5) return Apply(Op::kSqrt, base);
    if (n == std::trunc(n) && n != 0 && std::abs(n) <= kMaxProduct) {
      int result = -1;
      int square = base;
      for (int rest = std::abs(static_cast<int>(n)); rest > 0; rest /= 2) {
        if (rest % 2 == 1) result = result < 0 ? square : Apply(Op::kMultiply, result, square);
        if (rest > 1) square = Apply(Op::kMultiply, square, square);
      }
      return n > 0 ? result : Apply(Op::kDivide, Constant(1), result);
    }
  }
  return Apply(Op::kPower, base, exponent);
}

ExpressionValue ExpressionBuilder::Inputs(Op op, size_t first, size_t count) {
  ExpressionValue value;
  for (size_t i = first; i < first + count; ++i) {
    value.nodes.push_back(graph_.Input(op, static_cast<int>(i), place_));
  }
  return value;
}

ExpressionValue ExpressionBuilder::Map(Op op, const ExpressionValue& a) {
  ExpressionValue value{a.is_condition, {}};
  for (const int node : a.nodes) value.nodes.push_back(Apply(op, node));
  return value;
}

// One of them may be a single number.
ExpressionValue ExpressionBuilder::Map(Op op, const ExpressionValue& a, const ExpressionValue& b) {
  ExpressionValue value;
  for (size_t i = 0; i < std::max(a.nodes.size(), b.nodes.size()); ++i) {
    value.nodes.push_back(
        Apply(op, a.nodes[a.nodes.size() == 1 ? 0 : i], b.nodes[b.nodes.size() == 1 ? 0 : i]));
  }
  return value;
}

int ExpressionBuilder::Reduce(Op op, const std::vector<int>& nodes) {
  int result = nodes[0];
  for (size_t i = 1; i < nodes.size(); ++i) result = Apply(op, result, nodes[i]);
  return result;
}

void ExpressionBuilder::ExpectNumbers(const ExpressionValue& value, const Syntax& syntax) const {
  if (value.is_condition) {
    throw Error(syntax, "found a condition, expected a number, as if(condition, 1, 0) is one");
  }
}

void ExpressionBuilder::ExpectConditions(const ExpressionValue& value, const Syntax& syntax) const {
  if (!value.is_condition) {
    throw Error(syntax, "found a number, expected a condition, as in abs(x) > 0.2");
  }
}

std::vector<int> ExpressionBuilder::Spread(const ExpressionValue& value, size_t size,
                                           const Syntax& syntax) const {
  if (value.nodes.size() == size) return value.nodes;
  if (value.nodes.size() != 1) {
    throw Error(syntax, fmt::format("found {}, expected {}", Counted(value.nodes.size(), "number"),
                                    size == 1 ? "one" : fmt::format("one or {}", size)));
  }
  std::vector<int> nodes(size, value.nodes[0]);
  return nodes;
}

InputError ExpressionBuilder::Error(const Syntax& syntax, std::string_view message) const {
  return graph_.source(place_.source).Error(syntax.position, message);
}

InputError ExpressionBuilder::UnknownNameAt(const Syntax& name, std::string_view what,
                                            const std::vector<std::string>& known) const {
  constexpr size_t kShown = 40;
  const std::string nearest = NearestName(name.text, known);
  const std::vector<std::string> shown(
      known.begin(), known.begin() + static_cast<std::ptrdiff_t>(std::min(kShown, known.size())));
  const std::string rest =
      known.size() > kShown ? fmt::format(" and {} more", known.size() - kShown) : "";
  return Error(name, fmt::format("unknown {} '{}'{}; known: {}{}", what, name.text,
                                 nearest.empty() ? "" : " (did you mean '" + nearest + "'?)",
                                 fmt::join(shown, ", "), rest));
}

}  // namespace foreplan
