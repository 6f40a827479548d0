#include "python/bindings/environments.h"

#include <fmt/format.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/systems/closed_form/closed_form.h"
#include "foreplan/systems/environment_batch.h"
#include "foreplan/systems/task_files.h"
#include "python/bindings/arrays.h"
#include "python/bindings/signals.h"
#include "python/bindings/tasks.h"

#ifdef FOREPLAN_HAVE_MUJOCO
#include "foreplan/systems/mujoco/mujoco_system.h"
#endif

namespace foreplan::python {
namespace {

using Floats = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Flags = nb::ndarray<const bool, nb::c_contig, nb::device::cpu>;

#ifdef FOREPLAN_HAVE_MUJOCO
/// What MuJoCo loads, with the fields that resets drew: an MJB, "" of what it does not simulate.
std::string CompiledModel(const Environment& environment) {
  const auto* system = dynamic_cast<const MujocoSystem*>(&environment);
  if (system == nullptr) return "";
  const MujocoGuard guard;
  const auto size = mj_sizeModel(&system->model());
  std::string bytes(static_cast<size_t>(size), 0);
  mj_saveModel(&system->model(), nullptr, bytes.data(), size);
  return bytes;
}
#else
std::string CompiledModel(const Environment& /*environment*/) { return ""; }
#endif

/// A step of closed forms takes less time than threads take to wake.
int ThreadsFor(const Environment& environment, int threads) {
  return dynamic_cast<const ClosedFormSystem*>(&environment) != nullptr ? 1 : threads;
}

/// A batch of a task's environments, with the threads that step it.
class Environments {
 public:
  /// threads 0: as many as `processors`, or one where that is faster.
  Environments(const PythonTask& task, int count, int observed, int max_steps, int autoreset,
               int threads, int processors)
      : batch_(Checked(task), {.count = count,
                               .observed = observed,
                               .max_steps = max_steps,
                               .autoreset = static_cast<Autoreset>(autoreset)}),
        action_dim_(task.task().spec().action.size()),
        actions_(static_cast<size_t>(count) * action_dim_),
        executor_(threads != 0 ? threads
                               : ThreadsFor(batch_.environment(0), std::min(processors, count))) {}

  [[nodiscard]] EnvironmentBatch& batch() { return batch_; }
  [[nodiscard]] const EnvironmentBatch& batch() const { return batch_; }
  [[nodiscard]] int threads() const { return executor_.size(); }

  void Seed(int environment, uint64_t low, uint64_t high) {
    batch_.Seed(environment, {.seed = low, .stream = high});
  }

  /// chosen: flags [count] or None. states: [count x state_dim] or None.
  void Reset(nb::handle chosen, nb::handle states) {
    std::vector<uint8_t> flags;
    if (!chosen.is_none()) {
      const auto given = nb::cast<Flags>(chosen);
      flags.assign(given.data(), given.data() + given.size());
    }
    std::vector<double> rows;
    if (!states.is_none()) {
      const GivenRows given = RowsOf(states, "state", batch_.state_dim());
      CheckRows(given.rows, "state");
      rows.assign(given.data(), given.data() + SizeOfRows(batch_.state_dim()));
    }
    Work([&] { batch_.Reset(executor_, flags, rows); });
  }

  /// Whether it came to no number somewhere.
  bool Step(nb::handle actions) {
    TakeActions(actions);
    bool is_trouble = false;
    Work([&] {
      batch_.Step(actions_, executor_);
      for (int i = 0; i < batch_.count(); ++i)
        is_trouble = is_trouble || !batch_.trouble(i).empty();
    });
    return is_trouble;
  }

  /// Environments whose step came to no number, and why.
  [[nodiscard]] std::vector<std::pair<int, std::string>> Troubles() const {
    std::vector<std::pair<int, std::string>> found;
    for (int i = 0; i < batch_.count(); ++i) {
      if (!batch_.trouble(i).empty()) found.emplace_back(i, batch_.trouble(i));
    }
    return found;
  }

  /// [count x state_dim]
  [[nodiscard]] NumpyArray States() const {
    const std::span<const double> states = batch_.states();
    return ToArray({states.begin(), states.end()}, batch_.count(), batch_.state_dim());
  }

  [[nodiscard]] std::vector<std::string> StateNames() {
    std::vector<std::string> names;
    const auto* system = dynamic_cast<const System*>(&batch_.environment(0));
    if (system == nullptr) return names;
    for (const Component& component : system->spec().state) names.push_back(component.name);
    return names;
  }

  [[nodiscard]] nb::bytes CompiledModelOf(int i) {
    const std::string bytes = CompiledModel(batch_.environment(i));
    return nb::bytes(bytes.data(), bytes.size());
  }

  /// Steps of actions [steps x count x nu] without Python, which is what benchmarks compare Step
  /// with. `waits`: every step waits for all environments, as Step does.
  void RunSteps(const Array& actions, bool waits) {
    if (actions.ndim() != 3 || actions.shape(1) != static_cast<size_t>(batch_.count()) ||
        actions.shape(2) != action_dim_) {
      throw InputError(fmt::format("actions: found another shape, expected [n, {}, {}]",
                                   batch_.count(), action_dim_));
    }
    const std::span<const double> all(actions.data(), actions.size());
    const size_t steps = actions.shape(0);
    Work([&] {
      if (!waits) batch_.RollOut(all, static_cast<int>(steps), executor_);
      for (size_t t = 0; waits && t < steps; ++t) {
        batch_.Step(all.subspan(t * actions_.size(), actions_.size()), executor_);
      }
    });
  }

 private:
  static const Task& Checked(const PythonTask& task) {
    if (!task.task().is_made_in_code()) return task.task();
    throw InputError(
        fmt::format("task '{}': found one of an environment in Python, expected one of a name, a "
                    "file or a mapping: that environment is there already",
                    task.task().name()));
  }

  [[nodiscard]] size_t SizeOfRows(int columns) const {
    return static_cast<size_t>(batch_.count()) * static_cast<size_t>(columns);
  }

  void CheckRows(int rows, const char* name) const {
    if (rows == batch_.count()) return;
    throw InputError(fmt::format("{}: found {} rows, expected {}", name, rows, batch_.count()));
  }

  /// Without the interpreter's lock, and without a signal's handler on a thread that computes.
  template <typename Function>
  static void Work(const Function& function) {
    const BlockedSignals blocked;
    const nb::gil_scoped_release released;
    function();
  }

  /// [count x nu], or [nu] of one environment.
  void TakeActions(nb::handle actions) {
    const size_t nu = action_dim_;
    Floats floats;
    const bool is_exact = nb::try_cast(actions, floats, /*convert=*/false) &&
                          floats.size() == actions_.size() && floats.ndim() <= 2 &&
                          floats.shape(floats.ndim() - 1) == nu;
    if (!is_exact) {
      const GivenRows given = RowsOf(actions, "action", static_cast<int>(nu));
      CheckRows(given.rows, "action");
      std::copy_n(given.data(), actions_.size(), actions_.begin());
      return;
    }
    for (size_t i = 0; i < actions_.size(); ++i) {
      actions_[i] = floats.data()[i];
      if (std::isfinite(actions_[i])) continue;
      throw InputError(fmt::format("action: found {} at [{}, {}], expected a finite number",
                                   actions_[i], i / nu, i % nu));
    }
  }

  EnvironmentBatch batch_;
  size_t action_dim_;
  std::vector<double> actions_;  // [count x nu]
  PythonExecutor executor_;
};

/// The batch's own memory, which stays as long as `self` or the array does.
template <typename Number, typename Stored>
nb::any View(nb::handle self, std::span<const Stored> numbers, size_t rows, size_t columns) {
  auto* data = reinterpret_cast<Number*>(const_cast<Stored*>(numbers.data()));
  const size_t shape[] = {rows, columns};
  return nb::borrow<nb::any>(
      nb::cast(nb::ndarray<nb::numpy, Number>(data, columns == 0 ? 1 : 2, shape, self)));
}

template <typename Number, typename Get>
auto Viewed(const Get& get, bool is_table) {
  return [=](nb::handle self) {
    const EnvironmentBatch& batch = nb::cast<const Environments&>(self).batch();
    return View<Number>(self, (batch.*get)(), static_cast<size_t>(batch.count()),
                        is_table ? static_cast<size_t>(batch.observed()) : 0);
  };
}

}  // namespace

void BindEnvironments(nb::module_& module) {
  using Batch = EnvironmentBatch;
  nb::class_<Environments>(module, "Environments")
      .def(nb::init<const PythonTask&, int, int, int, int, int, int>(), nb::arg("task"),
           nb::arg("count"), nb::arg("observed"), nb::arg("max_steps"), nb::arg("autoreset"),
           nb::arg("threads"), nb::arg("processors"))
      .def("seed", &Environments::Seed, nb::arg("environment"), nb::arg("low"), nb::arg("high"))
      .def("reset", &Environments::Reset, nb::arg("chosen").none(), nb::arg("states").none())
      .def("step", &Environments::Step, nb::arg("actions"))
      .def("run_steps", &Environments::RunSteps, nb::arg("actions"), nb::arg("waits"))
      .def("troubles", &Environments::Troubles)
      .def_prop_ro("states", &Environments::States)
      .def_prop_ro("state_names", &Environments::StateNames)
      .def("compiled_model", &Environments::CompiledModelOf, nb::arg("environment"))
      .def_prop_ro(
          "is_simulated",
          [](Environments& self) { return !CompiledModel(self.batch().environment(0)).empty(); })
      .def_prop_ro("threads", &Environments::threads)
      .def_prop_ro("observations", Viewed<double>(&Batch::observations, true))
      .def_prop_ro("final_observations", Viewed<double>(&Batch::final_observations, true))
      .def_prop_ro("rewards", Viewed<const double>(&Batch::rewards, false))
      .def_prop_ro("terminated", Viewed<const bool>(&Batch::terminated, false))
      .def_prop_ro("truncated", Viewed<const bool>(&Batch::truncated, false));
  module.def("tasks_directory", [] { return TasksDirectory().string(); });
}

}  // namespace foreplan::python
