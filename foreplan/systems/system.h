// What can be controlled.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/data/component.h"

namespace foreplan {

struct SystemSpec {
  double dt = 0;                       // control period [s]
  std::vector<Component> state;        // everything Step depends on
  std::vector<Component> observation;  // what a controller sees
  std::vector<Component> action;
  std::vector<double> action_low;   // [nu]
  std::vector<double> action_high;  // [nu]

  [[nodiscard]] int state_dim() const { return static_cast<int>(state.size()); }
  [[nodiscard]] int observation_dim() const { return static_cast<int>(observation.size()); }
  [[nodiscard]] int action_dim() const { return static_cast<int>(action.size()); }
};

enum class StepStatus {
  kOk,
  kDiverged,  // a state entry is not finite or a simulator gave up; see System::Divergence
};

/// Transitions that have nothing to do with each other, row-major.
struct SystemRows {
  int rows = 0;
  const double* state = nullptr;       // [rows x state_dim]
  const double* action = nullptr;      // [rows x nu]
  double* next_state = nullptr;        // [rows x state_dim]
  double* next_observation = nullptr;  // [rows x no]
};

/// Derivatives of one step at (state, action), row-major, by small changes in the tangent space.
struct SystemDerivatives {
  const double* state = nullptr;   // [state_dim]
  const double* action = nullptr;  // [nu]
  double* A = nullptr;             // next state by state: [nx x nx]
  double* B = nullptr;             // next state by action: [nx x nu]; 0 outside the bounds
};

/// Observation components that are functions of others observed at the same time, as the position
/// of a hand is of the joints.
struct DependentComponents {
  std::vector<int> dependent;  // observation components
  std::vector<int> on;         // the components they are functions of
};

/// A controlled dynamical system with a state of its own. One instance per thread.
class System {
 public:
  virtual ~System() = default;

  [[nodiscard]] virtual const SystemSpec& spec() const = 0;

  /// An independent instance with the same parameters; models and files are shared, not copied.
  [[nodiscard]] virtual std::unique_ptr<System> Clone() const = 0;

  /// Draws a start state; the same key gives the same state.
  virtual void Reset(Key key) = 0;

  /// Advances by spec().dt with the action held; entries outside the bounds are clamped.
  [[nodiscard]] virtual StepStatus Step(std::span<const double> action) = 0;

  virtual void Observe(std::span<double> observation) const = 0;  // [no]

  /// The full state: after SetState(GetState()) the system continues bit for bit.
  virtual void GetState(std::span<double> state) const = 0;  // [state_dim]
  virtual void SetState(std::span<const double> state) = 0;  // [state_dim]

  /// What SetState, Step, GetState and Observe give for every row, but for rounding; NaN for a row
  /// that diverges. The system's own state is another one afterwards. Allocates nothing.
  virtual void StepRows(const SystemRows& rows);

  /// nx: dimensions in which a state can change; fewer than state_dim where a state holds
  /// quaternions, or numbers (time, warm starts) that are none of the dynamics.
  [[nodiscard]] virtual int tangent_dim() const { return spec().state_dim(); }
  /// tangent = state - reference: [nx].
  virtual void Difference(std::span<const double> state, std::span<const double> reference,
                          std::span<double> tangent) const;
  /// Derivatives of Step: exact for closed forms, central differences for simulators; the default
  /// is central differences in the state, and allocates. NaN where the step diverges. The system's
  /// own state is another one afterwards.
  virtual void Linearize(const SystemDerivatives& derivatives);
  /// Derivative of Observe by a small change of the state: [no x nx]. The same holds.
  virtual void ObservationJacobian(std::span<const double> state, std::span<double> jacobian);

  /// None by default.
  [[nodiscard]] virtual DependentComponents dependent_components() const { return {}; }
  /// Derivatives of the dependent components by the others, at the state of the last Reset or Step:
  /// [dependent x on].
  virtual void DependentJacobian(std::span<double> /*jacobian*/) const {}

  /// After kDiverged: which quantity, e.g. "qacc of joint 'hinge' at 1.24 s". Else "".
  [[nodiscard]] virtual std::string Divergence() const = 0;
};

}  // namespace foreplan
