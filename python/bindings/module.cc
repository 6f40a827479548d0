// The extension foreplan._core: what the package python/foreplan is made from.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <exception>
#include <nlohmann/json.hpp>

#include "foreplan/core/error.h"
#include "foreplan/learners/learner.h"
#include "foreplan/runs/machine.h"
#include "python/bindings/exchange.h"
#include "python/bindings/models.h"
#include "python/bindings/planners.h"
#include "python/bindings/runs.h"
#include "python/bindings/tasks.h"

namespace {

namespace nb = nanobind;

/// Ctrl-C that a callback or a signal did not raise by itself.
void TranslateInterrupts() {
  nb::register_exception_translator([](const std::exception_ptr& pointer, void* /*payload*/) {
    try {
      std::rethrow_exception(pointer);
    } catch (const foreplan::Interrupted& error) {
      PyErr_SetString(PyExc_KeyboardInterrupt, error.what());
    }
  });
}

}  // namespace

NB_MODULE(_core, module) {
  nb::exception<foreplan::InputError>(module, "InputError", PyExc_ValueError).attr("__module__") =
      "foreplan";
  nb::exception<foreplan::RunError>(module, "RunError", PyExc_RuntimeError).attr("__module__") =
      "foreplan";
  TranslateInterrupts();
  module.def("versions",
             [] { return foreplan::python::FromJson(foreplan::VersionsJson().dump()); });
  module.def("algorithm_names", &foreplan::LearnerNames);
  foreplan::python::BindTasks(module);
  foreplan::python::BindModels(module);
  foreplan::python::BindPlanners(module);
  foreplan::python::BindRuns(module);
  foreplan::python::BindExchange(module);
}
