#include "foreplan/systems/mujoco/mujoco_parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/expressions/text_scanner.h"

namespace foreplan {
namespace {

std::vector<std::string> Names(const mjModel& model, mjtObj type, int count,
                               const std::string& prefix) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back(MujocoName(model, type, i, prefix));
  return names;
}

int Count(const mjModel& model, mjtObj type) {
  switch (type) {
    case mjOBJ_BODY:
      return static_cast<int>(model.nbody);
    case mjOBJ_JOINT:
      return static_cast<int>(model.njnt);
    case mjOBJ_GEOM:
      return static_cast<int>(model.ngeom);
    case mjOBJ_SITE:
      return static_cast<int>(model.nsite);
    default:
      return static_cast<int>(model.nu);
  }
}

/// Degrees of freedom of a joint.
int DofCount(const mjModel& model, int joint) {
  switch (model.jnt_type[joint]) {
    case mjJNT_FREE:
      return 6;
    case mjJNT_BALL:
      return 3;
    default:
      return 1;
  }
}

void FillDofs(const mjModel& model, int joint, double value, mjtNum* field) {
  std::fill_n(field + model.jnt_dofadr[joint], DofCount(model, joint), value);
}

}  // namespace

struct MujocoParameter::Field {
  const char* name;
  mjtObj type;
  const char* prefix;  // of objects without a name
  int entries;         // an index goes below
  bool needs_index;
  Setter set;
  Getter get;
};

// Adding a field is one entry here.
const MujocoParameter::Field MujocoParameter::kFields[] = {
    {"body_mass", mjOBJ_BODY, "body", 1, false,
     [](mjModel& m, int body, int, double value) { m.body_mass[body] = value; },
     [](const mjModel& m, int body, int) -> double { return m.body_mass[body]; }},
    {"mass_and_inertia", mjOBJ_BODY, "body", 1, false,
     [](mjModel& m, int body, int, double value) {
       const double ratio = value / m.body_mass[body];
       m.body_mass[body] = value;
       for (int i = 0; i < 3; ++i) m.body_inertia[3 * body + i] *= ratio;
     },
     [](const mjModel& m, int body, int) -> double { return m.body_mass[body]; }},
    {"body_inertia", mjOBJ_BODY, "body", 3, true,
     [](mjModel& m, int body, int i, double value) { m.body_inertia[3 * body + i] = value; },
     [](const mjModel& m, int body, int i) -> double { return m.body_inertia[3 * body + i]; }},
    {"dof_damping", mjOBJ_JOINT, "joint", 1, false,
     [](mjModel& m, int joint, int, double value) { FillDofs(m, joint, value, m.dof_damping); },
     [](const mjModel& m, int joint, int) -> double { return m.dof_damping[m.jnt_dofadr[joint]]; }},
    {"dof_frictionloss", mjOBJ_JOINT, "joint", 1, false,
     [](mjModel& m, int joint, int, double value) {
       FillDofs(m, joint, value, m.dof_frictionloss);
     },
     [](const mjModel& m, int joint, int) -> double {
       return m.dof_frictionloss[m.jnt_dofadr[joint]];
     }},
    {"dof_armature", mjOBJ_JOINT, "joint", 1, false,
     [](mjModel& m, int joint, int, double value) { FillDofs(m, joint, value, m.dof_armature); },
     [](const mjModel& m, int joint, int) -> double {
       return m.dof_armature[m.jnt_dofadr[joint]];
     }},
    {"jnt_stiffness", mjOBJ_JOINT, "joint", 1, false,
     [](mjModel& m, int joint, int, double value) { m.jnt_stiffness[joint] = value; },
     [](const mjModel& m, int joint, int) -> double { return m.jnt_stiffness[joint]; }},
    {"geom_friction", mjOBJ_GEOM, "geom", 3, false,
     [](mjModel& m, int geom, int i, double value) { m.geom_friction[3 * geom + i] = value; },
     [](const mjModel& m, int geom, int i) -> double { return m.geom_friction[3 * geom + i]; }},
    {"actuator_gear", mjOBJ_ACTUATOR, "actuator", 6, false,
     [](mjModel& m, int actuator, int i, double value) {
       m.actuator_gear[6 * actuator + i] = value;
     },
     [](const mjModel& m, int actuator, int i) -> double {
       return m.actuator_gear[6 * actuator + i];
     }},
    {"body_pos", mjOBJ_BODY, "body", 3, true,
     [](mjModel& m, int body, int i, double value) {
       m.body_pos[3 * body + i] = value;
       const int mocap = m.body_mocapid[body];
       for (int key = 0; mocap >= 0 && key < m.nkey; ++key) {
         m.key_mpos[3 * (key * m.nmocap + mocap) + i] = value;
       }
     },
     [](const mjModel& m, int body, int i) -> double { return m.body_pos[3 * body + i]; }},
    {"geom_pos", mjOBJ_GEOM, "geom", 3, true,
     [](mjModel& m, int geom, int i, double value) { m.geom_pos[3 * geom + i] = value; },
     [](const mjModel& m, int geom, int i) -> double { return m.geom_pos[3 * geom + i]; }},
    {"site_pos", mjOBJ_SITE, "site", 3, true,
     [](mjModel& m, int site, int i, double value) { m.site_pos[3 * site + i] = value; },
     [](const mjModel& m, int site, int i) -> double { return m.site_pos[3 * site + i]; }},
};

MujocoParameter::MujocoParameter(const std::string& where, const std::string& name,
                                 const mjModel& model) {
  TextScanner scanner(where, name);
  const std::string field_name = scanner.Name("a field of the model");
  const auto* field =
      std::ranges::find_if(kFields, [&](const Field& known) { return field_name == known.name; });
  if (field == std::end(kFields)) {
    std::vector<std::string> known;
    for (const Field& entry : kFields) known.emplace_back(entry.name);
    throw UnknownName(where, "field of the MuJoCo model", field_name, known);
  }
  scanner.Expect('(');
  const std::string object = scanner.Name("its object");
  scanner.Expect(')');
  const std::vector<std::string> names =
      Names(model, field->type, Count(model, field->type), field->prefix);
  const auto found = std::ranges::find(names, object);
  if (found == names.end()) throw UnknownName(where, field->prefix, object, names);
  object_ = static_cast<int>(found - names.begin());
  index_ = 0;
  if (scanner.Take('[')) {
    index_ = scanner.Number<int>("an index");
    if (index_ < 0 || index_ >= field->entries) {
      throw scanner.Error(fmt::format("an index from 0 to {}, read", field->entries - 1));
    }
    scanner.Expect(']');
  } else if (field->needs_index) {
    throw scanner.Error("'[' and an index");
  }
  scanner.ExpectEnd();
  set_ = field->set;
  get_ = field->get;
  if (field_name == "mass_and_inertia" && !(model.body_mass[object_] > 0)) {
    throw InputError(
        fmt::format("{}: '{}': found a body without mass in the model, expected one "
                    "whose inertia can grow with it",
                    where, name));
  }
}

int MujocoParameter::Entries(const std::string& field) {
  const auto* found =
      std::ranges::find_if(kFields, [&](const Field& known) { return field == known.name; });
  return found == std::end(kFields) ? 0 : found->entries;
}

void MujocoParameter::Set(double value, mjModel& model) const {
  set_(model, object_, index_, value);
}

double MujocoParameter::Get(const mjModel& model) const { return get_(model, object_, index_); }

}  // namespace foreplan
