#include "foreplan/systems/closed_form/acrobot.h"

#include "foreplan/systems/closed_form/pictures.h"

namespace foreplan {

void AcrobotOptions::Visit(OptionsVisitor& visitor) {
  const Range positive{1e-6, 1e6};
  visitor.Field("mass1", mass1, positive, "of the first link [kg]");
  visitor.Field("mass2", mass2, positive, "of the second link [kg]");
  visitor.Field("length1", length1, positive, "of the first link [m]");
  visitor.Field("center1", center1, positive, "joint to centre of mass, first link [m]");
  visitor.Field("center2", center2, positive, "joint to centre of mass, second link [m]");
  visitor.Field("inertia1", inertia1, positive, "about the centre of mass [kg m^2]");
  visitor.Field("inertia2", inertia2, positive, "about the centre of mass [kg m^2]");
  visitor.Field("gravity", gravity, {0, 1e6}, "[m/s^2]");
  visitor.Field("max_torque", max_torque, positive, "bound of |torque| [N m]");
  visitor.Field("timestep", timestep, {1e-5, 1}, "control period [s]");
}

SystemSpec AcrobotFormula::Spec(const Options& options) {
  SystemSpec spec;
  spec.dt = options.timestep;
  spec.state = {{"joint1", "rad"},
                {"joint2", "rad"},
                {"joint1_velocity", "rad/s"},
                {"joint2_velocity", "rad/s"}};
  spec.observation = spec.state;
  spec.action = {{"torque", "N m"}};
  spec.action_low = {-options.max_torque};
  spec.action_high = {options.max_torque};
  return spec;
}

std::unique_ptr<Picture> AcrobotFormula::MakePicture(const Options& options) {
  return AcrobotPicture(options.length1, 2 * options.center2);
}

}  // namespace foreplan
