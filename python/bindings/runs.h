// Runs and evaluations as Python sees them.
#pragma once

#include <nanobind/nanobind.h>

namespace foreplan::python {

void BindRuns(nanobind::module_& module);

}  // namespace foreplan::python
