#include "foreplan/expressions/expression_compiler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

namespace foreplan {

using Op = ExpressionOp;

namespace {

template <typename Named>
int PlaceOf(std::span<const Named> all, const std::string& name) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Named& one) { return one.name == name; });
  return found == all.end() ? -1 : static_cast<int>(found - all.begin());
}

std::string Count(size_t count, std::string_view of) {
  return fmt::format("{} {}{}", count, of, count == 1 ? "" : "s");
}

const std::array<std::pair<std::string_view, Op>, 10> kBinaryOps{{{"+", Op::kAdd},
                                                                  {"-", Op::kSubtract},
                                                                  {"*", Op::kMultiply},
                                                                  {"/", Op::kDivide},
                                                                  {"^", Op::kPower},
                                                                  {"<", Op::kLess},
                                                                  {"<=", Op::kLessEqual},
                                                                  {"==", Op::kEqual},
                                                                  {"and", Op::kAnd},
                                                                  {"or", Op::kOr}}};

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

}  // namespace

// --- functions ---------------------------------------------------------------------------------

/// Everything that can be called; `form` shows how.
struct ExpressionCompiler::Function {
  std::string_view name;
  size_t fewest;
  size_t most;
  std::string_view form;
  Value (*make)(ExpressionCompiler& c, const Syntax& call, const std::vector<Value>& arguments);
};

struct ExpressionFunctions {
  using Compiler = ExpressionCompiler;
  using Value = Compiler::Value;
  using Values = std::vector<Value>;

  // All numbers of all arguments, in order.
  static std::vector<int> Join(const Values& arguments) {
    std::vector<int> nodes;
    for (const Value& value : arguments) {
      nodes.insert(nodes.end(), value.nodes.begin(), value.nodes.end());
    }
    return nodes;
  }
  static void ExpectNumbers(Compiler& c, const Syntax& call, const Values& arguments) {
    for (size_t i = 0; i < arguments.size(); ++i) c.ExpectNumbers(arguments[i], call.children[i]);
  }
  static double ExpectConstant(Compiler& c, const Syntax& call, const Values& arguments, size_t i,
                               std::string_view expected, bool (*allowed)(double)) {
    const Value& value = arguments[i];
    if (value.nodes.size() == 1 && c.graph_.IsConstant(value.nodes[0])) {
      const double constant = c.graph_[value.nodes[0]].constant;
      if (allowed(constant)) return constant;
      throw c.Error(call.children[i], fmt::format("found {}, expected {}", constant, expected));
    }
    throw c.Error(call.children[i],
                  fmt::format("found a number that changes, expected {}", expected));
  }

  template <Op op>
  static Value OfEach(Compiler& c, const Syntax& call, const Values& arguments) {
    ExpectNumbers(c, call, arguments);
    return c.Map(op, arguments[0]);
  }
  static Value Square(Compiler& c, const Syntax& call, const Values& arguments) {
    ExpectNumbers(c, call, arguments);
    return c.Map(Op::kMultiply, arguments[0], arguments[0]);
  }
  static Value Atan(Compiler& c, const Syntax& call, const Values& arguments) {
    ExpectNumbers(c, call, arguments);
    return c.Map(Op::kAtan2, arguments[0], {false, {c.Constant(1)}});
  }
  static Value Atan2(Compiler& c, const Syntax& call, const Values& arguments) {
    ExpectNumbers(c, call, arguments);
    const size_t size = std::max(arguments[0].nodes.size(), arguments[1].nodes.size());
    return c.Map(Op::kAtan2, {false, c.Spread(arguments[0], size, call.children[0])},
                 {false, c.Spread(arguments[1], size, call.children[1])});
  }
  template <Op op>
  static Value OfAll(Compiler& c, const Syntax& call, const Values& arguments) {
    ExpectNumbers(c, call, arguments);
    return {false, {c.Reduce(op, Join(arguments))}};
  }
  static int SumOfSquares(Compiler& c, const std::vector<int>& nodes) {
    std::vector<int> squares;
    for (const int node : nodes) squares.push_back(c.Apply(Op::kMultiply, node, node));
    return c.Reduce(Op::kAdd, squares);
  }
  static Value Norm(Compiler& c, const Syntax& call, const Values& arguments) {
    ExpectNumbers(c, call, arguments);
    return {false, {c.Apply(Op::kSqrt, SumOfSquares(c, Join(arguments)))}};
  }
  static Value Quadratic(Compiler& c, const Syntax& call, const Values& arguments) {
    ExpectNumbers(c, call, arguments);
    return {false, {c.Apply(Op::kMultiply, c.Constant(0.5), SumOfSquares(c, Join(arguments)))}};
  }
  static Value Dot(Compiler& c, const Syntax& call, const Values& arguments) {
    ExpectNumbers(c, call, arguments);
    const size_t size = std::max(arguments[0].nodes.size(), arguments[1].nodes.size());
    const Value products =
        c.Map(Op::kMultiply, {false, c.Spread(arguments[0], size, call.children[0])},
              {false, c.Spread(arguments[1], size, call.children[1])});
    return {false, {c.Reduce(Op::kAdd, products.nodes)}};
  }
  static Value Cross(Compiler& c, const Syntax& call, const Values& arguments) {
    ExpectNumbers(c, call, arguments);
    for (size_t i = 0; i < 2; ++i) {
      if (arguments[i].nodes.size() == 3) continue;
      throw c.Error(call.children[i], fmt::format("found {}, expected 3 for a cross product",
                                                  Count(arguments[i].nodes.size(), "number")));
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
  static int One(const Compiler& c, const Syntax& call, const Values& arguments, size_t i) {
    return c.Spread(arguments[i], 1, call.children[i])[0];
  }
  // l1 sqrt(alpha + |d|^2) + l2 |d|^2 / 2
  static Value L1L2(Compiler& c, const Syntax& call, const Values& arguments) {
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
  static Value SmoothAbs(Compiler& c, const Syntax& call, const Values& arguments) {
    ExpectNumbers(c, call, arguments);
    const int p = One(c, call, arguments, 1);
    std::vector<int> terms;
    for (const int node : arguments[0].nodes) {
      const int root = c.Apply(Op::kSqrt, SumOfSquares(c, {node, p}));
      terms.push_back(c.Apply(Op::kSubtract, root, p));
    }
    return {false, {c.Reduce(Op::kAdd, terms)}};
  }
  static Value Clip(Compiler& c, const Syntax& call, const Values& arguments) {
    ExpectNumbers(c, call, arguments);
    Value result;
    const std::vector<int>& x = arguments[0].nodes;
    const std::vector<int> low = c.Spread(arguments[1], x.size(), call.children[1]);
    const std::vector<int> high = c.Spread(arguments[2], x.size(), call.children[2]);
    for (size_t i = 0; i < x.size(); ++i) {
      result.nodes.push_back(c.Apply(Op::kMin, c.Apply(Op::kMax, x[i], low[i]), high[i]));
    }
    return result;
  }
  static Value If(Compiler& c, const Syntax& call, const Values& arguments) {
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
  static Value OfConditions(Compiler& c, const Syntax& call, const Values& arguments) {
    for (size_t i = 0; i < arguments.size(); ++i) {
      c.ExpectConditions(arguments[i], call.children[i]);
    }
    return {true, {c.Reduce(op, Join(arguments))}};
  }
  static Value IsFinite(Compiler& c, const Syntax& call, const Values& arguments) {
    ExpectNumbers(c, call, arguments);
    return {true, {c.Reduce(Op::kAnd, c.Map(Op::kIsFinite, {false, Join(arguments)}).nodes)}};
  }

  // Value of the sigmoid at `distance` margins (Tassa et al. 2018, the rewards of the DeepMind
  // Control Suite).
  static int SigmoidAt(Compiler& c, Sigmoid kind, double at_margin, int distance) {
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
        return inverse(
            c.Apply(Op::kAdd, square(scaled(std::sqrt(1 / at_margin - 1))), constant(1)));
      case Sigmoid::kReciprocal:  // 1 / (|x| + 1)
        return inverse(
            c.Apply(Op::kAdd, c.Apply(Op::kAbs, scaled(1 / at_margin - 1)), constant(1)));
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

  static Sigmoid KindOf(Compiler& c, const Syntax& call) {
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
  static Value Tolerance(Compiler& c, const Syntax& call, const Values& arguments) {
    ExpectNumbers(c, call, arguments);
    const double margin = arguments.size() > 3
                              ? ExpectConstant(c, call, arguments, 3, "a margin of at least 0",
                                               [](double m) { return m >= 0 && std::isfinite(m); })
                              : 0.0;
    const Sigmoid kind = KindOf(c, call);
    double at_margin = 0.1;
    if (arguments.size() > 5) {
      at_margin = ReachesZero(kind)
                      ? ExpectConstant(c, call, arguments, 5, "a value from 0 up to 1",
                                       [](double v) { return v >= 0 && v < 1; })
                      : ExpectConstant(c, call, arguments, 5, "a value between 0 and 1",
                                       [](double v) { return v > 0 && v < 1; });
    }
    const std::vector<int>& x = arguments[0].nodes;
    const std::vector<int> low = c.Spread(arguments[1], x.size(), call.children[1]);
    const std::vector<int> high = c.Spread(arguments[2], x.size(), call.children[2]);
    Value result;
    for (size_t i = 0; i < x.size(); ++i) {
      if (c.graph_.IsConstant(low[i]) && c.graph_.IsConstant(high[i]) &&
          !(c.graph_[low[i]].constant <= c.graph_[high[i]].constant)) {
        throw c.Error(call.children[1],
                      fmt::format("found the bounds {} and {}, expected low <= "
                                  "high",
                                  c.graph_[low[i]].constant, c.graph_[high[i]].constant));
      }
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

  static std::span<const Compiler::Function> Table() {
    constexpr size_t kAny = std::numeric_limits<size_t>::max();
    static const std::array<Compiler::Function, 29> kTable{{
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
         "tolerance(x, low, high), (..., margin), (..., kind) or (..., value_at_margin)",
         &Tolerance},
    }};
    return kTable;
  }
};

// --- expressions ---------------------------------------------------------------------------------

ExpressionCompiler::ExpressionCompiler(const ExpressionScope& scope,
                                       const ExpressionDefinitions& definitions)
    : scope_(scope), constants_(definitions.constants), quantities_(definitions.quantities) {
  CheckNames();
  for (size_t i = 0; i < quantities_.size(); ++i) {
    (void)CompileQuantity(i, Time::kNext, Syntax{});
  }
}

int ExpressionCompiler::Number(const ExpressionText& source) {
  const Value value = CompileSource(source, Time::kNext);
  if (value.is_condition) {
    throw source.Error(0, "found a condition, expected a number, as if(condition, 1, 0) is one");
  }
  if (value.nodes.size() != 1) {
    throw source.Error(0, fmt::format("found {} numbers, expected one, as sum(...) or norm(...) "
                                      "of them",
                                      value.nodes.size()));
  }
  return value.nodes[0];
}

int ExpressionCompiler::Condition(const ExpressionText& source) {
  const Value value = CompileSource(source, Time::kNext);
  if (!value.is_condition) {
    throw source.Error(0, "found a number, expected a condition, as in abs(x) > 0.2");
  }
  if (value.nodes.size() != 1) {
    throw source.Error(0, fmt::format("found {} conditions, expected one, as any(...) or all(...) "
                                      "of them",
                                      value.nodes.size()));
  }
  return value.nodes[0];
}

std::vector<int> ExpressionCompiler::NumbersBeforeStep(const ExpressionText& source) {
  Value value = CompileSource(source, Time::kPrevious);
  if (value.is_condition) {
    throw source.Error(0, "found a condition, expected numbers, as if(condition, 1, 0) is one");
  }
  for (const int node : graph_.InOrder(value.nodes)) {
    if (graph_[node].op != Op::kNext) continue;
    throw source.Error(
        0, fmt::format("found the next observation ('{}'), expected what is known "
                       "before the step",
                       scope_.observation[static_cast<size_t>(graph_[node].index)].name));
  }
  return value.nodes;
}

std::vector<std::string> ExpressionCompiler::FunctionNames() {
  std::vector<std::string> names;
  for (const Function& function : ExpressionFunctions::Table()) names.emplace_back(function.name);
  return names;
}

// Every name has one meaning. Observation and action may share one, as MuJoCo's joints and motors
// do; an expression then says which it means.
void ExpressionCompiler::CheckNames() const {
  const auto check = [&](const std::string& name, const std::string& where) {
    if (!IsExpressionName(name)) {
      throw InputError(
          fmt::format("{}: found the name '{}', expected letters, digits and '_'", where, name));
    }
    if (IsReservedWord(name)) {
      throw InputError(
          fmt::format("{}: found the name '{}', which expressions have for "
                      "themselves, expected another",
                      where, name));
    }
    if (PlaceOf(scope_.observation, name) >= 0 || PlaceOf(scope_.action, name) >= 0) {
      throw InputError(
          fmt::format("{}: found the name of {} component, expected another", where,
                      PlaceOf(scope_.action, name) >= 0 ? "an action" : "an observation"));
    }
  };
  for (const NamedConstant& constant : constants_) check(constant.name, constant.where);
  for (const NamedQuantity& quantity : quantities_) {
    check(quantity.name, quantity.source.where);
    if (PlaceOf(constants_, quantity.name) >= 0) {
      throw InputError(
          fmt::format("{}: found the name of a constant, expected another", quantity.source.where));
    }
  }
}

ExpressionCompiler::Value ExpressionCompiler::CompileSource(const ExpressionText& source,
                                                            Time time) {
  const Syntax syntax = ParseExpression(source);
  const ExpressionGraph::Place outer = place_;
  const Time outer_time = time_;
  place_ = {graph_.AddSource(source), 0};
  time_ = time;
  Value value = Compile(syntax);
  place_ = outer;
  time_ = outer_time;
  return value;
}

ExpressionCompiler::Value ExpressionCompiler::Compile(const Syntax& syntax) {
  switch (syntax.kind) {
    case Syntax::Kind::kNumber:
      return {false, {Constant(syntax.number)}};
    case Syntax::Kind::kName:
      place_.position = syntax.position;
      return syntax.scope.empty() ? CompileName(syntax) : CompileScopedName(syntax);
    case Syntax::Kind::kCall:
      return CompileCall(syntax);
    case Syntax::Kind::kList:
      return CompileList(syntax);
    case Syntax::Kind::kIndex:
      return CompileIndex(syntax);
    case Syntax::Kind::kBinary:
      return CompileBinary(syntax);
    case Syntax::Kind::kNegate:
    case Syntax::Kind::kNot:
      break;
  }
  Value value = Compile(syntax.children[0]);
  const bool negates = syntax.kind == Syntax::Kind::kNegate;
  if (negates) {
    ExpectNumbers(value, syntax.children[0]);
  } else {
    ExpectConditions(value, syntax.children[0]);
  }
  place_.position = syntax.position;
  return Map(negates ? Op::kNegate : Op::kNot, value);
}

ExpressionCompiler::Value ExpressionCompiler::CompileName(const Syntax& name) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (name.text == "pi") return {false, {Constant(std::numbers::pi)}};
  if (name.text == "inf") return {false, {Constant(kInfinity)}};
  if (name.text == "u") return Inputs(Op::kAction, 0, scope_.action.size());
  if (name.text == "next") return Inputs(Op::kNext, 0, scope_.observation.size());
  if (name.text == "previous") return Inputs(Op::kPrevious, 0, scope_.observation.size());
  if (const int i = PlaceOf(constants_, name.text); i >= 0) {
    Value value;
    for (const double number : constants_[static_cast<size_t>(i)].values) {
      value.nodes.push_back(Constant(number));
    }
    return value;
  }
  if (const int i = PlaceOf(quantities_, name.text); i >= 0) {
    return CompileQuantity(static_cast<size_t>(i), time_, name);
  }
  const int observed = PlaceOf(scope_.observation, name.text);
  const int action = PlaceOf(scope_.action, name.text);
  if (observed >= 0 && action >= 0) {
    throw Error(name, fmt::format("found '{0}', the name of an observation and of an action, "
                                  "expected next.{0}, previous.{0} or u.{0}",
                                  name.text));
  }
  if (action >= 0) return Inputs(Op::kAction, static_cast<size_t>(action), 1);
  if (observed >= 0) {
    return Inputs(time_ == Time::kNext ? Op::kNext : Op::kPrevious, static_cast<size_t>(observed),
                  1);
  }
  for (const Function& function : ExpressionFunctions::Table()) {
    if (function.name == name.text) {
      throw Error(name, fmt::format("found the function '{}' without arguments, expected {}",
                                    name.text, function.form));
    }
  }
  throw UnknownNameAt(name, "name", KnownNames());
}

ExpressionCompiler::Value ExpressionCompiler::CompileScopedName(const Syntax& name) {
  const bool of_action = name.scope == "u";
  const std::span<const Component> components = of_action ? scope_.action : scope_.observation;
  if (const int i = PlaceOf(components, name.text); i >= 0) {
    const Op op = of_action ? Op::kAction : name.scope == "next" ? Op::kNext : Op::kPrevious;
    return Inputs(op, static_cast<size_t>(i), 1);
  }
  std::vector<std::string> known;
  for (const Component& component : components) known.push_back(component.name);
  if (!of_action) {
    if (const int i = PlaceOf(quantities_, name.text); i >= 0) {
      return CompileQuantity(static_cast<size_t>(i),
                             name.scope == "next" ? Time::kNext : Time::kPrevious, name);
    }
    for (const NamedQuantity& quantity : quantities_) known.push_back(quantity.name);
  }
  throw UnknownNameAt(name, of_action ? "action component" : "observation component or quantity",
                      known);
}

ExpressionCompiler::Value ExpressionCompiler::CompileQuantity(size_t index, Time time,
                                                              const Syntax& name) {
  const auto found = compiled_.find({index, time});
  if (found != compiled_.end()) return found->second;
  if (std::find(open_.begin(), open_.end(), index) != open_.end()) {
    std::vector<std::string> names;
    for (const size_t open : open_) names.push_back(quantities_[open].name);
    throw Error(name,
                fmt::format("found '{}' in its own definition ({} -> {}), expected quantities "
                            "that stand on others only",
                            name.text, fmt::join(names, " -> "), name.text));
  }
  open_.push_back(index);
  Value value = CompileSource(quantities_[index].source, time);
  open_.pop_back();
  return compiled_[{index, time}] = std::move(value);
}

ExpressionCompiler::Value ExpressionCompiler::CompileCall(const Syntax& call) {
  const std::span<const Function> table = ExpressionFunctions::Table();
  const auto function = std::find_if(table.begin(), table.end(),
                                     [&](const Function& f) { return f.name == call.text; });
  if (function == table.end()) throw UnknownNameAt(call, "function", FunctionNames());
  const size_t count = call.children.size();
  if (count < function->fewest || count > function->most) {
    throw Error(call,
                fmt::format("found {}, expected {}", Count(count, "argument"), function->form));
  }
  constexpr size_t kWord = 4;  // argument of tolerance that is a word
  std::vector<Value> arguments;
  for (size_t i = 0; i < count; ++i) {
    const bool is_word = call.text == "tolerance" && i == kWord;
    arguments.push_back(is_word ? Value{false, {Constant(0)}} : Compile(call.children[i]));
  }
  place_.position = call.position;
  return function->make(*this, call, arguments);
}

ExpressionCompiler::Value ExpressionCompiler::CompileList(const Syntax& list) {
  if (list.children.empty()) throw Error(list, "found an empty list, expected numbers");
  Value value;
  for (const Syntax& child : list.children) {
    const Value part = Compile(child);
    ExpectNumbers(part, child);
    value.nodes.insert(value.nodes.end(), part.nodes.begin(), part.nodes.end());
  }
  return value;
}

ExpressionCompiler::Value ExpressionCompiler::CompileIndex(const Syntax& index) {
  Value value = Compile(index.children[0]);
  const size_t size = value.nodes.size();
  const auto first = static_cast<size_t>(index.range.first);
  const size_t last = index.range.last < 0 ? size : static_cast<size_t>(index.range.last);
  if (first >= last || last > size) {
    throw Error(index, fmt::format("found [{}:{}] of {}, expected a range within 0:{}", first, last,
                                   Count(size, "number"), size));
  }
  const auto begin = value.nodes.begin();
  return {value.is_condition, std::vector<int>(begin + static_cast<std::ptrdiff_t>(first),
                                               begin + static_cast<std::ptrdiff_t>(last))};
}

ExpressionCompiler::Value ExpressionCompiler::CompileBinary(const Syntax& binary) {
  const Value left = Compile(binary.children[0]);
  const Value right = Compile(binary.children[1]);
  const bool differs = binary.text == "!=";
  const auto* const found =
      std::find_if(kBinaryOps.begin(), kBinaryOps.end(),
                   [&](const auto& entry) { return entry.first == binary.text; });
  const Op op = differs ? Op::kEqual : found->second;
  if (op == Op::kAnd || op == Op::kOr) {
    ExpectConditions(left, binary.children[0]);
    ExpectConditions(right, binary.children[1]);
  } else {
    ExpectNumbers(left, binary.children[0]);
    ExpectNumbers(right, binary.children[1]);
  }
  place_.position = binary.position;
  Value value = CompileArithmetic(op, binary, left, right);
  value.is_condition = op >= Op::kLess;
  return differs ? Map(Op::kNot, value) : value;
}

ExpressionCompiler::Value ExpressionCompiler::CompileArithmetic(Op op, const Syntax& binary,
                                                                const Value& left,
                                                                const Value& right) {
  const size_t size = std::max(left.nodes.size(), right.nodes.size());
  if (std::min(left.nodes.size(), right.nodes.size()) != 1 &&
      left.nodes.size() != right.nodes.size()) {
    throw Error(binary,
                fmt::format("found {} on the left and {} on the right of '{}', expected as "
                            "many or one",
                            Count(left.nodes.size(), "number"), right.nodes.size(), binary.text));
  }
  const std::vector<int> a = Spread(left, size, binary);
  const std::vector<int> b = Spread(right, size, binary);
  Value value;
  for (size_t i = 0; i < size; ++i) {
    value.nodes.push_back(op == Op::kPower ? Power(a[i], b[i]) : Apply(op, a[i], b[i]));
  }
  return value;
}

// Small whole powers are products, and 1/2 is a root.
int ExpressionCompiler::Power(int base, int exponent) {
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

ExpressionCompiler::Value ExpressionCompiler::Inputs(Op op, size_t first, size_t count) {
  Value value;
  for (size_t i = first; i < first + count; ++i) {
    value.nodes.push_back(graph_.Input(op, static_cast<int>(i), place_));
  }
  return value;
}

ExpressionCompiler::Value ExpressionCompiler::Map(Op op, const Value& a) {
  Value value{a.is_condition, {}};
  for (const int node : a.nodes) value.nodes.push_back(Apply(op, node));
  return value;
}

// One of them may be a single number.
ExpressionCompiler::Value ExpressionCompiler::Map(Op op, const Value& a, const Value& b) {
  Value value;
  for (size_t i = 0; i < std::max(a.nodes.size(), b.nodes.size()); ++i) {
    value.nodes.push_back(
        Apply(op, a.nodes[a.nodes.size() == 1 ? 0 : i], b.nodes[b.nodes.size() == 1 ? 0 : i]));
  }
  return value;
}

int ExpressionCompiler::Reduce(Op op, const std::vector<int>& nodes) {
  int result = nodes[0];
  for (size_t i = 1; i < nodes.size(); ++i) result = Apply(op, result, nodes[i]);
  return result;
}

void ExpressionCompiler::ExpectNumbers(const Value& value, const Syntax& syntax) const {
  if (value.is_condition) {
    throw Error(syntax, "found a condition, expected a number, as if(condition, 1, 0) is one");
  }
}

void ExpressionCompiler::ExpectConditions(const Value& value, const Syntax& syntax) const {
  if (!value.is_condition) {
    throw Error(syntax, "found a number, expected a condition, as in abs(x) > 0.2");
  }
}

std::vector<int> ExpressionCompiler::Spread(const Value& value, size_t size,
                                            const Syntax& syntax) const {
  if (value.nodes.size() == size) return value.nodes;
  if (value.nodes.size() != 1) {
    throw Error(syntax, fmt::format("found {}, expected {}", Count(value.nodes.size(), "number"),
                                    size == 1 ? "one" : fmt::format("one or {}", size)));
  }
  std::vector<int> nodes(size, value.nodes[0]);
  return nodes;
}

InputError ExpressionCompiler::Error(const Syntax& syntax, std::string_view message) const {
  return graph_.source(place_.source).Error(syntax.position, message);
}

InputError ExpressionCompiler::UnknownNameAt(const Syntax& name, std::string_view what,
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

std::vector<std::string> ExpressionCompiler::KnownNames() const {
  std::vector<std::string> names;
  for (const NamedQuantity& quantity : quantities_) names.push_back(quantity.name);
  for (const NamedConstant& constant : constants_) names.push_back(constant.name);
  for (const Component& component : scope_.action) names.push_back(component.name);
  for (const Component& component : scope_.observation) names.push_back(component.name);
  for (const char* word : {"u", "next", "previous", "pi", "inf"}) names.emplace_back(word);
  return names;
}

}  // namespace foreplan
