#include "foreplan/systems/mujoco/mujoco_components.h"

#include <fmt/format.h>

#include <string_view>

namespace foreplan {
namespace {

constexpr std::string_view kAxes[] = {"x", "y", "z"};
constexpr std::string_view kQuaternion[] = {"qw", "qx", "qy", "qz"};

bool HasOneDegree(const mjModel& model, int joint) {
  return model.jnt_type[joint] == mjJNT_HINGE || model.jnt_type[joint] == mjJNT_SLIDE;
}

std::string JointName(const mjModel& model, int joint) {
  return MujocoName(model, mjOBJ_JOINT, joint, "joint");
}

void AddJoint(const mjModel& model, int joint, DistinctNames& names, StateComponents& all) {
  const std::string name = JointName(model, joint);
  const auto add_velocity = [&](const std::string& dof, const std::string& unit) {
    all.velocities.push_back({names.Take(dof + "_velocity"), unit});
    all.dofs.push_back(dof);
  };
  if (HasOneDegree(model, joint)) {
    const std::string unit = model.jnt_type[joint] == mjJNT_SLIDE ? "m" : "rad";
    all.positions.push_back({name, unit});
    add_velocity(name, unit + "/s");
    return;
  }
  if (model.jnt_type[joint] == mjJNT_FREE) {
    for (const auto axis : kAxes) {
      const std::string place = fmt::format("{}_{}", name, axis);
      all.positions.push_back({names.Take(place), "m"});
      add_velocity(place, "m/s");
    }
  }
  for (const auto entry : kQuaternion) {
    all.positions.push_back({names.Take(fmt::format("{}_{}", name, entry)), ""});
  }
  for (const auto axis : kAxes) add_velocity(fmt::format("{}_{}_angular", name, axis), "rad/s");
}

}  // namespace

std::string DistinctNames::Take(const std::string& name) {
  std::string distinct = name;
  for (int i = 2; !taken_.insert(distinct).second; ++i) distinct = fmt::format("{}_{}", name, i);
  return distinct;
}

StateComponents ComponentsOfState(const mjModel& model) {
  DistinctNames names;
  for (int joint = 0; joint < model.njnt; ++joint) {
    if (HasOneDegree(model, joint)) names.Take(JointName(model, joint));
  }
  StateComponents all;
  for (int joint = 0; joint < model.njnt; ++joint) AddJoint(model, joint, names, all);
  for (int i = 0; i < model.na; ++i) {
    all.activations.push_back({names.Take(MujocoActivationName(model, i)), ""});
  }
  return all;
}

}  // namespace foreplan
