#include "foreplan/systems/mujoco/mujoco_observation.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "foreplan/core/config_text.h"
#include "foreplan/core/error.h"
#include "foreplan/systems/mujoco/mujoco_components.h"

namespace foreplan {

/// Makes an observation from the parts of a task.
class MujocoObservation::Builder {
 public:
  Builder(MujocoObservation& made, std::string where, const mjModel& model,
          const std::vector<NamedConstant>& constants)
      : made_(made), where_(std::move(where)), model_(model), graph_(where_, model, constants) {}

  void Add(const ObservationPart& part) {
    const std::vector<int> nodes = graph_.Compile(part.expression);
    const std::vector<Component> components = ComponentsOf(part, nodes);
    for (size_t i = 0; i < nodes.size(); ++i) AddEntry(nodes[i], components[i]);
  }

  void Finish() {
    for (const ObservationGraph::Input& input : graph_.inputs()) {
      made_.inputs_.push_back({input.number, input.rate_of < 0 ? -1 : rate_of_.at(input.rate_of)});
    }
    if (made_.needs_ == MujocoEvaluation::kForces) RememberControls();
  }

 private:
  [[nodiscard]] std::vector<Component> ComponentsOf(const ObservationPart& part,
                                                    const std::vector<int>& nodes) {
    if (part.given.empty()) return MadeUp(part, nodes);
    if (part.given.size() != nodes.size()) {
      throw InputError(fmt::format("{}: found {} and {} in '{}', expected as many", where_,
                                   Counted(part.given.size(), "name"),
                                   Counted(nodes.size(), "number"), part.text));
    }
    std::vector<Component> components = part.given;
    for (size_t i = 0; i < nodes.size(); ++i) {
      CheckNew(part, nodes[i]);
      if (names_.IsTaken(components[i].name)) {
        throw InputError(
            fmt::format("{}: found the name '{}' twice, the second time in '{}', "
                        "expected another for each",
                        where_, components[i].name, part.text));
      }
      names_.Take(components[i].name);
      const std::optional<Component> of = graph_.NameOf(nodes[i], false);
      if (components[i].unit.empty() && of) components[i].unit = of->unit;
    }
    return components;
  }

  // "hip", or with its kind "hip_sensor".
  std::vector<Component> MadeUp(const ObservationPart& part, const std::vector<int>& nodes) {
    const auto name_of = [&](int node, bool with_kind) {
      if (auto name = graph_.NameOf(node, with_kind)) return *std::move(name);
      throw InputError(
          fmt::format("{}: found no name for '{}', expected one, as in \"height [m] = {}\"", where_,
                      part.text, part.text));
    };
    const auto is_taken = [&](int node) { return names_.IsTaken(name_of(node, false).name); };
    // The coordinates of a place have names alike.
    const bool any_taken =
        graph_.IsOfNamedObject(nodes.front()) && std::ranges::any_of(nodes, is_taken);
    std::vector<Component> components;
    for (const int node : nodes) {
      Component component = name_of(node, any_taken || is_taken(node));
      CheckNew(part, node);
      component.name = names_.Take(component.name);
      components.push_back(std::move(component));
    }
    return components;
  }

  void CheckNew(const ObservationPart& part, int node) const {
    for (size_t i = 0; i < made_.entries_.size(); ++i) {
      if (made_.entries_[i].node != node) continue;
      throw InputError(fmt::format(
          "{}: found observation component '{}' twice, the second time as '{}', expected "
          "each number once",
          where_, made_.components_[i].name, part.text));
    }
  }

  void AddEntry(int node, const Component& component) {
    Entry entry{.node = node, .formula = FormulaOf(node)};
    bool is_measured = false;
    for (const int i : graph_.InputsOf(node)) {
      const ObservationGraph::Input& input = graph_.inputs()[static_cast<size_t>(i)];
      if (input.rate_of >= 0) AddRate(input.rate_of, entry.formula.input == i, component);
      if (input.rate_of < 0) is_measured = is_measured || IsMeasured(input.number);
      if (input.rate_of < 0) Need(input.number);
    }
    if (is_measured) entry.memory = Remember(component);
    made_.entries_.push_back(entry);
    made_.components_.push_back(component);
  }

  // Once for every term; a component that is the rate gives it its name.
  void AddRate(int node, bool is_component, const Component& component) {
    const auto [found, is_new] = rate_of_.try_emplace(node, static_cast<int>(made_.rates_.size()));
    if (!is_new) return;
    const Component term = graph_.NameOf(node, false).value_or(component);
    const Component rate =
        is_component ? component : Component{term.name + "_rate", term.unit + "/s"};
    const bool ends_so = is_component && component.name.ends_with(kRateSuffix);
    const std::string base =
        ends_so ? component.name.substr(0, component.name.size() - kRateSuffix.size()) : term.name;
    bool is_measured = false;
    MujocoEvaluation needed = MujocoEvaluation::kNone;
    for (const int input : graph_.InputsOf(node)) {
      const Number& number = graph_.inputs()[static_cast<size_t>(input)].number;
      is_measured = is_measured || IsMeasured(number);
      needed = std::max(needed, Need(number));
    }
    Rate made{.term = FormulaOf(node), .memory = Remember(rate)};
    if (is_measured) made.before = Remember({base + "_before", rate.unit});
    made_.step_reads_evaluation_ =
        made_.step_reads_evaluation_ || needed != MujocoEvaluation::kNone;
    made_.rates_.push_back(made);
  }

  Formula FormulaOf(int node) {
    if (const int input = graph_.InputAt(node); input >= 0) return {.input = input};
    made_.tapes_.emplace_back(graph_.graph(), node, TransitionSizes{0, 0});
    return {.tape = static_cast<int>(made_.tapes_.size()) - 1};
  }

  /// Whether it stays what the last evaluation said.
  [[nodiscard]] bool IsMeasured(const Number& number) const {
    return made_.at_ == ObservedAt::kLastEvaluation &&
           kMujocoArrays[number.array].needs != MujocoEvaluation::kNone;
  }

  // What has to be computed at a state before it is observed.
  MujocoEvaluation Need(const Number& number) {
    const MujocoArray& array = kMujocoArrays[number.array];
    made_.observes_forces_ = made_.observes_forces_ || array.numbers == &mjData::cfrc_ext;
    if (made_.at_ != ObservedAt::kNewState) return MujocoEvaluation::kNone;
    const MujocoEvaluation needed = EvaluationOf(model_, array, number.index);
    made_.needs_ = std::max(made_.needs_, needed);
    return needed;
  }

  int Remember(const Component& component) {
    made_.memory_.push_back({component.name + "_measured", component.unit});
    return static_cast<int>(made_.memory_.size()) - 1;
  }

  void RememberControls() {
    made_.first_control_ = made_.memory_.size();
    made_.controls_ = static_cast<size_t>(model_.nu);
    for (int i = 0; i < model_.nu; ++i) {
      made_.memory_.push_back({MujocoName(model_, mjOBJ_ACTUATOR, i, "actuator") + "_control", ""});
    }
  }

  static constexpr std::string_view kRateSuffix = "_rate";

  MujocoObservation& made_;
  std::string where_;
  const mjModel& model_;
  ObservationGraph graph_;
  DistinctNames names_;
  std::map<int, int> rate_of_;  // node of a term to its rate
};

MujocoObservation::MujocoObservation(const std::string& where, const mjModel& model,
                                     std::span<const ObservationPart> parts,
                                     const std::vector<NamedConstant>& constants, double dt,
                                     ObservedAt at)
    : dt_(dt), at_(at) {
  Builder builder(*this, where, model, constants);
  for (const ObservationPart& part : parts) builder.Add(part);
  builder.Finish();
}

double MujocoObservation::Read(const mjData& data, std::span<const double> memory,
                               int input) const {
  const auto& [number, rate] = inputs_[static_cast<size_t>(input)];
  if (rate >= 0) {
    return memory[static_cast<size_t>(rates_[static_cast<size_t>(rate)].memory)];
  }
  return (data.*kMujocoArrays[number.array].numbers)[number.index];
}

double MujocoObservation::Value(const mjData& data, std::span<const double> memory,
                                const Formula& formula) const {
  if (formula.input >= 0) return Read(data, memory, formula.input);
  return tapes_[static_cast<size_t>(formula.tape)].ValueOf(
      [&](int input) { return Read(data, memory, input); });
}

bool MujocoObservation::StepReads(size_t memory) const {
  return std::ranges::any_of(rates_, [memory](const Rate& rate) {
    return rate.before >= 0 && static_cast<size_t>(rate.before) == memory;
  });
}

void MujocoObservation::Evaluate(const mjModel& model, mjData& data) const {
  switch (needs_) {
    case MujocoEvaluation::kNone:
      return;
    case MujocoEvaluation::kPlaces:
      mj_kinematics(&model, &data);
      mj_comPos(&model, &data);
      return;
    case MujocoEvaluation::kMotion:
      mj_fwdPosition(&model, &data);
      mj_sensorPos(&model, &data);
      mj_fwdVelocity(&model, &data);
      mj_sensorVel(&model, &data);
      return;
    case MujocoEvaluation::kForces:
      mj_forward(&model, &data);
      if (observes_forces_) mj_rnePostConstraint(&model, &data);
  }
}

void MujocoObservation::SetControls(std::span<const double> memory, mjData& data) const {
  std::ranges::copy(memory.subspan(first_control_, controls_), data.ctrl);
}

void MujocoObservation::KeepControls(const mjData& data, std::span<double> memory) const {
  std::copy_n(data.ctrl, controls_, memory.subspan(first_control_).begin());
}

void MujocoObservation::KeepValues(const mjData& data, std::span<double> memory) const {
  for (const Entry& entry : entries_) {
    if (entry.memory < 0) continue;
    memory[static_cast<size_t>(entry.memory)] = Value(data, memory, entry.formula);
  }
}

void MujocoObservation::Start(const mjData& data, std::span<double> memory) const {
  KeepControls(data, memory);
  for (const Rate& rate : rates_) {
    memory[static_cast<size_t>(rate.memory)] = 0;
    if (rate.before >= 0) memory[static_cast<size_t>(rate.before)] = Term(data, rate);
  }
  KeepValues(data, memory);
}

void MujocoObservation::BeginStep(const mjData& data, std::span<double> memory) const {
  for (const Rate& rate : rates_) {
    // Until the end of the step, the place of the rate holds the term before it.
    memory[static_cast<size_t>(rate.memory)] =
        rate.before >= 0 ? memory[static_cast<size_t>(rate.before)] : Term(data, rate);
  }
}

void MujocoObservation::EndStep(const mjModel& model, mjData& data,
                                std::span<double> memory) const {
  if (observes_forces_ && at_ == ObservedAt::kLastEvaluation) {
    mj_rnePostConstraint(&model, &data);
  }
  KeepControls(data, memory);
  for (const Rate& rate : rates_) {
    double& remembered = memory[static_cast<size_t>(rate.memory)];
    const double term = Term(data, rate);
    remembered = (term - remembered) / dt_;
    if (rate.before >= 0) memory[static_cast<size_t>(rate.before)] = term;
  }
  KeepValues(data, memory);
}

void MujocoObservation::Observe(const mjData& data, std::span<const double> memory,
                                std::span<double> observation) const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    observation[i] = entry.memory >= 0 ? memory[static_cast<size_t>(entry.memory)]
                                       : Value(data, memory, entry.formula);
  }
}

DependentComponents MujocoObservation::Dependent(const mjModel& model) const {
  if (at_ != ObservedAt::kNewState) return {};
  DependentComponents components;
  // Null: no number of an array.
  const auto number_of = [this](const Entry& entry) -> const Number* {
    if (entry.formula.input < 0) return nullptr;
    const Input& input = inputs_[static_cast<size_t>(entry.formula.input)];
    return input.rate < 0 ? &input.number : nullptr;
  };
  for (int joint = 0; joint < model.njnt; ++joint) {
    if (model.jnt_type[joint] != mjJNT_HINGE && model.jnt_type[joint] != mjJNT_SLIDE) return {};
    const auto observed = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
      const Number* number = number_of(entry);
      return number != nullptr && kMujocoArrays[number->array].owner == ArrayOwner::kPosition &&
             number->index == model.jnt_qposadr[joint];
    });
    if (observed == entries_.end()) return {};
    components.on.push_back(static_cast<int>(observed - entries_.begin()));
  }
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Number* number = number_of(entries_[i]);
    if (number == nullptr) continue;
    const auto numbers = kMujocoArrays[number->array].numbers;
    const bool is_place =
        numbers == &mjData::xpos || numbers == &mjData::geom_xpos || numbers == &mjData::site_xpos;
    if (is_place) components.dependent.push_back(static_cast<int>(i));
  }
  return components;
}

void MujocoObservation::DependentJacobian(const mjModel& model, const mjData& data,
                                          const DependentComponents& components,
                                          std::span<double> jacobian) const {
  const auto nv = static_cast<size_t>(model.nv);  // one per joint
  std::vector<double> of_point(3 * nv);
  for (size_t row = 0; row < components.dependent.size(); ++row) {
    const Entry& entry = entries_[static_cast<size_t>(components.dependent[row])];
    const Number& number = inputs_[static_cast<size_t>(entry.formula.input)].number;
    const int object = number.index / 3;
    const MujocoArray& array = kMujocoArrays[number.array];
    const mjtNum* point = data.*array.numbers + 3 * object;
    const int body = array.owner == ArrayOwner::kNamedGeom   ? model.geom_bodyid[object]
                     : array.owner == ArrayOwner::kNamedSite ? model.site_bodyid[object]
                                                             : object;
    mj_jac(&model, &data, of_point.data(), nullptr, point, body);
    std::copy_n(of_point.data() + static_cast<size_t>(number.index % 3) * nv, nv,
                jacobian.data() + row * nv);
  }
}

}  // namespace foreplan
