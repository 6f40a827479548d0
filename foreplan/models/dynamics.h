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
};

/// A model of the system. Const and shared between threads; what changes is in a Workspace.
///
/// A state row is opaque to planners: a learned model's state is the observation, a simulator's is
/// its full state. A row that cannot be predicted comes out as NaN, never as an exception.
class Dynamics {
 public:
  class Workspace {
   public:
    virtual ~Workspace() = default;
  };

  virtual ~Dynamics() = default;

  [[nodiscard]] virtual int state_dim() const = 0;
  [[nodiscard]] virtual int observation_dim() const = 0;
  [[nodiscard]] virtual int action_dim() const = 0;

  /// True for models whose state is the observation: next_state is then next_observation too.
  [[nodiscard]] virtual bool observation_is_state() const = 0;

  /// True when rows of different particles can differ (members, sampled noise). A planner imagines
  /// a single particle otherwise.
  [[nodiscard]] virtual bool is_stochastic() const = 0;

  /// One per worker; the only place that allocates.
  [[nodiscard]] virtual std::unique_ptr<Workspace> MakeWorkspace(int max_rows) const = 0;

  /// The observation of one state.
  virtual void Observe(std::span<const double> state, std::span<double> observation,
                       Workspace& workspace) const = 0;

  virtual void Step(const StepBatch& batch, Workspace& workspace) const = 0;
};

}  // namespace foreplan
