// The unknown parameters of a system, as texts of a configuration say them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/models/physics/physics_fit.h"
#include "foreplan/systems/task.h"

namespace foreplan {

/// Section [model.physics], with the options of the fit.
struct PhysicsOptions {
  std::vector<std::string> unknowns;  // "NAME = START in [LOW, HIGH]", or with ", prior MEAN +- SD"
  std::vector<std::string> ties;      // "NAME = expression of the unknowns' names"
  PhysicsFitOptions fit;

  void Visit(OptionsVisitor& visitor);
};

/// One text of PhysicsOptions::unknowns, e.g. "cart_mass = 5 in [0.1, 100], prior 10 +- 1" or
/// "dof_damping(hinge) = 0.1 in [0, 10]". Throws InputError, which starts with `where`.
[[nodiscard]] Unknown ParseUnknown(const std::string& where, const std::string& text);

/// The systems of a task by the values of the unknowns, tied parameters included. Throws InputError
/// for texts that cannot be read, a parameter that is named twice, and one that the task's system
/// does not have or cannot have at its start or its bounds.
[[nodiscard]] SystemFamily MakeTiedFamily(const Task& task, const std::vector<Unknown>& unknowns,
                                          const std::vector<std::string>& ties);

}  // namespace foreplan
