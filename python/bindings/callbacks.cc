#include "python/bindings/callbacks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "python/bindings/arrays.h"

namespace foreplan::python {
namespace {

/// A copy, as Python may keep what it is given beyond the call.
nb::object Copied(const double* values, int rows, int columns) {
  return ToArray({values, values + static_cast<size_t>(rows) * static_cast<size_t>(columns)}, rows,
                 columns);
}

bool HasNan(const double* values, int size) {
  return std::any_of(values, values + size, [](double value) { return std::isnan(value); });
}

}  // namespace

Array NumbersOf(nb::handle value, const char* what, size_t size) {
  const nb::object doubles =
      nb::module_::import_("numpy").attr("ascontiguousarray")(value, "float64");
  auto array = nb::cast<Array>(doubles);
  if (array.size() == size) return array;
  throw InputError(fmt::format("{}: found {} numbers, expected {}", what, array.size(), size));
}

Shared::Shared(nb::object object)
    : object_(new nb::object(std::move(object)), [](nb::object* held) {
        // As the interpreter ends, only its own thread can give anything back; afterwards nobody.
        const bool ends = Py_IsInitialized() == 0;
        if (!nb::is_alive() || (ends && PyGILState_GetThisThreadState() == nullptr)) return;
        const nb::gil_scoped_acquire acquired;
        delete held;
      }) {}

int Shared::Traverse(visitproc visit, void* arg) const {
  Py_VISIT(object_->ptr());
  return 0;
}

void Shared::Clear() { *object_ = nb::none(); }

PythonEnvironment::PythonEnvironment(EnvironmentSpec spec, Shared object,
                                     std::shared_ptr<Raised> raised)
    : spec_(std::move(spec)), object_(std::move(object)), raised_(std::move(raised)) {}

void PythonEnvironment::Reset(Key key) {
  CallPython(*raised_, "reset", [&] {
    // Gymnasium takes seeds of 31 bits and more.
    const uint64_t seed = Random(key).Bits64() >> 33;
    Take(object_.get().attr("reset")(seed));
  });
}

StepOutcome PythonEnvironment::Step(std::span<const double> action) {
  return CallPython(*raised_, "step", [&] {
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    const nb::object result = object_.get().attr("step")(ToVector({action.begin(), action.end()}));
    Take(result[0]);
    StepOutcome outcome;
    if (!result[1].is_none()) outcome.reward = nb::cast<double>(result[1]);
    if (nb::cast<bool>(result[3])) outcome.end = StepEnd::kTruncated;
    if (nb::cast<bool>(result[2])) outcome.end = StepEnd::kTerminated;
    return outcome;
  });
}

void PythonEnvironment::Observe(std::span<double> observation) const {
  std::ranges::copy(observation_, observation.begin());
}

void PythonEnvironment::Take(nb::handle observation) {
  const Array array =
      NumbersOf(observation, "observation", static_cast<size_t>(spec_.observation_dim()));
  observation_.assign(array.data(), array.data() + array.size());
}

PythonReward::PythonReward(Shared function, TransitionSizes sizes, std::shared_ptr<Raised> raised)
    : function_(std::move(function)), sizes_(sizes), raised_(std::move(raised)) {}

void PythonReward::Evaluate(const TransitionBatch& batch, double* reward,
                            uint8_t* terminated) const {
  const int no = sizes_.observation;
  const int nu = sizes_.action;
  const auto rows = static_cast<size_t>(batch.rows);
  CallPython(*raised_, "reward", [&] {
    const nb::object result = function_.get()(Copied(batch.observation, batch.rows, no),
                                              Copied(batch.action, batch.rows, nu),
                                              Copied(batch.next_observation, batch.rows, no));
    const bool has_ends = nb::isinstance<nb::tuple>(result);
    const Array rewards = NumbersOf(has_ends ? nb::object(result[0]) : result, "reward", rows);
    std::copy_n(rewards.data(), rows, reward);
    std::fill_n(terminated, rows, uint8_t{0});
    if (!has_ends) return;
    const Array ends = NumbersOf(nb::object(result[1]), "terminated", rows);
    std::transform(ends.data(), ends.data() + rows, terminated,
                   [](double flag) { return static_cast<uint8_t>(flag != 0 ? 1 : 0); });
  });
  for (int row = 0; row < batch.rows; ++row) {
    if (HasNan(batch.observation + row * no, no) || HasNan(batch.action + row * nu, nu) ||
        HasNan(batch.next_observation + row * no, no)) {
      reward[row] = std::numeric_limits<double>::quiet_NaN();
    }
  }
}

PythonDynamics::PythonDynamics(Shared function, int state_dim, int action_dim,
                               std::shared_ptr<Raised> raised, std::optional<Shared> derivatives)
    : function_(std::move(function)),
      state_dim_(state_dim),
      action_dim_(action_dim),
      raised_(std::move(raised)),
      derivatives_(std::move(derivatives)) {}

void PythonDynamics::Linearize(const LinearizeBatch& batch, Workspace& workspace) const {
  if (!derivatives_) {
    Dynamics::Linearize(batch, workspace);
    return;
  }
  const auto rows = static_cast<size_t>(batch.rows);
  const auto nx = static_cast<size_t>(state_dim_);
  const auto nu = static_cast<size_t>(action_dim_);
  CallPython(*raised_, "dynamics' derivatives", [&] {
    const nb::object found = derivatives_->get()(Copied(batch.state, batch.rows, state_dim_),
                                                 Copied(batch.action, batch.rows, action_dim_));
    const Array A = NumbersOf(nb::object(found[0]), "dynamics' derivatives A", rows * nx * nx);
    const Array B = NumbersOf(nb::object(found[1]), "dynamics' derivatives B", rows * nx * nu);
    std::copy_n(A.data(), A.size(), batch.A);
    std::copy_n(B.data(), B.size(), batch.B);
  });
}

void PythonDynamics::Step(const StepBatch& batch, Workspace& /*workspace*/) const {
  const size_t size = static_cast<size_t>(batch.rows) * static_cast<size_t>(state_dim_);
  CallPython(*raised_, "dynamics", [&] {
    const nb::object next = function_.get()(Copied(batch.state, batch.rows, state_dim_),
                                            Copied(batch.action, batch.rows, action_dim_));
    const Array array = NumbersOf(next, "next state", size);
    std::copy_n(array.data(), size, batch.next_state);
  });
  if (batch.next_observation != nullptr && batch.next_observation != batch.next_state) {
    std::copy_n(batch.next_state, size, batch.next_observation);
  }
}

}  // namespace foreplan::python
