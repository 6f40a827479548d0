#include "foreplan/systems/closed_form/unicycle.h"

#include "foreplan/systems/closed_form/pictures.h"

namespace foreplan {

void UnicycleOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("max_speed", max_speed, {1e-6, 1e6}, "bound of |speed| [m/s]");
  visitor.Field("max_turn", max_turn, {1e-6, 1e6}, "bound of |turn rate| [rad/s]");
  visitor.Field("timestep", timestep, {1e-5, 1}, "control period [s]");
}

SystemSpec UnicycleFormula::Spec(const Options& options) {
  SystemSpec spec;
  spec.dt = options.timestep;
  spec.state = {{"x", "m"}, {"y", "m"}, {"theta", "rad"}};
  spec.observation = spec.state;
  spec.action = {{"speed", "m/s"}, {"turn_rate", "rad/s"}};
  spec.action_low = {-options.max_speed, -options.max_turn};
  spec.action_high = {options.max_speed, options.max_turn};
  return spec;
}

std::unique_ptr<Picture> UnicycleFormula::MakePicture(const Options& /*options*/) {
  return UnicyclePicture();
}

}  // namespace foreplan
