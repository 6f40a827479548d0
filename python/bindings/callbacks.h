// Environments, rewards and dynamics that are written in Python, as the library sees them. All take
// the interpreter's lock for a call and hold it no longer.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/systems/environment.h"
#include "foreplan/systems/rewards/reward.h"
#include "python/bindings/arrays.h"
#include "python/bindings/signals.h"

namespace foreplan::python {

/// An object of Python that may be let go by any thread.
class Shared {
 public:
  explicit Shared(nb::object object);
  [[nodiscard]] const nb::object& get() const { return *object_; }
  /// For Python's collector of cycles: what holds it tells it, and lets go when it is asked to.
  int Traverse(visitproc visit, void* arg) const;
  void Clear();

 private:
  std::shared_ptr<nb::object> object_;
};

/// Calls `work` with the interpreter's lock, as Python code is called: signals are taken. What it
/// raises is kept and ends what runs; `what` was called.
template <typename Work>
auto CallPython(Raised& raised, const char* what, const Work& work) {
  const nb::gil_scoped_acquire acquired;
  const TakenSignals taken;
  try {
    return work();
  } catch (nb::python_error& error) {
    const std::string text = error.what();
    raised.Keep(std::move(error));
    throw RunError(std::string(what) + ": " + text.substr(0, text.find('\n')));
  }
}

/// `object` has reset(seed) -> observation and step(action) -> (observation, reward or None,
/// terminated, truncated); arrays of doubles.
class PythonEnvironment final : public Environment {
 public:
  PythonEnvironment(EnvironmentSpec spec, Shared object, std::shared_ptr<Raised> raised);
  [[nodiscard]] const EnvironmentSpec& spec() const override { return spec_; }
  void Reset(Key key) override;
  [[nodiscard]] StepOutcome Step(std::span<const double> action) override;
  void Observe(std::span<double> observation) const override;

 private:
  void Take(nb::handle observation);

  EnvironmentSpec spec_;
  Shared object_;
  std::shared_ptr<Raised> raised_;
  std::vector<double> observation_;  // [no]
};

/// `function(observation [n x no], action [n x nu], next_observation [n x no])` gives the rewards
/// [n], or (rewards [n], terminated [n]).
class PythonReward final : public Reward {
 public:
  PythonReward(Shared function, TransitionSizes sizes, std::shared_ptr<Raised> raised);
  [[nodiscard]] std::optional<TransitionSizes> sizes() const override { return sizes_; }
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override;

 private:
  Shared function_;
  TransitionSizes sizes_;
  std::shared_ptr<Raised> raised_;
};

/// Numbers that Python gave, which may be NaN: so many. Throws InputError naming `what`.
Array NumbersOf(nb::handle value, const char* what, size_t size);

/// `function(state [n x nx], action [n x nu])` gives the next states [n x nx]; the state is what is
/// observed. `derivatives` of the same gives (A [n x nx x nx], B [n x nx x nu]); none: differences.
class PythonDynamics final : public Dynamics {
 public:
  PythonDynamics(Shared function, int state_dim, int action_dim, std::shared_ptr<Raised> raised,
                 std::optional<Shared> derivatives = {});
  [[nodiscard]] int state_dim() const override { return state_dim_; }
  [[nodiscard]] int action_dim() const override { return action_dim_; }
  void Step(const StepBatch& batch, Workspace& workspace) const override;
  void Linearize(const LinearizeBatch& batch, Workspace& workspace) const override;

 private:
  Shared function_;
  int state_dim_;
  int action_dim_;
  std::shared_ptr<Raised> raised_;
  std::optional<Shared> derivatives_;
};

}  // namespace foreplan::python
