// The extension foreplan._core: what the package python/foreplan is made from.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <exception>
#include <nlohmann/json.hpp>

#include "foreplan/core/error.h"
#include "foreplan/learners/learner.h"
#include "foreplan/runs/machine.h"
#include "python/bindings/environments.h"
#include "python/bindings/exchange.h"
#include "python/bindings/local_models.h"
#include "python/bindings/models.h"
#include "python/bindings/planners.h"
#include "python/bindings/policies.h"
#include "python/bindings/recordings.h"
#include "python/bindings/runs.h"
#include "python/bindings/stored_policies.h"
#include "python/bindings/tasks.h"
#include "python/bindings/trajectory_optimisation.h"

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
  foreplan::python::BindEnvironments(module);
  foreplan::python::BindModels(module);
  foreplan::python::BindPlanners(module);
  foreplan::python::BindRuns(module);
  foreplan::python::BindLocalModels(module);
  foreplan::python::BindPolicies(module);
  foreplan::python::BindStoredPolicies(module);
  foreplan::python::BindRecordings(module);
  foreplan::python::BindTrajectoryOptimisation(module);
  foreplan::python::BindExchange(module);
}
