#include "foreplan/systems/closed_form/cartpole.h"

#include <algorithm>
#include <numbers>

#include "foreplan/systems/closed_form/pictures.h"

namespace foreplan {

SystemSpec CartPoleSpec(double dt, const Component& action, double bound) {
  SystemSpec spec;
  spec.dt = dt;
  spec.state = {
      {"slider", "m"}, {"hinge", "rad"}, {"slider_velocity", "m/s"}, {"hinge_velocity", "rad/s"}};
  spec.observation = spec.state;
  spec.action = {action};
  spec.action_low = {-bound};
  spec.action_high = {bound};
  return spec;
}

void CartPoleOptions::Visit(OptionsVisitor& visitor) {
  const Range positive{1e-6, 1e6};
  const Range not_negative{0, 1e6};
  visitor.Field("cart_mass", cart_mass, positive, "[kg]");
  visitor.Field("pole_mass", pole_mass, positive, "[kg]");
  visitor.Field("pole_center", pole_center, positive, "hinge to the pole's centre of mass [m]");
  visitor.Field("pole_inertia", pole_inertia, positive, "of the pole about the hinge [kg m^2]");
  visitor.Field("pole_skew", pole_skew, {-3.15, 3.15},
                "angle of the centre of mass against the pole's axis [rad]");
  visitor.Field("cart_damping", cart_damping, not_negative, "[N s/m]");
  visitor.Field("hinge_damping", hinge_damping, not_negative, "[N m s/rad]");
  visitor.Field("gravity", gravity, not_negative, "[m/s^2]");
  visitor.Field("gear", gear, positive, "force per unit of action [N]");
  visitor.Field("max_action", max_action, positive, "bound of |action|");
  visitor.Field("timestep", timestep, {1e-5, 1}, "of one Runge-Kutta step [s]");
  visitor.Field("substeps", substeps, {1, 1000}, "Runge-Kutta steps per control period");
}

CartPole::CartPole(const Options& options)
    : ClosedFormOf(
          CartPoleSpec(options.timestep * options.substeps, {"slide", ""}, options.max_action)),
      options_(options) {}

std::unique_ptr<System> CartPole::Clone() const { return std::make_unique<CartPole>(*this); }

void CartPole::Reset(Key key) {
  Random random(key);
  std::array<double, 4> start;
  for (size_t i = 0; i < 4; ++i) {
    const double scale = i < 2 ? options_.reset.position : options_.reset.velocity;
    start[i] = options_.reset.Draw(scale, random);
  }
  SetState(start);
}

std::unique_ptr<Picture> CartPole::MakePicture() const {
  return CartPolePicture(2 * options_.pole_center, {.upright = std::numbers::pi, .sign = -1});
}

}  // namespace foreplan
