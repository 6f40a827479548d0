// Model-predictive path integral control.
#pragma once

#include <memory>
#include <utility>

#include "foreplan/planners/colored_noise.h"
#include "foreplan/planners/planner.h"
#include "foreplan/planners/sampling.h"

namespace foreplan {

struct MppiOptions : SamplingOptions {
  int population = 500;      // K: candidates per iteration, 1 ... 1000000
  int iterations = 1;        // 1 ... 1000
  double lambda = 0.1;       // temperature [units of the return], > 0
  double noise_sigma = 0.5;  // standard deviation of the noise in half ranges, > 0
  double noise_beta = 0.0;   // the noise's spectrum is 1/f^beta, 0 ... 8; 0 is white
  bool control_cost = true;  // the importance weight of the noise

  void Visit(OptionsVisitor& visitor);
};

/// MPPI (Williams et al. 2017): the nominal sequence moves by the average of sampled noise,
/// weighted with exp(-(S - min S) / lambda), where the cost S is minus the imagined return plus,
/// unless switched off, the control cost lambda (u - m)' Sigma^-1 noise of the NOMINAL actions u,
/// which pulls to the middle m of the range. The noise is what remains of it after clamping to the
/// bounds. With noise_beta > 0 the control cost uses the variance of each step and leaves out the
/// correlation in time. The next decision starts from the shifted nominal sequence, its last action
/// repeated.
class Mppi final : public Planner {
 public:
  using Options = MppiOptions;

  /// Throws InputError naming the option that is out of range.
  Mppi(Options options, const PlanningProblem& problem);

  [[nodiscard]] int horizon() const override { return population_.horizon(); }
  void Reset() override;
  void set_model(const ModelVersion& version) override { population_.set_model(version); }
  const Plan& MakePlan(const PlanRequest& request) override;
  [[nodiscard]] int CopyCandidates(std::span<double> sequences) const override {
    return population_.CopyBest(sequences);
  }

 private:
  void ForgetPlan();
  void ShiftNominal(int64_t steps);
  void Explore(SamplingDecision& decision, Key key);
  void ComputeWeights();
  void UpdateNominal();

  Options options_;
  Population population_;
  ColoredNoise noise_;
  std::vector<double> nominal_;               // [horizon x nu]
  std::vector<double> deviation_;             // [horizon x nu], of the noise
  std::vector<double> precision_;             // [horizon x nu], 1 / variance of the noise
  std::vector<double> slope_;                 // [horizon x nu], of the control cost
  std::vector<double> costs_;                 // [population, to whole lanes: infinity]
  std::vector<double> weights_;               // of the costs, sum 1, or all 0 if none is valid
  std::vector<double> update_;                // [horizon x nu]
  std::vector<std::vector<double>> scratch_;  // [workers][noise scratch]
  WarmStep warm_step_;
  Plan plan_;
};

}  // namespace foreplan
