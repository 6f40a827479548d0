#include "foreplan/systems/system_types.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/registry.h"
#include "foreplan/systems/closed_form/acrobot.h"
#include "foreplan/systems/closed_form/car.h"
#include "foreplan/systems/closed_form/cartpole.h"
#include "foreplan/systems/closed_form/closed_form_factory.h"
#include "foreplan/systems/closed_form/frictionless_cartpole.h"
#include "foreplan/systems/closed_form/pendulum.h"
#include "foreplan/systems/closed_form/pilco_cartpole.h"
#include "foreplan/systems/closed_form/planar_quadrotor.h"
#include "foreplan/systems/closed_form/quadrotor.h"
#include "foreplan/systems/closed_form/unicycle.h"
#ifdef FOREPLAN_HAVE_MUJOCO
#include "foreplan/systems/mujoco/mujoco_system.h"
#endif

namespace foreplan {
namespace {

template <typename MySystem>
std::unique_ptr<SystemFactory> ClosedForm(const std::string& type) {
  return std::make_unique<ClosedFormFactory<MySystem>>(type);
}

constexpr std::array kClosedForms{
    std::pair{"acrobot", &ClosedForm<Acrobot>},
    std::pair{"car", &ClosedForm<Car>},
    std::pair{"cartpole", &ClosedForm<CartPole>},
    std::pair{"frictionless_cartpole", &ClosedForm<FrictionlessCartPole>},
    std::pair{"pendulum", &ClosedForm<Pendulum>},
    std::pair{"pilco_cartpole", &ClosedForm<PilcoCartPole>},
    std::pair{"planar_quadrotor", &ClosedForm<PlanarQuadrotor>},
    std::pair{"quadrotor", &ClosedForm<Quadrotor>},
    std::pair{"unicycle", &ClosedForm<Unicycle>},
};

#ifdef FOREPLAN_HAVE_MUJOCO
constexpr bool kHasMujoco = true;
std::unique_ptr<SystemFactory> MakeMujoco(const std::string& /*type*/) {
  return MakeMujocoFactory();
}
#else
constexpr bool kHasMujoco = false;
std::unique_ptr<SystemFactory> MakeMujoco(const std::string& /*type*/) { return nullptr; }
#endif

Registry<SystemFactoryMaker>& Systems() {
  static Registry<SystemFactoryMaker> systems("system", [] {
    std::vector<std::pair<std::string, SystemFactoryMaker>> own(kClosedForms.begin(),
                                                                kClosedForms.end());
    own.emplace_back(kMujocoType, MakeMujoco);
    return own;
  }());
  return systems;
}

}  // namespace

void RegisterSystem(const std::string& type, SystemFactoryMaker make) {
  if (!make) throw InputError(fmt::format("system '{}': found no function that makes it", type));
  Systems().Add(type, std::move(make));
}

std::unique_ptr<SystemFactory> MakeSystemFactory(std::string_view where, const std::string& type) {
  if (type == kMujocoType && !kHasMujoco) {
    throw InputError(fmt::format(
        "{}: system.type: found 'mujoco', but this build of foreplan has no MuJoCo; expected one "
        "of its closed-form systems: {}",
        where, fmt::join(ClosedFormNames(), ", ")));
  }
  return NotNull("system", type, Systems().Find(where, type)(type));
}

std::vector<std::string> SystemTypes() { return Systems().Names(); }

std::vector<std::string> ClosedFormNames() {
  std::vector<std::string> names;
  names.reserve(kClosedForms.size());
  for (const auto& [name, make] : kClosedForms) names.emplace_back(name);
  return names;
}

}  // namespace foreplan
