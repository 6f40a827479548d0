// Tasks as Python sees them.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/experiments/experiment.h"
#include "foreplan/systems/task.h"
#include "python/bindings/callbacks.h"
#include "python/bindings/signals.h"

namespace foreplan::python {

namespace nb = nanobind;

/// A task with what its configuration says beside it (models, planners, learners).
class PythonTask {
 public:
  /// Reads task and configuration, anew for each that asks, with more assignments ("key=value").
  using Load = std::function<std::pair<Task, Config>(const std::vector<std::string>&)>;

  /// `held`: the objects of Python that the task works with.
  PythonTask(Load load, std::shared_ptr<Raised> raised, std::vector<Shared> held = {});

  /// Of the assignments given so far and these. Throws InputError for what nobody knows.
  [[nodiscard]] Experiment MakeExperimentWith(const RunFlags& flags) const;

  [[nodiscard]] const Task& task() const { return task_; }
  /// Keeps what environments and rewards in Python raise; every task has its own.
  [[nodiscard]] const std::shared_ptr<Raised>& raised() const { return raised_; }
  [[nodiscard]] std::vector<Shared>& held() { return held_; }

 private:
  Load load_;
  Task task_;
  std::shared_ptr<Raised> raised_;
  std::vector<Shared> held_;
};

void BindTasks(nb::module_& module);

/// For types whose C++ object has `held()`, the objects of Python it holds: cycles through them, as
/// of an environment that keeps the run it is in, are found by Python's collector.
template <typename Holder>
PyType_Slot* CycleSlots() {
  static const traverseproc traverse = [](PyObject* self, visitproc visit, void* arg) -> int {
    Py_VISIT(Py_TYPE(self));
    if (!nb::inst_ready(self)) return 0;
    for (const Shared& held : nb::inst_ptr<Holder>(self)->held()) {
      if (const int result = held.Traverse(visit, arg); result != 0) return result;
    }
    return 0;
  };
  static const inquiry clear = [](PyObject* self) -> int {
    for (Shared& held : nb::inst_ptr<Holder>(self)->held()) held.Clear();
    return 0;
  };
  static PyType_Slot slots[] = {{Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                                {Py_tp_clear, reinterpret_cast<void*>(clear)},
                                {0, nullptr}};
  return slots;
}

using JsonObject = nb::typed<nb::dict, nb::str, nb::any>;

/// What json.loads makes of an object.
JsonObject FromJson(const std::string& text);

}  // namespace foreplan::python
