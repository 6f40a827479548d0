// LQR and iLQR as Python sees them.
#pragma once

#include <nanobind/nanobind.h>

namespace foreplan::python {

void BindTrajectoryOptimisation(nanobind::module_& module);

}  // namespace foreplan::python
