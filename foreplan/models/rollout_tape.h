// Gradients back through imagined rollouts (reverse mode): the seam between models that can be
// differentiated and what is trained through them.
#pragma once

#include <memory>
#include <vector>

#include "foreplan/models/dynamics.h"

namespace foreplan {

/// Steps rows through a model, remembers the steps, and takes gradients back through them. One per
/// tile of rows; what it needs is allocated when Dynamics::MakeTape makes it. nx is the dimension
/// of the model's tangent space.
class RolloutTape {
 public:
  virtual ~RolloutTape() = default;

  /// As Dynamics::Step but for rounding, remembered under batch.time. Noise is batch.noise alone
  /// (reparameterisation: it is held while the step is differentiated); null: the mean of what the
  /// particle's member predicts.
  virtual void Step(const StepBatch& batch) = 0;

  /// From gradients of a scalar by the next state, [rows x nx], and the next observation,
  /// [rows x no], of the last Step at that time, those by the state, [rows x nx], and the action,
  /// [rows x nu].
  virtual void PullBack(int time, const double* d_next_state, const double* d_next_observation,
                        double* d_state, double* d_action) = 0;
};

/// The tape of deterministic models, by Linearize: exact for closed forms, else differences.
class LinearizedTape final : public RolloutTape {
 public:
  LinearizedTape(const Dynamics& dynamics, int max_rows, int steps);

  void Step(const StepBatch& batch) override;
  void PullBack(int time, const double* d_next_state, const double* d_next_observation,
                double* d_state, double* d_action) override;

 private:
  struct Kept {
    std::vector<double> state;       // [rows x state_dim]
    std::vector<double> action;      // [rows x nu]
    std::vector<double> next_state;  // [rows x state_dim]
  };

  const Dynamics& dynamics_;
  std::unique_ptr<Dynamics::Workspace> workspace_;
  int rows_ = 0;
  std::vector<Kept> kept_;       // [steps]
  std::vector<double> A_, B_;    // [max_rows x nx x nx], [max_rows x nx x nu]
  std::vector<double> C_;        // [no x nx]
  std::vector<double> adjoint_;  // [nx], by the next state
};

}  // namespace foreplan
