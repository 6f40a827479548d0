#include "foreplan/systems/closed_form/frictionless_cartpole.h"

#include "foreplan/systems/closed_form/cartpole.h"
#include "foreplan/systems/closed_form/pictures.h"

namespace foreplan {

void FrictionlessCartPoleOptions::Visit(OptionsVisitor& visitor) {
  const Range positive{1e-6, 1e6};
  visitor.Field("cart_mass", cart_mass, positive, "[kg]");
  visitor.Field("pole_mass", pole_mass, positive, "at the pole's end [kg]");
  visitor.Field("length", length, positive, "[m]");
  visitor.Field("gravity", gravity, {0, 1e6}, "[m/s^2]");
  visitor.Field("max_force", max_force, positive, "bound of |force| [N]");
  visitor.Field("timestep", timestep, {1e-5, 1}, "control period [s]");
}

SystemSpec FrictionlessCartPoleFormula::Spec(const Options& options) {
  return CartPoleSpec(options.timestep, {"force", "N"}, options.max_force);
}

std::unique_ptr<Picture> FrictionlessCartPoleFormula::MakePicture(const Options& options) {
  return CartPolePicture(options.length, {.upright = 0, .sign = 1});
}

}  // namespace foreplan
