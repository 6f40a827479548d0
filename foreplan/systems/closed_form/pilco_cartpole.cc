#include "foreplan/systems/closed_form/pilco_cartpole.h"

#include <numbers>

#include "foreplan/systems/closed_form/cartpole.h"
#include "foreplan/systems/closed_form/pictures.h"

namespace foreplan {

void PilcoCartPoleOptions::Visit(OptionsVisitor& visitor) {
  const Range positive{1e-6, 1e6};
  visitor.Field("cart_mass", cart_mass, positive, "[kg]");
  visitor.Field("pole_mass", pole_mass, positive, "uniform along the pole [kg]");
  visitor.Field("length", length, positive, "of the pole [m]");
  visitor.Field("friction", friction, {0, 1e6}, "between cart and ground [N s/m]");
  visitor.Field("gravity", gravity, {0, 1e6}, "[m/s^2]");
  visitor.Field("max_force", max_force, positive, "bound of |force| [N]");
  visitor.Field("timestep", timestep, {1e-5, 1}, "of one Runge-Kutta step [s]");
  visitor.Field("substeps", substeps, {1, 1000}, "Runge-Kutta steps per control period");
}

SystemSpec PilcoCartPoleFormula::Spec(const Options& options) {
  return CartPoleSpec(options.timestep * options.substeps, {"force", "N"}, options.max_force);
}

std::unique_ptr<Picture> PilcoCartPoleFormula::MakePicture(const Options& options) {
  return CartPolePicture(options.length, {.upright = std::numbers::pi, .sign = 1});
}

}  // namespace foreplan
