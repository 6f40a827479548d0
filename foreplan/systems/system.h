// What can be controlled and simulated.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/data/component.h"
#include "foreplan/systems/environment.h"
#include "foreplan/systems/scene.h"

namespace foreplan {

struct SystemSpec : EnvironmentSpec {
  std::vector<Component> state;  // everything Step depends on

  [[nodiscard]] int state_dim() const { return static_cast<int>(state.size()); }
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

/// An environment whose state can be read, set, cloned and differentiated. One instance per thread.
class System : public Environment {
 public:
  [[nodiscard]] const SystemSpec& spec() const override = 0;

  /// An independent instance with the same parameters; models and files are shared, not copied.
  [[nodiscard]] virtual std::unique_ptr<System> Clone() const = 0;

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

  /// How it looks, as it is now: what states do not say (the length of a link, a place that a reset
  /// has drawn) stays as it is. Null by default: there is nothing to be seen of it.
  [[nodiscard]] virtual std::unique_ptr<Picture> MakePicture() const { return nullptr; }
};

}  // namespace foreplan
