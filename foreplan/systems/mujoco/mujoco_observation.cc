#include "foreplan/systems/mujoco/mujoco_observation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/systems/mujoco/mujoco_components.h"

namespace foreplan {
namespace {

using Function = ObservationPart::Function;
const std::array<std::pair<std::string_view, Function>, 4> kFunctions{{{"sin", Function::kSin},
                                                                       {"cos", Function::kCos},
                                                                       {"clip", Function::kClip},
                                                                       {"rate", Function::kRate}}};

std::optional<Function> FunctionOf(std::string_view name) {
  for (const auto& [known, function] : kFunctions) {
    if (name == known) return function;
  }
  return std::nullopt;
}

ObservationPart::Quantity ParseQuantity(TextScanner& scanner, const std::string& name) {
  ObservationPart::Quantity quantity;
  while (quantity.array < kMujocoArrays.size() && kMujocoArrays[quantity.array].name != name)
    ++quantity.array;
  if (quantity.array == kMujocoArrays.size()) {
    std::vector<std::string> known;
    for (const MujocoArray& array : kMujocoArrays) known.emplace_back(array.name);
    throw UnknownName(scanner.where(), "part", name, known);
  }
  if (kMujocoArrays[quantity.array].HasName()) {
    scanner.Expect('(');
    quantity.object = scanner.Name("a name of the model");
    scanner.Expect(')');
  }
  quantity.range = scanner.Range();
  return quantity;
}

ObservationPart ParsePart(const std::string& where, const std::string& text) {
  TextScanner scanner(where, text);
  ObservationPart part;
  part.text = text;
  std::string name = scanner.Name("an array or a function");
  const std::optional<Function> function = FunctionOf(name);
  if (function) {
    part.function = *function;
    scanner.Expect('(');
    name = scanner.Name("an array");
  }
  part.quantity = ParseQuantity(scanner, name);
  if (scanner.Take('-')) part.subtracted = ParseQuantity(scanner, scanner.Name("an array"));
  if (part.function == Function::kClip) {
    scanner.Expect(',');
    part.low = scanner.Number<double>("the lower bound");
    scanner.Expect(',');
    part.high = scanner.Number<double>("the upper bound");
    if (!(part.low < part.high)) throw scanner.Error("a lower bound below the upper one");
  }
  if (function) scanner.Expect(')');
  scanner.ExpectEnd();
  return part;
}

Component Apply(Function function, Component component) {
  switch (function) {
    case Function::kValue:
      return component;
    case Function::kSin:
      return {component.name + "_sin", ""};
    case Function::kCos:
      return {component.name + "_cos", ""};
    case Function::kClip:
      return {component.name + "_clipped", component.unit};
    case Function::kRate:
      return {component.name + "_rate", component.unit + "/s"};
  }
  return component;
}

}  // namespace

std::vector<ObservationPart> ParseObservation(const std::string& where,
                                              std::span<const std::string> texts) {
  std::vector<ObservationPart> parts;
  parts.reserve(texts.size());
  for (const std::string& text : texts) parts.push_back(ParsePart(where, text));
  return parts;
}

MujocoObservation::MujocoObservation(const std::string& where, const mjModel& model,
                                     std::span<const ObservationPart> parts, double dt,
                                     ObservedAt at)
    : dt_(dt), at_(at) {
  const StateComponents state = ComponentsOfState(model);
  DistinctNames names;
  for (const ObservationPart& part : parts) {
    std::vector<Entry> entries = EntriesOf(where, model, part);
    // "hip", or with its kind "hip_sensor"; of a difference "hip_minus_knee".
    const auto term = [&](const Entry& entry, bool with_kind) {
      const auto component = [&](const Number& number) {
        const MujocoArray& array = kMujocoArrays[number.array];
        return ComponentOf(model, state, array, number.index,
                           with_kind ? KindName(array.owner) : "");
      };
      Component of = component(entry.number);
      if (entry.subtracted) of.name += "_minus_" + component(*entry.subtracted).name;
      return of;
    };
    const auto is_taken = [&](const Entry& entry) {
      return names.IsTaken(Apply(part.function, term(entry, false)).name);
    };
    // The coordinates of a place have names alike.
    const bool any_taken =
        kMujocoArrays[part.quantity.array].HasName() && std::ranges::any_of(entries, is_taken);
    for (Entry& entry : entries) {
      const Component of = term(entry, any_taken || is_taken(entry));
      Component component = Apply(part.function, of);
      CheckNew(where, part, entry);
      component.name = names.Take(component.name);
      Add(model, entry, std::move(component), of.name);
    }
  }
  if (needs_ == MujocoEvaluation::kForces) RememberControls(model);
}

std::vector<MujocoObservation::Entry> MujocoObservation::EntriesOf(const std::string& where,
                                                                   const mjModel& model,
                                                                   const ObservationPart& part) {
  const std::vector<Number> numbers = NumbersOf(where, model, part.quantity);
  std::vector<Number> subtracted;
  if (part.subtracted) subtracted = NumbersOf(where, model, *part.subtracted);
  if (part.subtracted && subtracted.size() != numbers.size()) {
    throw InputError(fmt::format("{}: found '{}' of {} and {} numbers, expected as many", where,
                                 part.text, numbers.size(), subtracted.size()));
  }
  std::vector<Entry> entries;
  for (size_t i = 0; i < numbers.size(); ++i) {
    entries.push_back({part.function, part.low, part.high, numbers[i],
                       part.subtracted ? std::optional(subtracted[i]) : std::nullopt});
  }
  return entries;
}

void MujocoObservation::CheckNew(const std::string& where, const ObservationPart& part,
                                 const Entry& entry) const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (!entries_[i].ReadsTheSame(entry)) continue;
    throw InputError(
        fmt::format("{}: found observation component '{}' twice, the second time as '{}', expected "
                    "each number once",
                    where, components_[i].name, part.text));
  }
}

std::vector<MujocoObservation::Number> MujocoObservation::NumbersOf(
    const std::string& where, const mjModel& model, const ObservationPart::Quantity& quantity) {
  const MujocoArray& array = kMujocoArrays[quantity.array];
  const ObjectNumbers object = array.HasName()
                                   ? FindObject(where, model, array.owner, quantity.object)
                                   : ObjectNumbers{0, RowsOf(model, array.owner)};
  const int rows = object.count;
  if (rows == 0) {
    throw InputError(fmt::format("{}: found '{}', expected another part: the model has none", where,
                                 array.name));
  }
  const int last = quantity.range.last < 0 ? rows : quantity.range.last;
  if (quantity.range.first < 0 || last > rows || quantity.range.first >= last) {
    throw InputError(fmt::format("{}: found '{}[{}:{}]', expected a range within 0 ... {}", where,
                                 array.name, quantity.range.first, last, rows));
  }
  const int width = array.HasName() ? 1 : array.width;
  std::vector<Number> numbers;
  for (int i = quantity.range.first * width; i < last * width; ++i) {
    numbers.push_back({quantity.array, object.first + i});
  }
  return numbers;
}

void MujocoObservation::Add(const mjModel& model, Entry entry, Component component,
                            const std::string& term) {
  const auto holds = [&](const auto& is) {
    return is(entry.number) || (entry.subtracted && is(*entry.subtracted));
  };
  const auto is_measured_array = [](const Number& of) {
    return kMujocoArrays[of.array].needs != MujocoEvaluation::kNone;
  };
  const bool is_measured = at_ == ObservedAt::kLastEvaluation && holds(is_measured_array);
  const bool is_rate = entry.function == Function::kRate;
  if (is_measured || is_rate) entry.memory = Remember(component);
  if (is_measured && is_rate) entry.before = Remember({term + "_before", component.unit});
  if (at_ == ObservedAt::kNewState) {
    const auto evaluation_of = [&](const Number& of) {
      return EvaluationOf(model, kMujocoArrays[of.array], of.index);
    };
    MujocoEvaluation needed = evaluation_of(entry.number);
    if (entry.subtracted) needed = std::max(needed, evaluation_of(*entry.subtracted));
    needs_ = std::max(needs_, needed);
    step_reads_evaluation_ =
        step_reads_evaluation_ || (is_rate && needed != MujocoEvaluation::kNone);
  }
  observes_forces_ = observes_forces_ || holds([](const Number& of) {
                       return kMujocoArrays[of.array].numbers == &mjData::cfrc_ext;
                     });
  entries_.push_back(entry);
  components_.push_back(std::move(component));
}

void MujocoObservation::RememberControls(const mjModel& model) {
  first_control_ = memory_.size();
  controls_ = static_cast<size_t>(model.nu);
  for (int i = 0; i < model.nu; ++i) {
    memory_.push_back({MujocoName(model, mjOBJ_ACTUATOR, i, "actuator") + "_control", ""});
  }
}

int MujocoObservation::Remember(const Component& component) {
  memory_.push_back({component.name + "_measured", component.unit});
  return static_cast<int>(memory_.size()) - 1;
}

double MujocoObservation::Term(const mjData& data, const Entry& entry) {
  const auto read = [&](const Number& number) {
    return (data.*kMujocoArrays[number.array].numbers)[number.index];
  };
  return read(entry.number) - (entry.subtracted ? read(*entry.subtracted) : 0.0);
}

double MujocoObservation::Value(const mjData& data, const Entry& entry) {
  const double term = Term(data, entry);
  switch (entry.function) {
    case Function::kSin:
      return std::sin(term);
    case Function::kCos:
      return std::cos(term);
    case Function::kClip:
      return std::clamp(term, entry.low, entry.high);
    case Function::kValue:
    case Function::kRate:
      break;
  }
  return term;
}

bool MujocoObservation::StepReads(size_t memory) const {
  return std::ranges::any_of(entries_, [memory](const Entry& entry) {
    return entry.before >= 0 && static_cast<size_t>(entry.before) == memory;
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

void MujocoObservation::Start(const mjData& data, std::span<double> memory) const {
  KeepControls(data, memory);
  for (const Entry& entry : entries_) {
    if (entry.memory < 0) continue;
    const bool rate = entry.function == Function::kRate;
    memory[static_cast<size_t>(entry.memory)] = rate ? 0.0 : Value(data, entry);
    if (entry.before >= 0) memory[static_cast<size_t>(entry.before)] = Term(data, entry);
  }
}

void MujocoObservation::BeginStep(const mjData& data, std::span<double> memory) const {
  for (const Entry& entry : entries_) {
    if (entry.function != Function::kRate) continue;
    // Until the end of the step, the place of the rate holds the term before it.
    memory[static_cast<size_t>(entry.memory)] =
        entry.before >= 0 ? memory[static_cast<size_t>(entry.before)] : Term(data, entry);
  }
}

void MujocoObservation::EndStep(const mjModel& model, mjData& data,
                                std::span<double> memory) const {
  if (observes_forces_ && at_ == ObservedAt::kLastEvaluation) {
    mj_rnePostConstraint(&model, &data);
  }
  KeepControls(data, memory);
  for (const Entry& entry : entries_) {
    if (entry.memory < 0) continue;
    double& remembered = memory[static_cast<size_t>(entry.memory)];
    if (entry.function != Function::kRate) {
      remembered = Value(data, entry);
      continue;
    }
    const double term = Term(data, entry);
    remembered = (term - remembered) / dt_;
    if (entry.before >= 0) memory[static_cast<size_t>(entry.before)] = term;
  }
}

void MujocoObservation::Observe(const mjData& data, std::span<const double> memory,
                                std::span<double> observation) const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    observation[i] =
        entry.memory >= 0 ? memory[static_cast<size_t>(entry.memory)] : Value(data, entry);
  }
}

DependentComponents MujocoObservation::Dependent(const mjModel& model) const {
  if (at_ != ObservedAt::kNewState) return {};
  DependentComponents components;
  const auto is_plain = [](const Entry& entry) {
    return entry.function == Function::kValue && !entry.subtracted;
  };
  for (int joint = 0; joint < model.njnt; ++joint) {
    if (model.jnt_type[joint] != mjJNT_HINGE && model.jnt_type[joint] != mjJNT_SLIDE) return {};
    const auto observed = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
      return is_plain(entry) && kMujocoArrays[entry.number.array].owner == ArrayOwner::kPosition &&
             entry.number.index == model.jnt_qposadr[joint];
    });
    if (observed == entries_.end()) return {};
    components.on.push_back(static_cast<int>(observed - entries_.begin()));
  }
  for (size_t i = 0; i < entries_.size(); ++i) {
    const auto numbers = kMujocoArrays[entries_[i].number.array].numbers;
    const bool is_place =
        numbers == &mjData::xpos || numbers == &mjData::geom_xpos || numbers == &mjData::site_xpos;
    if (is_plain(entries_[i]) && is_place) components.dependent.push_back(static_cast<int>(i));
  }
  return components;
}

void MujocoObservation::DependentJacobian(const mjModel& model, const mjData& data,
                                          const DependentComponents& components,
                                          std::span<double> jacobian) const {
  const auto nv = static_cast<size_t>(model.nv);  // one per joint
  std::vector<double> of_point(3 * nv);
  for (size_t row = 0; row < components.dependent.size(); ++row) {
    const Number& number = entries_[static_cast<size_t>(components.dependent[row])].number;
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
