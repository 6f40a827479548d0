#include "foreplan/systems/closed_form/pendulum.h"

#include "foreplan/systems/closed_form/pictures.h"

namespace foreplan {
namespace {

SystemSpec MakeSpec(const PendulumOptions& options) {
  SystemSpec spec;
  spec.dt = options.timestep;
  spec.state = {{"theta", "rad"}, {"theta_dot", "rad/s"}};
  spec.observation = {{"cos_theta", ""}, {"sin_theta", ""}, {"theta_dot", "rad/s"}};
  spec.action = {{"torque", "N m"}};
  spec.action_low = {-options.max_torque};
  spec.action_high = {options.max_torque};
  return spec;
}

}  // namespace

void PendulumOptions::Visit(OptionsVisitor& visitor) {
  const Range positive{1e-6, 1e6};
  visitor.Field("gravity", gravity, {0, 1e6}, "[m/s^2]");
  visitor.Field("mass", mass, positive, "of a uniform rod [kg]");
  visitor.Field("length", length, positive, "[m]");
  visitor.Field("max_torque", max_torque, positive, "bound of |action| [N m]");
  visitor.Field("max_velocity", max_velocity, positive, "theta_dot is clipped to this [rad/s]");
  visitor.Field("timestep", timestep, {1e-5, 1}, "control period [s]");
}

Pendulum::Pendulum(const Options& options) : ClosedFormOf(MakeSpec(options)), options_(options) {}

std::unique_ptr<System> Pendulum::Clone() const { return std::make_unique<Pendulum>(*this); }

void Pendulum::Reset(Key key) {
  Random random(key);
  const double theta = options_.reset.Draw(options_.reset.position, random);
  const double theta_dot = options_.reset.Draw(options_.reset.velocity, random);
  SetState(std::array{theta, theta_dot});
}

std::unique_ptr<Picture> Pendulum::MakePicture() const { return PendulumPicture(options_.length); }

}  // namespace foreplan
