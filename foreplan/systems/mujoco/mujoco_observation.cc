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

constexpr std::string_view kAxes[] = {"x", "y", "z"};
// What an array has one row of numbers for.
enum class Owner {
  kPosition,
  kVelocity,
  kActivation,
  kBody,
  kNamedBody,
  kNamedGeom,
  kNamedSite,
  kNamedSensor
};

struct Array {
  std::string name;
  Owner owner;
  int width;                        // numbers per row
  mjtNum* mjData::*numbers;         // row by row
  std::string_view component = "";  // what is added to the owner's name
};

const std::array<Array, 13> kArrays{{
    {"qpos", Owner::kPosition, 1, &mjData::qpos},
    {"qvel", Owner::kVelocity, 1, &mjData::qvel},
    {"act", Owner::kActivation, 1, &mjData::act},
    {"qfrc_actuator", Owner::kVelocity, 1, &mjData::qfrc_actuator, "_actuator_force"},
    {"qfrc_constraint", Owner::kVelocity, 1, &mjData::qfrc_constraint, "_constraint_force"},
    {"xpos", Owner::kNamedBody, 3, &mjData::xpos},
    {"subtree_com", Owner::kNamedBody, 3, &mjData::subtree_com, "_com"},
    {"geom_xpos", Owner::kNamedGeom, 3, &mjData::geom_xpos},
    {"site_xpos", Owner::kNamedSite, 3, &mjData::site_xpos},
    {"sensor", Owner::kNamedSensor, 1, &mjData::sensordata},
    {"cinert", Owner::kBody, 10, &mjData::cinert, "_cinert"},
    {"cvel", Owner::kBody, 6, &mjData::cvel, "_cvel"},
    {"cfrc_ext", Owner::kBody, 6, &mjData::cfrc_ext, "_cfrc_ext"},
}};

// Those that a state consists of; all others are measured.
bool IsState(size_t array) { return array < 3; }

bool HasName(const Array& array) {
  return array.owner == Owner::kNamedBody || array.owner == Owner::kNamedGeom ||
         array.owner == Owner::kNamedSite || array.owner == Owner::kNamedSensor;
}

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
  while (quantity.array < kArrays.size() && kArrays[quantity.array].name != name) ++quantity.array;
  if (quantity.array == kArrays.size()) {
    std::vector<std::string> known;
    for (const Array& array : kArrays) known.push_back(array.name);
    throw UnknownName(scanner.where(), "part", name, known);
  }
  if (HasName(kArrays[quantity.array])) {
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

// Of an array of the whole model.
int RowsOf(const mjModel& model, Owner owner) {
  switch (owner) {
    case Owner::kPosition:
      return static_cast<int>(model.nq);
    case Owner::kVelocity:
      return static_cast<int>(model.nv);
    case Owner::kActivation:
      return static_cast<int>(model.na);
    case Owner::kBody:
      return static_cast<int>(model.nbody);
    case Owner::kNamedBody:
    case Owner::kNamedGeom:
    case Owner::kNamedSite:
    case Owner::kNamedSensor:
      break;
  }
  return 0;
}

/// What has a name in a model.
struct ObjectKind {
  mjtObj type;
  std::string name;
  int count;
};
ObjectKind KindOf(const mjModel& model, Owner owner) {
  if (owner == Owner::kNamedBody) return {mjOBJ_BODY, "body", static_cast<int>(model.nbody)};
  if (owner == Owner::kNamedGeom) return {mjOBJ_GEOM, "geom", static_cast<int>(model.ngeom)};
  if (owner == Owner::kNamedSite) return {mjOBJ_SITE, "site", static_cast<int>(model.nsite)};
  return {mjOBJ_SENSOR, "sensor", static_cast<int>(model.nsensor)};
}

/// Numbers of one object, which a range counts one by one.
struct ObjectNumbers {
  int first;
  int count;
};
ObjectNumbers FindObject(const std::string& where, const mjModel& model, Owner owner,
                         const std::string& name) {
  const ObjectKind kind = KindOf(model, owner);
  std::vector<std::string> names;
  for (int i = 0; i < kind.count; ++i) {
    names.push_back(MujocoName(model, kind.type, i, kind.name));
  }
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw UnknownName(where, kind.name, name, names);
  const auto object = static_cast<int>(found - names.begin());
  if (owner != Owner::kNamedSensor) return {3 * object, 3};
  return {model.sensor_adr[object], model.sensor_dim[object]};
}

// "touch", or "gyro_x" ... of three numbers, or "name_0" ... of others.
std::string NameOfSensorNumber(const mjModel& model, int index, std::string_view kind) {
  int sensor = 0;
  while (index >= model.sensor_adr[sensor] + model.sensor_dim[sensor]) ++sensor;
  std::string name = fmt::format("{}{}", MujocoName(model, mjOBJ_SENSOR, sensor, "sensor"), kind);
  const int place = index - model.sensor_adr[sensor];
  if (model.sensor_dim[sensor] == 1) return name;
  if (model.sensor_dim[sensor] == 3) return fmt::format("{}_{}", name, kAxes[place]);
  return fmt::format("{}_{}", name, place);
}

// What is put behind the name of an object, so that it differs from that of another kind.
std::string_view KindName(Owner owner) {
  switch (owner) {
    case Owner::kPosition:
    case Owner::kVelocity:
      return "_joint";
    case Owner::kActivation:
      return "_actuator";
    case Owner::kBody:
    case Owner::kNamedBody:
      return "_body";
    case Owner::kNamedGeom:
      return "_geom";
    case Owner::kNamedSite:
      return "_site";
    case Owner::kNamedSensor:
      return "_sensor";
  }
  return "";
}

Component ComponentOf(const mjModel& model, const StateComponents& state, const Array& array,
                      int index, std::string_view kind) {
  const auto place = static_cast<size_t>(index);
  const auto of_state = [&](const std::vector<Component>& components) {
    return Component{fmt::format("{}{}", components[place].name, kind), components[place].unit};
  };
  switch (array.owner) {
    case Owner::kPosition:
      return of_state(state.positions);
    case Owner::kVelocity:
      if (array.component.empty()) return of_state(state.velocities);
      return {fmt::format("{}{}{}", state.dofs[place], kind, array.component),
              state.velocities[place].unit == "m/s" ? "N" : "N m"};
    case Owner::kActivation:
      return of_state(state.activations);
    case Owner::kBody:
      return {fmt::format("{}{}{}_{}", MujocoName(model, mjOBJ_BODY, index / array.width, "body"),
                          kind, array.component, index % array.width),
              ""};
    case Owner::kNamedSensor:
      return {NameOfSensorNumber(model, index, kind), ""};
    case Owner::kNamedBody:
    case Owner::kNamedGeom:
    case Owner::kNamedSite: {
      const ObjectKind object = KindOf(model, array.owner);
      return {fmt::format("{}{}{}_{}", MujocoName(model, object.type, index / 3, object.name), kind,
                          array.component, kAxes[index % 3]),
              "m"};
    }
  }
  return {};
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
                                     std::span<const ObservationPart> parts, double dt)
    : dt_(dt) {
  const StateComponents state = ComponentsOfState(model);
  DistinctNames names;
  for (const ObservationPart& part : parts) {
    std::vector<Entry> entries = EntriesOf(where, model, part);
    // "hip", or with its kind "hip_sensor"; of a difference "hip_minus_knee".
    const auto term = [&](const Entry& entry, bool with_kind) {
      const auto component = [&](const Number& number) {
        const Array& array = kArrays[number.array];
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
        HasName(kArrays[part.quantity.array]) && std::ranges::any_of(entries, is_taken);
    for (Entry& entry : entries) {
      const Component of = term(entry, any_taken || is_taken(entry));
      Component component = Apply(part.function, of);
      CheckNew(where, part, entry);
      component.name = names.Take(component.name);
      Add(entry, std::move(component), of.name);
    }
  }
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
  const Array& array = kArrays[quantity.array];
  const ObjectNumbers object = HasName(array)
                                   ? FindObject(where, model, array.owner, quantity.object)
                                   : ObjectNumbers{0, RowsOf(model, array.owner)};
  const int rows = object.count;
  const int last = quantity.range.last < 0 ? rows : quantity.range.last;
  if (quantity.range.first < 0 || last > rows || quantity.range.first >= last) {
    throw InputError(fmt::format("{}: found '{}[{}:{}]', expected a range within 0 ... {}", where,
                                 array.name, quantity.range.first, last, rows));
  }
  const int width = HasName(array) ? 1 : array.width;
  std::vector<Number> numbers;
  for (int i = quantity.range.first * width; i < last * width; ++i) {
    numbers.push_back({quantity.array, object.first + i});
  }
  return numbers;
}

void MujocoObservation::Add(Entry entry, Component component, const std::string& term) {
  const auto holds = [&](const auto& is) {
    return is(entry.number) || (entry.subtracted && is(*entry.subtracted));
  };
  const bool is_measured = holds([](const Number& of) { return !IsState(of.array); });
  const bool is_rate = entry.function == Function::kRate;
  if (is_measured || is_rate) entry.memory = Remember(component);
  if (is_measured && is_rate) entry.before = Remember({term + "_before", component.unit});
  observes_forces_ = observes_forces_ || holds([](const Number& of) {
                       return kArrays[of.array].numbers == &mjData::cfrc_ext;
                     });
  entries_.push_back(entry);
  components_.push_back(std::move(component));
}

int MujocoObservation::Remember(const Component& component) {
  memory_.push_back({component.name + "_measured", component.unit});
  return static_cast<int>(memory_.size()) - 1;
}

double MujocoObservation::Term(const mjData& data, const Entry& entry) {
  const auto read = [&](const Number& number) {
    return (data.*kArrays[number.array].numbers)[number.index];
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

void MujocoObservation::Start(const mjData& data, std::span<double> memory) const {
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
  if (observes_forces_) mj_rnePostConstraint(&model, &data);
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
  DependentComponents components;
  const auto is_plain = [](const Entry& entry) {
    return entry.function == Function::kValue && !entry.subtracted;
  };
  for (int joint = 0; joint < model.njnt; ++joint) {
    if (model.jnt_type[joint] != mjJNT_HINGE && model.jnt_type[joint] != mjJNT_SLIDE) return {};
    const auto observed = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
      return is_plain(entry) && kArrays[entry.number.array].owner == Owner::kPosition &&
             entry.number.index == model.jnt_qposadr[joint];
    });
    if (observed == entries_.end()) return {};
    components.on.push_back(static_cast<int>(observed - entries_.begin()));
  }
  for (size_t i = 0; i < entries_.size(); ++i) {
    const auto numbers = kArrays[entries_[i].number.array].numbers;
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
    const Array& array = kArrays[number.array];
    const mjtNum* point = data.*array.numbers + 3 * object;
    const int body = array.owner == Owner::kNamedGeom   ? model.geom_bodyid[object]
                     : array.owner == Owner::kNamedSite ? model.site_bodyid[object]
                                                        : object;
    mj_jac(&model, &data, of_point.data(), nullptr, point, body);
    std::copy_n(of_point.data() + static_cast<size_t>(number.index % 3) * nv, nv,
                jacobian.data() + row * nv);
  }
}

}  // namespace foreplan
