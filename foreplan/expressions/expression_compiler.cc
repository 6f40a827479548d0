#include "foreplan/expressions/expression_compiler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "foreplan/core/config_text.h"
#include "foreplan/expressions/expression_functions.h"

namespace foreplan {

using Op = ExpressionOp;

namespace {

template <typename Named>
int PlaceOf(std::span<const Named> all, const std::string& name) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Named& one) { return one.name == name; });
  return found == all.end() ? -1 : static_cast<int>(found - all.begin());
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

}  // namespace

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

std::vector<int> ExpressionCompiler::Numbers(const ExpressionText& source) {
  return NumbersAt(source, Time::kNext);
}

std::vector<int> ExpressionCompiler::NumbersAt(const ExpressionText& source, Time time) {
  Value value = CompileSource(source, time);
  if (value.is_condition) {
    throw source.Error(0, "found a condition, expected numbers, as if(condition, 1, 0) is one");
  }
  return std::move(value.nodes);
}

std::vector<int> ExpressionCompiler::NumbersBeforeStep(const ExpressionText& source) {
  std::vector<int> nodes = NumbersAt(source, Time::kPrevious);
  for (const int node : build_.graph().InOrder(nodes)) {
    if (build_.graph()[node].op != Op::kNext) continue;
    throw source.Error(
        0, fmt::format("found the next observation ('{}'), expected what is known "
                       "before the step",
                       scope_.observation[static_cast<size_t>(build_.graph()[node].index)].name));
  }
  return nodes;
}

std::vector<std::string> ExpressionCompiler::FunctionNames() {
  std::vector<std::string> names;
  for (const ExpressionFunction& function : ExpressionFunctions())
    names.emplace_back(function.name);
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
  const ExpressionGraph::Place outer = build_.place();
  const Time outer_time = time_;
  build_.MoveTo(source);
  time_ = time;
  Value value = Compile(syntax);
  build_.MoveTo(outer);
  time_ = outer_time;
  return value;
}

ExpressionCompiler::Value ExpressionCompiler::Compile(const Syntax& syntax) {
  switch (syntax.kind) {
    case Syntax::Kind::kNumber:
      return {false, {build_.Constant(syntax.number)}};
    case Syntax::Kind::kName:
      build_.MoveTo(syntax.position);
      if (scope_.arrays != nullptr) return CompileArrayName(syntax);
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
    build_.ExpectNumbers(value, syntax.children[0]);
  } else {
    build_.ExpectConditions(value, syntax.children[0]);
  }
  build_.MoveTo(syntax.position);
  return build_.Map(negates ? Op::kNegate : Op::kNot, value);
}

std::optional<ExpressionCompiler::Value> ExpressionCompiler::FindConstant(const std::string& name) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (name == "pi") return Value{false, {build_.Constant(std::numbers::pi)}};
  if (name == "inf") return Value{false, {build_.Constant(kInfinity)}};
  const int i = PlaceOf(constants_, name);
  if (i < 0) return std::nullopt;
  Value value;
  for (const double number : constants_[static_cast<size_t>(i)].values) {
    value.nodes.push_back(build_.Constant(number));
  }
  return value;
}

ExpressionCompiler::Value ExpressionCompiler::CompileName(const Syntax& name) {
  if (auto constant = FindConstant(name.text)) return *std::move(constant);
  if (name.text == "u") return build_.Inputs(Op::kAction, 0, scope_.action.size());
  if (name.text == "next") return build_.Inputs(Op::kNext, 0, scope_.observation.size());
  if (name.text == "previous") return build_.Inputs(Op::kPrevious, 0, scope_.observation.size());
  if (const int i = PlaceOf(quantities_, name.text); i >= 0) {
    return CompileQuantity(static_cast<size_t>(i), time_, name);
  }
  const int observed = PlaceOf(scope_.observation, name.text);
  const int action = PlaceOf(scope_.action, name.text);
  if (observed >= 0 && action >= 0) {
    throw build_.Error(name,
                       fmt::format("found '{0}', the name of an observation and of an action, "
                                   "expected next.{0}, previous.{0} or u.{0}",
                                   name.text));
  }
  if (action >= 0 && PlaceOf(scope_.unobserved, name.text) >= 0) {
    throw build_.Error(
        name, fmt::format("found '{0}', the name of an action and of a part of the state "
                          "that is not observed, expected u.{0}, or the other observed and "
                          "next.{0} or previous.{0}",
                          name.text));
  }
  if (action >= 0) return build_.Inputs(Op::kAction, static_cast<size_t>(action), 1);
  if (observed >= 0) {
    return build_.Inputs(time_ == Time::kNext ? Op::kNext : Op::kPrevious,
                         static_cast<size_t>(observed), 1);
  }
  if (name.text == "time") {
    if (auto time = CompileTime(time_)) return *std::move(time);
  }
  for (const ExpressionFunction& function : ExpressionFunctions()) {
    if (function.name == name.text) {
      throw build_.Error(name, fmt::format("found the function '{}' without arguments, expected {}",
                                           name.text, function.form));
    }
  }
  throw build_.UnknownNameAt(name, "name", KnownNames());
}

ExpressionCompiler::Value ExpressionCompiler::CompileScopedName(const Syntax& name) {
  const bool of_action = name.scope == "u";
  const Time at = name.scope == "next" ? Time::kNext : Time::kPrevious;
  const std::span<const Component> components = of_action ? scope_.action : scope_.observation;
  if (const int i = PlaceOf(components, name.text); i >= 0) {
    const Op op = of_action ? Op::kAction : name.scope == "next" ? Op::kNext : Op::kPrevious;
    return build_.Inputs(op, static_cast<size_t>(i), 1);
  }
  std::vector<std::string> known;
  for (const Component& component : components) known.push_back(component.name);
  if (!of_action) {
    if (const int i = PlaceOf(quantities_, name.text); i >= 0) {
      return CompileQuantity(static_cast<size_t>(i), at, name);
    }
    for (const NamedQuantity& quantity : quantities_) known.push_back(quantity.name);
    if (name.text == "time") {
      if (auto time = CompileTime(at)) {
        return *std::move(time);
      }
    }
    if (name.scope == "previous") {
      if (auto action = CompilePreviousAction(name.text)) return *std::move(action);
    }
  }
  throw build_.UnknownNameAt(
      name, of_action ? "action component" : "observation component or quantity", known);
}

std::optional<ExpressionCompiler::Value> ExpressionCompiler::CompileTime(Time time) {
  const int place = PlaceOf(scope_.observation, kTimeComponent);
  if (place < 0) return std::nullopt;
  const Op op = time == Time::kNext ? Op::kNext : Op::kPrevious;
  return build_.Inputs(op, static_cast<size_t>(place), 1);
}

// All of the action before, or the component of that name.
std::optional<ExpressionCompiler::Value> ExpressionCompiler::CompilePreviousAction(
    const std::string& name) {
  Value value;
  for (const Component& action : scope_.action) {
    if (name != "u" && name != action.name) continue;
    const int place = PlaceOf(scope_.observation, kPreviousPrefix + action.name);
    if (place < 0) return std::nullopt;
    value.nodes.push_back(build_.Inputs(Op::kPrevious, static_cast<size_t>(place), 1).nodes[0]);
  }
  if (value.nodes.empty()) return std::nullopt;
  return value;
}

// phase(period) = 2 pi time / period
ExpressionCompiler::Value ExpressionCompiler::CompilePhase(const Syntax& call) {
  const bool has_one = call.children.size() == 1;
  const Value period = has_one ? Compile(call.children[0]) : Value{};
  const bool is_constant = period.nodes.size() == 1 && build_.graph().IsConstant(period.nodes[0]);
  const double seconds = is_constant ? build_.graph()[period.nodes[0]].constant : 0;
  if (!(seconds > 0 && std::isfinite(seconds))) {
    throw build_.Error(call, "expected phase(period) with a constant above 0 [s]");
  }
  build_.MoveTo(call.position);
  Value time = *CompileTime(time_);
  return {false,
          {build_.Apply(Op::kMultiply, time.nodes[0],
                        build_.Constant(2 * std::numbers::pi / seconds))}};
}

std::optional<ExpressionCompiler::Value> ExpressionCompiler::FindArray(const std::string& name,
                                                                       const std::string& object) {
  const std::optional<ExpressionArrays::Rows> rows = scope_.arrays->Find(name, object);
  if (!rows) return std::nullopt;
  Value value;
  for (const int input : rows->inputs) {
    value.nodes.push_back(build_.Inputs(Op::kNext, static_cast<size_t>(input), 1).nodes[0]);
  }
  value.width = rows->width;
  return value;
}

ExpressionCompiler::Value ExpressionCompiler::CompileArrayName(const Syntax& name) {
  if (!name.scope.empty()) {
    throw build_.Error(
        name, fmt::format("found '{}.', expected what is observed at one moment", name.scope));
  }
  auto array = FindArray(name.text, "");
  auto constant = FindConstant(name.text);
  if (array && constant) {
    throw build_.Error(name, fmt::format("found '{}', the name of a constant and of what is "
                                         "observed, expected another one for the constant",
                                         name.text));
  }
  if (array) return *std::move(array);
  if (constant) return *std::move(constant);
  throw build_.UnknownNameAt(name, "name", KnownNames());
}

// "xpos(tip)", "rate(x)"; nothing for another function.
std::optional<ExpressionCompiler::Value> ExpressionCompiler::CompileArrayCall(const Syntax& call) {
  const bool is_rate = call.text == "rate";
  if (is_rate && call.children.size() != 1) {
    throw build_.Error(
        call, fmt::format("found {}, expected rate(x)", Counted(call.children.size(), "argument")));
  }
  if (is_rate) {
    const Value of = Compile(call.children[0]);
    build_.ExpectNumbers(of, call.children[0]);
    build_.MoveTo(call.position);
    Value value;
    for (const int node : of.nodes) {
      const auto input = static_cast<size_t>(scope_.arrays->RateOf(node));
      value.nodes.push_back(build_.Inputs(Op::kNext, input, 1).nodes[0]);
    }
    return value;
  }
  const bool names_object =
      call.children.size() == 1 && call.children[0].kind == Syntax::Kind::kName;
  build_.MoveTo(call.position);
  return names_object ? FindArray(call.text, call.children[0].text) : std::nullopt;
}

ExpressionCompiler::Value ExpressionCompiler::CompileQuantity(size_t index, Time time,
                                                              const Syntax& name) {
  const auto found = compiled_.find({index, time});
  if (found != compiled_.end()) return found->second;
  if (std::find(open_.begin(), open_.end(), index) != open_.end()) {
    std::vector<std::string> names;
    for (const size_t open : open_) names.push_back(quantities_[open].name);
    throw build_.Error(
        name, fmt::format("found '{}' in its own definition ({} -> {}), expected quantities "
                          "that stand on others only",
                          name.text, fmt::join(names, " -> "), name.text));
  }
  open_.push_back(index);
  Value value = CompileSource(quantities_[index].source, time);
  open_.pop_back();
  return compiled_[{index, time}] = std::move(value);
}

ExpressionCompiler::Value ExpressionCompiler::CompileCall(const Syntax& call) {
  if (scope_.arrays != nullptr) {
    if (auto array = CompileArrayCall(call)) return *std::move(array);
  }
  if (call.text == "phase" && PlaceOf(scope_.observation, kTimeComponent) >= 0) {
    return CompilePhase(call);
  }
  const std::span<const ExpressionFunction> table = ExpressionFunctions();
  const auto function = std::find_if(
      table.begin(), table.end(), [&](const ExpressionFunction& f) { return f.name == call.text; });
  if (function == table.end()) throw build_.UnknownNameAt(call, "function", KnownFunctions());
  const size_t count = call.children.size();
  if (count < function->fewest || count > function->most) {
    throw build_.Error(
        call, fmt::format("found {}, expected {}", Counted(count, "argument"), function->form));
  }
  constexpr size_t kWord = 4;  // argument of tolerance that is a word
  std::vector<Value> arguments;
  for (size_t i = 0; i < count; ++i) {
    const bool is_word = call.text == "tolerance" && i == kWord;
    arguments.push_back(is_word ? Value{false, {build_.Constant(0)}} : Compile(call.children[i]));
  }
  build_.MoveTo(call.position);
  return function->make(build_, call, arguments);
}

ExpressionCompiler::Value ExpressionCompiler::CompileList(const Syntax& list) {
  if (list.children.empty()) throw build_.Error(list, "found an empty list, expected numbers");
  Value value;
  for (const Syntax& child : list.children) {
    const Value part = Compile(child);
    build_.ExpectNumbers(part, child);
    value.nodes.insert(value.nodes.end(), part.nodes.begin(), part.nodes.end());
  }
  return value;
}

ExpressionCompiler::Value ExpressionCompiler::CompileIndex(const Syntax& index) {
  Value value = Compile(index.children[0]);
  const size_t size = value.nodes.size() / static_cast<size_t>(value.width);
  const auto first = static_cast<size_t>(index.range.first);
  const size_t last = index.range.last < 0 ? size : static_cast<size_t>(index.range.last);
  if (first >= last || last > size) {
    throw build_.Error(
        index,
        fmt::format("found {} of {}, expected an index or a range within 0 ... {}",
                    index.range.text, Counted(size, value.width == 1 ? "number" : "row"), size));
  }
  const auto at = [&](size_t row) {
    return value.nodes.begin() + static_cast<std::ptrdiff_t>(row) * value.width;
  };
  return {value.is_condition, std::vector<int>(at(first), at(last))};
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
    build_.ExpectConditions(left, binary.children[0]);
    build_.ExpectConditions(right, binary.children[1]);
  } else {
    build_.ExpectNumbers(left, binary.children[0]);
    build_.ExpectNumbers(right, binary.children[1]);
  }
  build_.MoveTo(binary.position);
  Value value = CompileArithmetic(op, binary, left, right);
  value.is_condition = op >= Op::kLess;
  return differs ? build_.Map(Op::kNot, value) : value;
}

ExpressionCompiler::Value ExpressionCompiler::CompileArithmetic(Op op, const Syntax& binary,
                                                                const Value& left,
                                                                const Value& right) {
  const size_t size = std::max(left.nodes.size(), right.nodes.size());
  if (std::min(left.nodes.size(), right.nodes.size()) != 1 &&
      left.nodes.size() != right.nodes.size()) {
    throw build_.Error(
        binary, fmt::format("found {} on the left and {} on the right of '{}', expected as "
                            "many or one",
                            Counted(left.nodes.size(), "number"), right.nodes.size(), binary.text));
  }
  const std::vector<int> a = build_.Spread(left, size, binary);
  const std::vector<int> b = build_.Spread(right, size, binary);
  Value value;
  for (size_t i = 0; i < size; ++i) {
    value.nodes.push_back(op == Op::kPower ? build_.Power(a[i], b[i])
                                           : build_.Apply(op, a[i], b[i]));
  }
  return value;
}

std::vector<std::string> ExpressionCompiler::KnownFunctions() const {
  std::vector<std::string> names = FunctionNames();
  if (scope_.arrays == nullptr) return names;
  names.emplace_back("rate");
  for (std::string& name : scope_.arrays->NamesOfObjects()) names.push_back(std::move(name));
  return names;
}

std::vector<std::string> ExpressionCompiler::KnownNames() const {
  std::vector<std::string> names;
  if (scope_.arrays != nullptr) {
    names = scope_.arrays->Names();
    for (const NamedConstant& constant : constants_) names.push_back(constant.name);
    for (const char* word : {"pi", "inf"}) names.emplace_back(word);
    return names;
  }
  for (const NamedQuantity& quantity : quantities_) names.push_back(quantity.name);
  for (const NamedConstant& constant : constants_) names.push_back(constant.name);
  for (const Component& component : scope_.action) names.push_back(component.name);
  for (const Component& component : scope_.observation) names.push_back(component.name);
  for (const char* word : {"u", "next", "previous", "pi", "inf"}) names.emplace_back(word);
  return names;
}

}  // namespace foreplan
