// Numbers of a compiled MuJoCo model that can be changed by name.
#pragma once

#include <string>

#include "foreplan/systems/mujoco/mujoco.h"

namespace foreplan {

/// One entry of a field of the model, in MuJoCo's own names and units:
///   body_mass(BODY)             [kg]; the inertia stays
///   mass_and_inertia(BODY)      mass [kg] of a body whose inertia grows with it (known shape)
///   body_inertia(BODY)[i]       principal moment i [kg m^2]
///   dof_damping(JOINT)          [N s/m] or [N m s/rad], of all its degrees of freedom
///   dof_frictionloss(JOINT)     [N] or [N m], likewise
///   dof_armature(JOINT)         [kg] or [kg m^2], likewise
///   jnt_stiffness(JOINT)        [N/m] or [N m/rad]
///   geom_friction(GEOM)[i]      sliding (0, which may be left out), torsional, rolling
///   actuator_gear(ACTUATOR)[i]  0 may be left out
///   body_pos(BODY)[i]           place [m] in its parent, also of a mocap body
///   geom_pos(GEOM)[i]           place [m] in its body, whose mass stays where it is
///   site_pos(SITE)[i]           place [m] in its body
class MujocoParameter {
 public:
  /// Throws InputError, which starts with `where`: an unknown field or object, an index that the
  /// field does not have.
  MujocoParameter(const std::string& where, const std::string& name, const mjModel& model);

  /// How many numbers a field has per object; 0: no field.
  [[nodiscard]] static int Entries(const std::string& field);

  void Set(double value, mjModel& model) const;
  [[nodiscard]] double Get(const mjModel& model) const;

 private:
  using Setter = void (*)(mjModel& model, int object, int index, double value);
  using Getter = double (*)(const mjModel& model, int object, int index);
  struct Field;
  static const Field kFields[];

  Setter set_;
  Getter get_;
  int object_;
  int index_;
};

}  // namespace foreplan
