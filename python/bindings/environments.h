// Tasks as environments that Python steps.
#pragma once

#include <nanobind/nanobind.h>

namespace foreplan::python {

void BindEnvironments(nanobind::module_& module);

}  // namespace foreplan::python
