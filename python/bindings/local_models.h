// Fits of local models as Python sees them.
#pragma once

#include <nanobind/nanobind.h>

namespace foreplan::python {

void BindLocalModels(nanobind::module_& module);

}  // namespace foreplan::python
