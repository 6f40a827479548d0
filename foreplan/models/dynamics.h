// What predicts: x' = f(x, u) as planners see it.
#pragma once

#include <memory>
#include <span>

#include "foreplan/core/random.h"

namespace foreplan {

/// Rows that are stepped together. They share the particle and the place in time, so that models
/// which sample can give all candidates the same member and the same noise (common random numbers).
struct StepBatch {
  int rows = 0;
  const double* state = nullptr;       // [rows x state_dim]
  const double* action = nullptr;      // [rows x nu], inside the bounds
  double* next_state = nullptr;        // [rows x state_dim]
  double* next_observation = nullptr;  // [rows x no]; may be null if observation_is_state()
  int particle = 0;                    // 0 ... particles - 1
  int particles = 1;
  int time = 0;  // steps since the start of the imagined rollout
  Key key;       // of the whole evaluation
  // N(0, 1) for every row, [rows x no]; null: the key's, the same for all rows. Models that draw
  // none ignore it.
  const double* noise = nullptr;
};

/// Knots whose derivatives are wanted, row-major.
struct LinearizeBatch {
  int rows = 0;
  const double* state = nullptr;   // [rows x state_dim]
  const double* action = nullptr;  // [rows x nu]
  double* A = nullptr;             // next state by state: [rows x nx x nx]
  double* B = nullptr;             // next state by action: [rows x nx x nu]
};

class RolloutTape;

/// A model of the system. Const and shared between threads; what changes is in a Workspace.
///
/// A state row is opaque to planners: a learned model's state is the observation, a simulator's is
/// its full state. A row that cannot be predicted comes out as NaN, never as an exception.
///
/// What is not overridden is that of a deterministic model whose state is the observation and whose
/// workspace is empty.
class Dynamics {
 public:
  class Workspace {
   public:
    virtual ~Workspace() = default;
  };

  virtual ~Dynamics() = default;

  [[nodiscard]] virtual int state_dim() const = 0;
  [[nodiscard]] virtual int observation_dim() const { return state_dim(); }
  [[nodiscard]] virtual int action_dim() const = 0;

  /// True for models whose state is the observation: next_state is then next_observation too.
  [[nodiscard]] virtual bool observation_is_state() const { return true; }

  /// True when rows of different particles can differ (members, sampled noise). A planner imagines
  /// a single particle otherwise.
  [[nodiscard]] virtual bool is_stochastic() const { return false; }

  /// One per worker; the only place that allocates.
  [[nodiscard]] virtual std::unique_ptr<Workspace> MakeWorkspace(int max_rows) const;

  /// The observation of one state. Models whose state is none override it.
  virtual void Observe(std::span<const double> state, std::span<double> observation,
                       Workspace& workspace) const;

  virtual void Step(const StepBatch& batch, Workspace& workspace) const = 0;

  // Derivatives. nx is the dimension of the tangent space, in which small changes of a state live.
  // A stochastic model is differentiated, and stepped by StepMean, as its expectation.

  [[nodiscard]] virtual int tangent_dim() const { return state_dim(); }
  /// tangent = state - reference: [nx].
  virtual void Difference(const double* state, const double* reference, double* tangent) const;
  /// A workspace for the functions below as well as those above.
  [[nodiscard]] virtual std::unique_ptr<Workspace> MakeDerivativeWorkspace(int max_rows) const {
    return MakeWorkspace(max_rows);
  }
  /// The expected next state; for a deterministic model the same as Step.
  virtual void StepMean(const StepBatch& batch, Workspace& workspace) const {
    Step(batch, workspace);
  }
  /// Exact for closed forms and networks, differences for simulators; NaN where a step diverges.
  /// The default, for models whose tangent space is their state, is differences, and allocates.
  virtual void Linearize(const LinearizeBatch& batch, Workspace& workspace) const;
  /// Observation by state: [no x nx]; the identity for models whose state is the observation.
  virtual void ObservationJacobian(const double* state, double* jacobian,
                                   Workspace& workspace) const;
  /// Gradients back through rollouts of up to `max_rows` rows over up to `steps` steps. The default
  /// goes by Linearize, which knows no noise: it throws InputError for a stochastic model.
  [[nodiscard]] virtual std::unique_ptr<RolloutTape> MakeTape(int max_rows, int steps) const;
};

/// Throws InputError unless `next` can stand where `present` stood: the same sizes, the same kind
/// of state.
void CheckReplaces(const Dynamics& next, const Dynamics& present);

/// Largest entry of |Linearize - central differences of StepMean| over 1 + |entry|, at one knot,
/// for models whose tangent space is their state. `step` is the half width of the differences.
[[nodiscard]] double CheckDerivatives(const Dynamics& dynamics, std::span<const double> state,
                                      std::span<const double> action, double step = 1e-6);

}  // namespace foreplan
