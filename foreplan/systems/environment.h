// What acts in the world: a robot, another program's simulator, a process at the other end of a
// wire.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/data/component.h"
#include "foreplan/data/transition.h"

namespace foreplan {

/// What a controller sees and does.
struct EnvironmentSpec {
  double dt = 0;                       // control period [s]
  std::vector<Component> observation;  // what a controller sees
  std::vector<Component> action;
  std::vector<double> action_low;   // [nu]
  std::vector<double> action_high;  // [nu]

  [[nodiscard]] int observation_dim() const { return static_cast<int>(observation.size()); }
  [[nodiscard]] int action_dim() const { return static_cast<int>(action.size()); }
};

enum class StepStatus {
  kOk,
  kDiverged,  // a state entry is not finite or a simulator gave up; see Environment::Divergence
};

/// What an environment says of a step, besides the observation after it.
struct StepOutcome {
  // NOLINTNEXTLINE(google-explicit-constructor): a status is an outcome
  StepOutcome(StepStatus status = StepStatus::kOk) : status(status) {}

  StepStatus status;
  StepEnd end = StepEnd::kContinues;  // a task may end the episode as well
  std::optional<double> reward = {};  // none: the task's counts

  friend bool operator==(const StepOutcome& outcome, StepStatus status) {
    return outcome.status == status;
  }
};

/// An environment that cannot be reached or has broken: what it did until then counts, and it may
/// come back.
class EnvironmentFailure : public RunError {
 public:
  using RunError::RunError;
};

/// Acts and is observed; its state can be neither seen nor set. One instance per thread.
class Environment {
 public:
  virtual ~Environment() = default;

  [[nodiscard]] virtual const EnvironmentSpec& spec() const = 0;

  /// Begins an episode. A simulator draws the same start for the same key; others need not, and
  /// their runs do not repeat. Throws EnvironmentFailure.
  virtual void Reset(Key key) = 0;

  /// Advances by spec().dt with the action held; entries outside the bounds are clamped. Throws
  /// EnvironmentFailure.
  [[nodiscard]] virtual StepOutcome Step(std::span<const double> action) = 0;

  /// After Reset or Step. Writes every number; one that nobody wrote counts as NaN.
  virtual void Observe(std::span<double> observation) const = 0;  // [no]

  /// After kDiverged: which quantity, e.g. "qacc of joint 'hinge' at 1.24 s"; "" when it cannot
  /// say. Override it where Step gives kDiverged: the text is all that a user sees of it.
  [[nodiscard]] virtual std::string Divergence() const { return ""; }
};

}  // namespace foreplan
