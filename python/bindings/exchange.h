// Files for other programs, as Python asks for them.
#pragma once

#include <nanobind/nanobind.h>

namespace foreplan::python {

void BindExchange(nanobind::module_& module);

}  // namespace foreplan::python
