// Gradients back through rollouts of an ensemble.
#pragma once

#include <vector>

#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/rollout_tape.h"
#include "foreplan/nets/mlp_tape.h"

namespace foreplan {

/// The whole chain of a step, exactly: encoding and normaliser of the inputs, the member's network,
/// the predicted mean, and the predicted deviation times the noise,
///   o' = [o +] m + s (mean(z) + deviation(z) eps),  z = (input(o, u) - m_in) / s_in.
/// Under Propagation::kExpectation the mean of all members' means, as Ensemble::Step.
class EnsembleTape final : public RolloutTape {
 public:
  /// The ensemble must outlive the tape; its parameters stay as they are from Step to PullBack.
  /// Throws InputError when the memory does not suffice.
  EnsembleTape(const Ensemble& ensemble, int max_rows, int steps);

  void Step(const StepBatch& batch) override;
  void PullBack(int time, const double* d_next_state, const double* d_next_observation,
                double* d_state, double* d_action) override;

 private:
  struct Kept {
    int member = 0;  // of several the first
    bool noisy = false;
    std::vector<double> state;   // [rows x no]
    std::vector<double> action;  // [rows x nu]
    // d o'_i / d raw output of the log-variance, where there are such outputs: [rows x no]
    std::vector<float> by_raw;
  };

  void AddPrediction(int member, int slot, const double* noise, Kept& kept);

  const Ensemble& ensemble_;
  int members_;  // that take part in one step
  int rows_ = 0;
  MlpTape network_;
  std::vector<Kept> kept_;              // [steps]
  std::vector<float> input_;            // [max_rows x inputs]
  std::vector<double> target_;          // [max_rows x no]
  std::vector<float> d_output_;         // [max_rows x outputs]
  std::vector<float> d_input_;          // [max_rows x inputs]
  std::vector<double> by_input_;        // [max_rows x inputs], not normalised
  std::vector<double> by_observation_;  // [no]
  std::vector<float> deviation_;        // [no], where noise is constant
  std::vector<double> expression_jacobian_;
};

}  // namespace foreplan
