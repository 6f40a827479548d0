#include "foreplan/expressions/expression_functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <utility>

#include "foreplan/core/config_text.h"

namespace foreplan {
namespace {

using Op = ExpressionOp;
using Value = ExpressionValue;
using Values = std::vector<Value>;

/// How fast tolerance falls beyond its bounds, by name: its value at distance 0 is 1, at distance 1
/// `at_margin`.
enum class Sigmoid {
  kGaussian,
  kHyperbolic,
  kLongTail,
  kReciprocal,
  kCosine,
  kLinear,
  kQuadratic,
  kTanhSquared
};
const std::array<std::pair<std::string_view, Sigmoid>, 8> kSigmoids{
    {{"gaussian", Sigmoid::kGaussian},
     {"hyperbolic", Sigmoid::kHyperbolic},
     {"long_tail", Sigmoid::kLongTail},
     {"reciprocal", Sigmoid::kReciprocal},
     {"cosine", Sigmoid::kCosine},
     {"linear", Sigmoid::kLinear},
     {"quadratic", Sigmoid::kQuadratic},
     {"tanh_squared", Sigmoid::kTanhSquared}}};

// Those that reach 0 may be 0 at the margin.
bool ReachesZero(Sigmoid kind) {
  return kind == Sigmoid::kCosine || kind == Sigmoid::kLinear || kind == Sigmoid::kQuadratic;
}

// All numbers of all arguments, in order.
std::vector<int> Join(const Values& arguments) {
  std::vector<int> nodes;
  for (const Value& value : arguments) {
    nodes.insert(nodes.end(), value.nodes.begin(), value.nodes.end());
  }
  return nodes;
}

void ExpectNumbers(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) c.ExpectNumbers(arguments[i], call.children[i]);
}

double ExpectConstant(ExpressionBuilder& c, const Syntax& call, const Values& arguments, size_t i,
                      std::string_view expected, bool (*allowed)(double)) {
  const Value& value = arguments[i];
  if (value.nodes.size() == 1 && c.graph().IsConstant(value.nodes[0])) {
    const double constant = c.graph()[value.nodes[0]].constant;
    if (allowed(constant)) return constant;
    throw c.Error(call.children[i], fmt::format("found {}, expected {}", constant, expected));
  }
  throw c.Error(call.children[i],
                fmt::format("found a number that changes, expected {}", expected));
}

template <Op op>
Value OfEach(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  return c.Map(op, arguments[0]);
}

Value Square(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  return c.Map(Op::kMultiply, arguments[0], arguments[0]);
}

Value Atan(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  return c.Map(Op::kAtan2, arguments[0], {false, {c.Constant(1)}});
}

Value Atan2(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  const size_t size = std::max(arguments[0].nodes.size(), arguments[1].nodes.size());
  return c.Map(Op::kAtan2, {false, c.Spread(arguments[0], size, call.children[0])},
               {false, c.Spread(arguments[1], size, call.children[1])});
}

template <Op op>
Value OfAll(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  return {false, {c.Reduce(op, Join(arguments))}};
}

int SumOfSquares(ExpressionBuilder& c, const std::vector<int>& nodes) {
  std::vector<int> squares;
  for (const int node : nodes) squares.push_back(c.Apply(Op::kMultiply, node, node));
  return c.Reduce(Op::kAdd, squares);
}

Value Norm(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  return {false, {c.Apply(Op::kSqrt, SumOfSquares(c, Join(arguments)))}};
}

Value Quadratic(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  return {false, {c.Apply(Op::kMultiply, c.Constant(0.5), SumOfSquares(c, Join(arguments)))}};
}

Value Dot(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  const size_t size = std::max(arguments[0].nodes.size(), arguments[1].nodes.size());
  const Value products =
      c.Map(Op::kMultiply, {false, c.Spread(arguments[0], size, call.children[0])},
            {false, c.Spread(arguments[1], size, call.children[1])});
  return {false, {c.Reduce(Op::kAdd, products.nodes)}};
}

Value Cross(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  for (size_t i = 0; i < 2; ++i) {
    if (arguments[i].nodes.size() == 3) continue;
    throw c.Error(call.children[i], fmt::format("found {}, expected 3 for a cross product",
                                                Counted(arguments[i].nodes.size(), "number")));
  }
  const std::vector<int>& a = arguments[0].nodes;
  const std::vector<int>& b = arguments[1].nodes;
  Value result;
  for (size_t i = 0; i < 3; ++i) {
    const size_t j = (i + 1) % 3;
    const size_t k = (i + 2) % 3;
    result.nodes.push_back(c.Apply(Op::kSubtract, c.Apply(Op::kMultiply, a[j], b[k]),
                                   c.Apply(Op::kMultiply, a[k], b[j])));
  }
  return result;
}

// Argument `i`, which must be a single number.
int One(const ExpressionBuilder& c, const Syntax& call, const Values& arguments, size_t i) {
  return c.Spread(arguments[i], 1, call.children[i])[0];
}

// l1 sqrt(alpha + |d|^2) + l2 |d|^2 / 2
Value L1L2(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  constexpr double kAlpha = 1e-5;
  const int square = SumOfSquares(c, arguments[0].nodes);
  const int alpha = arguments.size() > 3 ? One(c, call, arguments, 3) : c.Constant(kAlpha);
  const int root = c.Apply(Op::kSqrt, c.Apply(Op::kAdd, square, alpha));
  const int first = c.Apply(Op::kMultiply, One(c, call, arguments, 1), root);
  const int half = c.Apply(Op::kMultiply, c.Constant(0.5), One(c, call, arguments, 2));
  return {false, {c.Apply(Op::kAdd, first, c.Apply(Op::kMultiply, half, square))}};
}

// sum_i sqrt(d_i^2 + p^2) - p
Value SmoothAbs(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  const int p = One(c, call, arguments, 1);
  std::vector<int> terms;
  for (const int node : arguments[0].nodes) {
    const int root = c.Apply(Op::kSqrt, SumOfSquares(c, {node, p}));
    terms.push_back(c.Apply(Op::kSubtract, root, p));
  }
  return {false, {c.Reduce(Op::kAdd, terms)}};
}

// Where both bounds are constants.
void ExpectOrder(ExpressionBuilder& c, const Syntax& call, int low, int high) {
  const ExpressionNode& below = c.graph()[low];
  const ExpressionNode& above = c.graph()[high];
  if (!c.graph().IsConstant(low) || !c.graph().IsConstant(high)) return;
  if (below.constant <= above.constant) return;
  throw c.Error(call.children[1], fmt::format("found the bounds {} and {}, expected low <= high",
                                              below.constant, above.constant));
}

Value Clip(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  Value result;
  const std::vector<int>& x = arguments[0].nodes;
  const std::vector<int> low = c.Spread(arguments[1], x.size(), call.children[1]);
  const std::vector<int> high = c.Spread(arguments[2], x.size(), call.children[2]);
  for (size_t i = 0; i < x.size(); ++i) {
    ExpectOrder(c, call, low[i], high[i]);
    result.nodes.push_back(c.Apply(Op::kMin, c.Apply(Op::kMax, x[i], low[i]), high[i]));
  }
  return result;
}

Value If(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  c.ExpectConditions(arguments[0], call.children[0]);
  c.ExpectNumbers(arguments[1], call.children[1]);
  c.ExpectNumbers(arguments[2], call.children[2]);
  size_t size = 0;
  for (const Value& value : arguments) size = std::max(size, value.nodes.size());
  std::array<std::vector<int>, 3> nodes;
  for (size_t k = 0; k < 3; ++k) nodes[k] = c.Spread(arguments[k], size, call.children[k]);
  Value result;
  for (size_t i = 0; i < size; ++i) {
    result.nodes.push_back(c.Apply(Op::kSelect, nodes[0][i], nodes[1][i], nodes[2][i]));
  }
  return result;
}

template <Op op>
Value OfConditions(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    c.ExpectConditions(arguments[i], call.children[i]);
  }
  return {true, {c.Reduce(op, Join(arguments))}};
}

Value IsFinite(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  return {true, {c.Reduce(Op::kAnd, c.Map(Op::kIsFinite, {false, Join(arguments)}).nodes)}};
}

// Value of the sigmoid at `distance` margins (Tassa et al. 2018, the rewards of the DeepMind
// Control Suite).
int SigmoidAt(ExpressionBuilder& c, Sigmoid kind, double at_margin, int distance) {
  const auto constant = [&](double value) { return c.Constant(value); };
  const auto scaled = [&](double scale) {
    return c.Apply(Op::kMultiply, distance, constant(scale));
  };
  const auto one_minus = [&](int node) { return c.Apply(Op::kSubtract, constant(1), node); };
  const auto square = [&](int node) { return c.Apply(Op::kMultiply, node, node); };
  const auto inverse = [&](int node) { return c.Apply(Op::kDivide, constant(1), node); };
  const auto until_one = [&](int x, int value) {
    const int inside = c.Apply(Op::kLess, c.Apply(Op::kAbs, x), constant(1));
    return c.Apply(Op::kSelect, inside, value, constant(0));
  };
  switch (kind) {
    case Sigmoid::kGaussian: {  // exp(-x^2 / 2)
      const int x = scaled(std::sqrt(-2 * std::log(at_margin)));
      return c.Apply(Op::kExp, c.Apply(Op::kMultiply, constant(-0.5), square(x)));
    }
    case Sigmoid::kHyperbolic: {  // 1 / cosh x = 2 / (e^x + e^-x)
      const int x = scaled(std::acosh(1 / at_margin));
      const int sum =
          c.Apply(Op::kAdd, c.Apply(Op::kExp, x), c.Apply(Op::kExp, c.Apply(Op::kNegate, x)));
      return c.Apply(Op::kDivide, constant(2), sum);
    }
    case Sigmoid::kLongTail:  // 1 / (x^2 + 1)
      return inverse(c.Apply(Op::kAdd, square(scaled(std::sqrt(1 / at_margin - 1))), constant(1)));
    case Sigmoid::kReciprocal:  // 1 / (|x| + 1)
      return inverse(c.Apply(Op::kAdd, c.Apply(Op::kAbs, scaled(1 / at_margin - 1)), constant(1)));
    case Sigmoid::kCosine: {  // (1 + cos(pi x)) / 2
      const int x = scaled(std::acos(2 * at_margin - 1) / std::numbers::pi);
      const int cosine = c.Apply(Op::kCos, c.Apply(Op::kMultiply, constant(std::numbers::pi), x));
      return until_one(
          x, c.Apply(Op::kMultiply, constant(0.5), c.Apply(Op::kAdd, cosine, constant(1))));
    }
    case Sigmoid::kLinear: {  // 1 - x
      const int x = scaled(1 - at_margin);
      return until_one(x, one_minus(x));
    }
    case Sigmoid::kQuadratic: {  // 1 - x^2
      const int x = scaled(std::sqrt(1 - at_margin));
      return until_one(x, one_minus(square(x)));
    }
    case Sigmoid::kTanhSquared:  // 1 - tanh(x)^2
      return one_minus(square(c.Apply(Op::kTanh, scaled(std::atanh(std::sqrt(1 - at_margin))))));
  }
  return distance;
}

Sigmoid KindOf(ExpressionBuilder& c, const Syntax& call) {
  if (call.children.size() < 5) return Sigmoid::kGaussian;
  const Syntax& word = call.children[4];
  std::vector<std::string> known;
  for (const auto& [name, kind] : kSigmoids) {
    if (word.text == name && word.kind == Syntax::Kind::kName) return kind;
    known.emplace_back(name);
  }
  throw c.UnknownNameAt(word, "kind of tolerance", known);
}

// 1 between the bounds; beyond them the sigmoid of the distance in margins.
Value Tolerance(ExpressionBuilder& c, const Syntax& call, const Values& arguments) {
  ExpectNumbers(c, call, arguments);
  const double margin = arguments.size() > 3
                            ? ExpectConstant(c, call, arguments, 3, "a margin of at least 0",
                                             [](double m) { return m >= 0 && std::isfinite(m); })
                            : 0.0;
  const Sigmoid kind = KindOf(c, call);
  double at_margin = 0.1;
  if (arguments.size() > 5) {
    at_margin = ReachesZero(kind) ? ExpectConstant(c, call, arguments, 5, "a value from 0 up to 1",
                                                   [](double v) { return v >= 0 && v < 1; })
                                  : ExpectConstant(c, call, arguments, 5, "a value between 0 and 1",
                                                   [](double v) { return v > 0 && v < 1; });
  }
  const std::vector<int>& x = arguments[0].nodes;
  const std::vector<int> low = c.Spread(arguments[1], x.size(), call.children[1]);
  const std::vector<int> high = c.Spread(arguments[2], x.size(), call.children[2]);
  Value result;
  for (size_t i = 0; i < x.size(); ++i) {
    ExpectOrder(c, call, low[i], high[i]);
    const int above = c.Apply(Op::kLessEqual, low[i], x[i]);
    const int inside = c.Apply(Op::kAnd, above, c.Apply(Op::kLessEqual, x[i], high[i]));
    int beyond = c.Constant(0);
    if (margin > 0) {
      const int distance = c.Apply(Op::kSelect, above, c.Apply(Op::kSubtract, x[i], high[i]),
                                   c.Apply(Op::kSubtract, low[i], x[i]));
      beyond = SigmoidAt(c, kind, at_margin, c.Apply(Op::kDivide, distance, c.Constant(margin)));
    }
    result.nodes.push_back(c.Apply(Op::kSelect, inside, c.Constant(1), beyond));
  }
  return result;
}

}  // namespace

std::span<const ExpressionFunction> ExpressionFunctions() {
  constexpr size_t kAny = std::numeric_limits<size_t>::max();
  static const std::array<ExpressionFunction, 29> kTable{{
      {"abs", 1, 1, "abs(x)", &OfEach<Op::kAbs>},
      {"acos", 1, 1, "acos(x)", &OfEach<Op::kAcos>},
      {"all", 1, kAny, "all(condition, ...)", &OfConditions<Op::kAnd>},
      {"any", 1, kAny, "any(condition, ...)", &OfConditions<Op::kOr>},
      {"asin", 1, 1, "asin(x)", &OfEach<Op::kAsin>},
      {"atan", 1, 1, "atan(x)", &Atan},
      {"atan2", 2, 2, "atan2(y, x)", &Atan2},
      {"clip", 3, 3, "clip(x, low, high)", &Clip},
      {"cos", 1, 1, "cos(x)", &OfEach<Op::kCos>},
      {"cross", 2, 2, "cross(a, b)", &Cross},
      {"dot", 2, 2, "dot(a, b)", &Dot},
      {"exp", 1, 1, "exp(x)", &OfEach<Op::kExp>},
      {"finite", 1, kAny, "finite(x, ...)", &IsFinite},
      {"if", 3, 3, "if(condition, x, y)", &If},
      {"l1l2", 3, 4, "l1l2(d, l1, l2) or l1l2(d, l1, l2, alpha)", &L1L2},
      {"log", 1, 1, "log(x)", &OfEach<Op::kLog>},
      {"max", 1, kAny, "max(x, ...)", &OfAll<Op::kMax>},
      {"min", 1, kAny, "min(x, ...)", &OfAll<Op::kMin>},
      {"norm", 1, kAny, "norm(x, ...)", &Norm},
      {"quadratic", 1, kAny, "quadratic(x, ...)", &Quadratic},
      {"sign", 1, 1, "sign(x)", &OfEach<Op::kSign>},
      {"sin", 1, 1, "sin(x)", &OfEach<Op::kSin>},
      {"smooth_abs", 2, 2, "smooth_abs(d, p)", &SmoothAbs},
      {"sqrt", 1, 1, "sqrt(x)", &OfEach<Op::kSqrt>},
      {"square", 1, 1, "square(x)", &Square},
      {"sum", 1, kAny, "sum(x, ...)", &OfAll<Op::kAdd>},
      {"tan", 1, 1, "tan(x)", &OfEach<Op::kTan>},
      {"tanh", 1, 1, "tanh(x)", &OfEach<Op::kTanh>},
      {"tolerance", 3, 6,
       "tolerance(x, low, high), (..., margin), (..., kind) or (..., value_at_margin)", &Tolerance},
  }};
  return kTable;
}

}  // namespace foreplan
