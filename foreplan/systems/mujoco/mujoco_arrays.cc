#include "foreplan/systems/mujoco/mujoco_arrays.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

constexpr std::string_view kAxes[] = {"x", "y", "z"};
constexpr std::string_view kQuaternion[] = {"qw", "qx", "qy", "qz"};

/// What has a name in a model.
struct ObjectKind {
  mjtObj type;
  std::string name;
  int count;
};
ObjectKind KindOf(const mjModel& model, ArrayOwner owner) {
  if (owner == ArrayOwner::kNamedBody) return {mjOBJ_BODY, "body", static_cast<int>(model.nbody)};
  if (owner == ArrayOwner::kNamedGeom) return {mjOBJ_GEOM, "geom", static_cast<int>(model.ngeom)};
  if (owner == ArrayOwner::kNamedSite) return {mjOBJ_SITE, "site", static_cast<int>(model.nsite)};
  return {mjOBJ_SENSOR, "sensor", static_cast<int>(model.nsensor)};
}

/// That `index` of sensordata is of.
int SensorOf(const mjModel& model, int index) {
  int sensor = 0;
  while (index >= model.sensor_adr[sensor] + model.sensor_dim[sensor]) ++sensor;
  return sensor;
}

// "touch", or "gyro_x" ... of three numbers, or "name_0" ... of others.
std::string NameOfSensorNumber(const mjModel& model, int index, std::string_view kind) {
  const int sensor = SensorOf(model, index);
  std::string name = fmt::format("{}{}", MujocoName(model, mjOBJ_SENSOR, sensor, "sensor"), kind);
  const int place = index - model.sensor_adr[sensor];
  if (model.sensor_dim[sensor] == 1) return name;
  if (model.sensor_dim[sensor] == 3) return fmt::format("{}_{}", name, kAxes[place]);
  return fmt::format("{}_{}", name, place);
}

/// "x" of a place, "qw" of a quaternion, "xz" of a 3 x 3 matrix: row x, column z.
std::string NameInObject(int place, int width) {
  if (width == 3) return std::string(kAxes[place]);
  if (width == 4) return std::string(kQuaternion[place]);
  return fmt::format("{}{}", kAxes[place / 3], kAxes[place % 3]);
}

}  // namespace

MujocoEvaluation EvaluationOf(const mjModel& model, const MujocoArray& array, int index) {
  if (array.owner != ArrayOwner::kNamedSensor) return array.needs;
  const bool is_force = model.sensor_needstage[SensorOf(model, index)] == mjSTAGE_ACC;
  return is_force ? MujocoEvaluation::kForces : array.needs;
}

int RowsOf(const mjModel& model, ArrayOwner owner) {
  switch (owner) {
    case ArrayOwner::kPosition:
      return static_cast<int>(model.nq);
    case ArrayOwner::kVelocity:
      return static_cast<int>(model.nv);
    case ArrayOwner::kActivation:
      return static_cast<int>(model.na);
    case ArrayOwner::kBody:
      return static_cast<int>(model.nbody);
    case ArrayOwner::kNamedBody:
    case ArrayOwner::kNamedGeom:
    case ArrayOwner::kNamedSite:
    case ArrayOwner::kNamedSensor:
      break;
  }
  return 0;
}

ObjectNumbers FindObject(const std::string& where, const mjModel& model, const MujocoArray& array,
                         const std::string& name) {
  const ObjectKind kind = KindOf(model, array.owner);
  std::vector<std::string> names;
  for (int i = 0; i < kind.count; ++i) {
    names.push_back(MujocoName(model, kind.type, i, kind.name));
  }
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw UnknownName(where, kind.name, name, names);
  const auto object = static_cast<int>(found - names.begin());
  if (array.owner != ArrayOwner::kNamedSensor) return {array.width * object, array.width};
  return {model.sensor_adr[object], model.sensor_dim[object]};
}

std::string_view KindName(ArrayOwner owner) {
  switch (owner) {
    case ArrayOwner::kPosition:
    case ArrayOwner::kVelocity:
      return "_joint";
    case ArrayOwner::kActivation:
      return "_actuator";
    case ArrayOwner::kBody:
    case ArrayOwner::kNamedBody:
      return "_body";
    case ArrayOwner::kNamedGeom:
      return "_geom";
    case ArrayOwner::kNamedSite:
      return "_site";
    case ArrayOwner::kNamedSensor:
      return "_sensor";
  }
  return "";
}

Component ComponentOf(const mjModel& model, const StateComponents& state, const MujocoArray& array,
                      int index, std::string_view kind) {
  const auto place = static_cast<size_t>(index);
  const auto of_state = [&](const std::vector<Component>& components) {
    return Component{fmt::format("{}{}", components[place].name, kind), components[place].unit};
  };
  switch (array.owner) {
    case ArrayOwner::kPosition:
      return of_state(state.positions);
    case ArrayOwner::kVelocity:
      if (array.component.empty()) return of_state(state.velocities);
      return {fmt::format("{}{}{}", state.dofs[place], kind, array.component),
              state.velocities[place].unit == "m/s" ? "N" : "N m"};
    case ArrayOwner::kActivation:
      return of_state(state.activations);
    case ArrayOwner::kBody:
      return {fmt::format("{}{}{}_{}", MujocoName(model, mjOBJ_BODY, index / array.width, "body"),
                          kind, array.component, index % array.width),
              ""};
    case ArrayOwner::kNamedSensor:
      return {NameOfSensorNumber(model, index, kind), ""};
    case ArrayOwner::kNamedBody:
    case ArrayOwner::kNamedGeom:
    case ArrayOwner::kNamedSite: {
      const ObjectKind object = KindOf(model, array.owner);
      const std::string name =
          fmt::format("{}{}{}", MujocoName(model, object.type, index / array.width, object.name),
                      kind, array.component);
      return {fmt::format("{}_{}", name, NameInObject(index % array.width, array.width)),
              array.width == 3 ? "m" : ""};
    }
  }
  return {};
}

}  // namespace foreplan
