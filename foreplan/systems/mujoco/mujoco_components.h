// Names and units of what the state of a MuJoCo model consists of.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "foreplan/systems/mujoco/mujoco.h"
#include "foreplan/systems/system.h"

namespace foreplan {

/// Names that all differ: one that is taken gets "_2", "_3", ... behind it.
class DistinctNames {
 public:
  [[nodiscard]] bool IsTaken(const std::string& name) const { return taken_.contains(name); }
  std::string Take(const std::string& name);

 private:
  std::set<std::string> taken_;
};

/// All names of the three differ. A hinge or slide is called as its joint; all other names, e.g.
/// "root_x", "hinge_velocity" or "biceps_activation", are made up and avoid those.
struct StateComponents {
  std::vector<Component> positions;    // [nq]
  std::vector<Component> velocities;   // [nv]
  std::vector<Component> activations;  // [na]
  std::vector<std::string> dofs;       // [nv], a velocity without "_velocity", e.g. "hinge"
};
StateComponents ComponentsOfState(const mjModel& model);

}  // namespace foreplan
