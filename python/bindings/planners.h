// Planners as Python sees them.
#pragma once

#include <nanobind/nanobind.h>

namespace foreplan::python {

void BindPlanners(nanobind::module_& module);

}  // namespace foreplan::python
