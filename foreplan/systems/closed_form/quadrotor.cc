#include "foreplan/systems/closed_form/quadrotor.h"

#include <string>

#include "foreplan/systems/closed_form/pictures.h"

namespace foreplan {

void QuadrotorOptions::Visit(OptionsVisitor& visitor) {
  const Range positive{1e-6, 1e6};
  visitor.Field("mass", mass, positive, "[kg]");
  visitor.Field("arm", arm, positive, "centre to rotor [m]");
  visitor.Field("drag_ratio", drag_ratio, {0, 1e6}, "yaw torque per thrust [m]");
  visitor.Field("inertia_x", inertia_x, positive, "[kg m^2]");
  visitor.Field("inertia_y", inertia_y, positive, "[kg m^2]");
  visitor.Field("inertia_z", inertia_z, positive, "[kg m^2]");
  visitor.Field("gravity", gravity, {0, 1e6}, "[m/s^2]");
  visitor.Field("max_thrust", max_thrust, positive, "of one rotor [N]");
  visitor.Field("timestep", timestep, {1e-5, 1}, "control period [s]");
}

SystemSpec QuadrotorFormula::Spec(const Options& options) {
  SystemSpec spec;
  spec.dt = options.timestep;
  for (const char* name : {"x", "y", "z"}) spec.state.push_back({name, "m"});
  for (const char* name : {"roll", "pitch", "yaw"}) spec.state.push_back({name, "rad"});
  for (const char* name : {"x", "y", "z"}) {
    spec.state.push_back({std::string(name) + "_velocity", "m/s"});
  }
  for (const char* name : {"x", "y", "z"}) {
    spec.state.push_back({std::string(name) + "_angular_velocity", "rad/s"});
  }
  spec.observation = spec.state;
  for (int rotor = 0; rotor < 4; ++rotor) {
    spec.action.push_back({"thrust" + std::to_string(rotor), "N"});
  }
  spec.action_low.assign(4, 0.0);
  spec.action_high.assign(4, options.max_thrust);
  return spec;
}

std::unique_ptr<Picture> QuadrotorFormula::MakePicture(const Options& options) {
  return QuadrotorPicture(options.arm);
}

}  // namespace foreplan
