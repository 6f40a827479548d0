#include "foreplan/systems/closed_form/planar_quadrotor.h"

#include "foreplan/systems/closed_form/pictures.h"

namespace foreplan {

void PlanarQuadrotorOptions::Visit(OptionsVisitor& visitor) {
  const Range positive{1e-6, 1e6};
  visitor.Field("mass", mass, positive, "[kg]");
  visitor.Field("arm", arm, positive, "centre to rotor [m]");
  visitor.Field("inertia", inertia, positive, "[kg m^2]");
  visitor.Field("gravity", gravity, {0, 1e6}, "[m/s^2]");
  visitor.Field("max_thrust", max_thrust, positive, "of one rotor [N]");
  visitor.Field("timestep", timestep, {1e-5, 1}, "control period [s]");
}

SystemSpec PlanarQuadrotorFormula::Spec(const Options& options) {
  SystemSpec spec;
  spec.dt = options.timestep;
  spec.state = {{"x", "m"},
                {"z", "m"},
                {"pitch", "rad"},
                {"x_velocity", "m/s"},
                {"z_velocity", "m/s"},
                {"pitch_velocity", "rad/s"}};
  spec.observation = spec.state;
  spec.action = {{"left_thrust", "N"}, {"right_thrust", "N"}};
  spec.action_low.assign(2, 0.0);
  spec.action_high.assign(2, options.max_thrust);
  return spec;
}

std::unique_ptr<Picture> PlanarQuadrotorFormula::MakePicture(const Options& options) {
  return PlanarQuadrotorPicture(options.arm);
}

}  // namespace foreplan
