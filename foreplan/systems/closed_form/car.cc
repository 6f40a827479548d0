#include "foreplan/systems/closed_form/car.h"

#include "foreplan/systems/closed_form/pictures.h"

namespace foreplan {

void CarOptions::Visit(OptionsVisitor& visitor) {
  visitor.Field("speed", speed, {0, 1e6}, "[m/s]");
  visitor.Field("wheelbase", wheelbase, {1e-6, 1e6}, "[m]");
  visitor.Field("max_steering", max_steering, {1e-6, 1.5}, "bound of |steering| [rad]");
  visitor.Field("drift", drift, {-90, 90}, "from where the car points to where it goes [deg]");
  visitor.Field("timestep", timestep, {1e-5, 1}, "control period [s]");
}

SystemSpec CarFormula::Spec(const Options& options) {
  SystemSpec spec;
  spec.dt = options.timestep;
  spec.state = {{"lateral", "m"}, {"heading", "rad"}};
  spec.observation = spec.state;
  spec.action = {{"steering", "rad"}};
  spec.action_low = {-options.max_steering};
  spec.action_high = {options.max_steering};
  return spec;
}

std::unique_ptr<Picture> CarFormula::MakePicture(const Options& options) {
  return CarPicture(options.wheelbase);
}

}  // namespace foreplan
