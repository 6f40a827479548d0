#include "foreplan/systems/mujoco/mujoco_observation_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/expressions/text_scanner.h"

namespace foreplan {
namespace {

using Op = ExpressionOp;

/// Where "names = expression" has its '='; npos: there are no names.
size_t PlaceOfNames(std::string_view text) {
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\'') quoted = !quoted;
    if (quoted || text[i] != '=') continue;
    const bool compares = (i + 1 < text.size() && text[i + 1] == '=') ||
                          (i > 0 && std::string_view("<>=!").find(text[i - 1]) != text.npos);
    if (!compares) return i;
  }
  return text.npos;
}

/// "NAME [UNIT], NAME [UNIT]"
std::vector<Component> ParseNames(const std::string& where, std::string_view text) {
  TextScanner scanner(where, text);
  std::vector<Component> names;
  do {
    Component name{scanner.Name("a name"), ""};
    if (IsReservedWord(name.name)) {
      throw InputError(fmt::format(
          "{}: found the name '{}', which expressions have for themselves, expected another", where,
          name.name));
    }
    if (scanner.Take('[')) name.unit = scanner.Until(']');
    names.push_back(std::move(name));
  } while (scanner.Take(','));
  scanner.ExpectEnd();
  for (size_t i = names.size() - 1; i-- > 0;) {
    if (names[i].unit.empty()) names[i].unit = names[i + 1].unit;
  }
  return names;
}

/// What operations of one number add to its name.
constexpr std::array<std::pair<Op, std::string_view>, 11> kSuffixes{{{Op::kAbs, "_abs"},
                                                                     {Op::kSign, "_sign"},
                                                                     {Op::kSqrt, "_sqrt"},
                                                                     {Op::kExp, "_exp"},
                                                                     {Op::kLog, "_log"},
                                                                     {Op::kSin, "_sin"},
                                                                     {Op::kCos, "_cos"},
                                                                     {Op::kTan, "_tan"},
                                                                     {Op::kAsin, "_asin"},
                                                                     {Op::kAcos, "_acos"},
                                                                     {Op::kTanh, "_tanh"}}};
/// And what stands between those of two.
constexpr std::array<std::pair<Op, std::string_view>, 4> kLinks{{{Op::kAdd, "_plus_"},
                                                                 {Op::kSubtract, "_minus_"},
                                                                 {Op::kMultiply, "_times_"},
                                                                 {Op::kDivide, "_over_"}}};

template <typename Table>
std::string_view TextOf(const Table& table, Op op) {
  const auto found = std::ranges::find(table, op, [](const auto& entry) { return entry.first; });
  return found == table.end() ? std::string_view() : found->second;
}

}  // namespace

std::vector<ObservationPart> ParseObservation(const std::string& where,
                                              std::span<const std::string> texts) {
  std::vector<ObservationPart> parts;
  parts.reserve(texts.size());
  for (const std::string& text : texts) {
    const size_t names = PlaceOfNames(text);
    ObservationPart part{text, {}, {where, text}};
    if (names != text.npos) {
      part.given = ParseNames(where, std::string_view(text).substr(0, names));
      part.expression.text = text.substr(names + 1);
    }
    (void)ParseExpression(part.expression);
    parts.push_back(std::move(part));
  }
  return parts;
}

ObservationGraph::ObservationGraph(std::string where, const mjModel& model,
                                   const std::vector<NamedConstant>& constants)
    : where_(std::move(where)),
      model_(model),
      state_(ComponentsOfState(model)),
      constants_{constants, {}},
      compiler_({.observation = {}, .action = {}, .arrays = this}, constants_) {}

std::vector<int> ObservationGraph::Compile(const ExpressionText& expression) {
  std::vector<int> nodes = compiler_.Numbers(expression);
  for (const int node : nodes) {
    if (!graph().IsConstant(node)) continue;
    throw expression.Error(0, fmt::format("found {}, which never changes, expected what the "
                                          "simulation says",
                                          graph()[node].constant));
  }
  return nodes;
}

std::vector<int> ObservationGraph::InputsOf(int node) const {
  std::vector<int> inputs;
  for (const int operation : graph().InOrder({node})) {
    if (graph()[operation].op == Op::kNext) inputs.push_back(graph()[operation].index);
  }
  return inputs;
}

int ObservationGraph::InputAt(int node) const {
  return graph()[node].op == Op::kNext ? graph()[node].index : -1;
}

bool ObservationGraph::IsOfNamedObject(int node) const {
  while (graph()[node].operands[0] >= 0) node = graph()[node].operands[0];
  const int input = InputAt(node);
  if (input < 0) return false;
  const Input& first = inputs_[static_cast<size_t>(input)];
  return first.rate_of >= 0 ? IsOfNamedObject(first.rate_of)
                            : kMujocoArrays[first.number.array].HasName();
}

std::optional<Component> ObservationGraph::NameOf(int node, bool with_kind) const {
  const ExpressionNode& of = graph()[node];
  if (of.op == Op::kNext) return NameOfInput(inputs_[static_cast<size_t>(of.index)], with_kind);
  if (OperandCount(of.op) == 2) return NameOfPair(of, with_kind);
  if (OperandCount(of.op) != 1) return std::nullopt;
  std::optional<Component> name = NameOf(of.operands[0], with_kind);
  if (!name) return std::nullopt;
  if (of.op == Op::kNegate) return Component{"minus_" + name->name, name->unit};
  const std::string_view suffix = TextOf(kSuffixes, of.op);
  if (suffix.empty()) return std::nullopt;
  name->name += suffix;
  if (of.op != Op::kAbs) name->unit.clear();
  return name;
}

std::optional<Component> ObservationGraph::NameOfPair(const ExpressionNode& node,
                                                      bool with_kind) const {
  const auto& graph = this->graph();
  const int a = node.operands[0];
  const int b = node.operands[1];
  // clip(x, low, high) = min(max(x, low), high)
  if (node.op == Op::kMin && graph[a].op == Op::kMax && graph.IsConstant(b) &&
      graph.IsConstant(graph[a].operands[1])) {
    std::optional<Component> name = NameOf(graph[a].operands[0], with_kind);
    if (name) name->name += "_clipped";
    return name;
  }
  const std::string_view link = TextOf(kLinks, node.op);
  std::optional<Component> name = NameOf(a, with_kind);
  const std::optional<Component> second = NameOf(b, with_kind);
  if (link.empty() || !name || !second) return std::nullopt;
  name->name += fmt::format("{}{}", link, second->name);
  if (node.op == Op::kMultiply || node.op == Op::kDivide) name->unit.clear();
  return name;
}

std::optional<Component> ObservationGraph::NameOfInput(const Input& input, bool with_kind) const {
  if (input.rate_of < 0) {
    const MujocoArray& array = kMujocoArrays[input.number.array];
    return ComponentOf(model_, state_, array, input.number.index,
                       with_kind ? KindName(array.owner) : "");
  }
  std::optional<Component> name = NameOf(input.rate_of, with_kind);
  if (name) *name = {name->name + "_rate", name->unit + "/s"};
  return name;
}

std::optional<ExpressionArrays::Rows> ObservationGraph::Find(const std::string& name,
                                                             const std::string& object) {
  const auto* const array = std::ranges::find(kMujocoArrays, name, &MujocoArray::name);
  if (array == kMujocoArrays.end()) {
    const std::optional<Number> number = object.empty() ? NumberOfState(name) : std::nullopt;
    if (!number) return std::nullopt;
    return Rows{{InputOf(*number)}, 1};
  }
  if (array->HasName() && object.empty()) {
    throw InputError(fmt::format("{}: found '{}' alone, expected {}(NAME)", where_, name, name));
  }
  if (!array->HasName() && !object.empty()) return std::nullopt;
  const ObjectNumbers numbers = array->HasName()
                                    ? FindObject(where_, model_, *array, object)
                                    : ObjectNumbers{0, RowsOf(model_, array->owner) * array->width};
  if (numbers.count == 0) {
    throw InputError(fmt::format("{}: found '{}', expected another part: the model has none",
                                 where_, array->name));
  }
  Rows rows{{}, array->HasName() ? 1 : array->width};
  const auto place = static_cast<size_t>(array - kMujocoArrays.begin());
  for (int i = 0; i < numbers.count; ++i) {
    rows.inputs.push_back(InputOf({place, numbers.first + i}));
  }
  return rows;
}

int ObservationGraph::InputOf(const Number& number) {
  const auto [found, is_new] = input_of_.try_emplace(number, static_cast<int>(inputs_.size()));
  if (is_new) inputs_.push_back({number});
  return found->second;
}

// A quaternion's numbers are called as those of its joint, "root_qw".
std::optional<ObservationGraph::Number> ObservationGraph::NumberOfState(
    const std::string& name) const {
  constexpr std::array<ArrayOwner, 3> kOwners{ArrayOwner::kPosition, ArrayOwner::kVelocity,
                                              ArrayOwner::kActivation};
  const std::array<const std::vector<Component>*, 3> kComponents{
      &state_.positions, &state_.velocities, &state_.activations};
  for (size_t k = 0; k < kOwners.size(); ++k) {
    const auto found = std::ranges::find(*kComponents[k], name, &Component::name);
    if (found == kComponents[k]->end()) continue;
    const auto* const array = std::ranges::find(kMujocoArrays, kOwners[k], &MujocoArray::owner);
    return Number{static_cast<size_t>(array - kMujocoArrays.begin()),
                  static_cast<int>(found - kComponents[k]->begin())};
  }
  return std::nullopt;
}

int ObservationGraph::RateOf(int node) {
  for (const int input : InputsOf(node)) {
    if (inputs_[static_cast<size_t>(input)].rate_of < 0) continue;
    throw InputError(where_ + ": found the rate of a rate, expected one of what is observed");
  }
  const auto [found, is_new] = rate_of_.try_emplace(node, static_cast<int>(inputs_.size()));
  if (is_new) inputs_.push_back({.number = {}, .rate_of = node});
  return found->second;
}

std::vector<std::string> ObservationGraph::Names() const {
  std::vector<std::string> names;
  for (const MujocoArray& array : kMujocoArrays) {
    if (!array.HasName()) names.emplace_back(array.name);
  }
  for (const auto* components : {&state_.positions, &state_.velocities, &state_.activations}) {
    for (const Component& component : *components) names.push_back(component.name);
  }
  return names;
}

std::vector<std::string> ObservationGraph::NamesOfObjects() const {
  std::vector<std::string> names;
  for (const MujocoArray& array : kMujocoArrays) {
    if (array.HasName()) names.emplace_back(array.name);
  }
  return names;
}

}  // namespace foreplan
