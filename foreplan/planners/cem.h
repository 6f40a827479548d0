// The cross-entropy method.
#pragma once

#include <memory>
#include <utility>

#include "foreplan/planners/planner.h"
#include "foreplan/planners/sampling.h"

namespace foreplan {

struct CemOptions : SamplingOptions {
  int population = 400;   // candidates per iteration, 2 ... 1000000
  int elites = 40;        // candidates that shape the next iteration, 1 ... population
  int iterations = 5;     // 1 ... 1000
  double momentum = 0.1;  // alpha: share of the old mean and variance that stays, 0 ... 1
  double epsilon = 1e-3;  // stop when no variance is above it [action units squared], >= 0

  void Visit(OptionsVisitor& visitor);
};

/// The cross-entropy method as in PETS (Chua et al. 2018): normals truncated to two standard
/// deviations, which are held small enough for the samples to stay within the bounds; the elites'
/// moments become the next distribution; the mean is executed.
/// The next decision starts from the shifted mean, its new actions the middle of the bounds.
class Cem final : public Planner {
 public:
  using Options = CemOptions;

  /// Throws InputError naming the option that is out of range.
  Cem(Options options, const PlanningProblem& problem);

  [[nodiscard]] int horizon() const override { return population_.horizon(); }
  void Reset() override;
  void set_model(const ModelVersion& version) override { population_.set_model(version); }
  const Plan& MakePlan(const PlanRequest& request) override;
  [[nodiscard]] int CopyCandidates(std::span<double> sequences) const override {
    return population_.CopyBest(sequences);
  }

 private:
  void ResetVariance();
  void Explore(SamplingDecision& decision, Key key);
  void UpdateDistribution();
  void ShiftMean(int64_t steps);

  Options options_;
  Population population_;
  std::vector<double> mean_;            // [horizon x nu]
  std::vector<double> variance_;        // [horizon x nu]
  std::vector<double> deviation_;       // [horizon x nu], of the bounded variance
  std::vector<double> elite_mean_;      // [horizon x nu]
  std::vector<double> elite_variance_;  // [horizon x nu]
  WarmStep warm_step_;
  Plan plan_;
};

}  // namespace foreplan
