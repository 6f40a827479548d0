// Recorded transitions as Python sees them.
#pragma once

#include <nanobind/nanobind.h>

namespace foreplan::python {

void BindRecordings(nanobind::module_& module);

}  // namespace foreplan::python
