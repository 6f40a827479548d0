// The improved cross-entropy method.
#pragma once

#include <memory>
#include <utility>

#include "foreplan/planners/colored_noise.h"
#include "foreplan/planners/planner.h"
#include "foreplan/planners/sampling.h"

namespace foreplan {

enum class IcemExecute {
  kMean,  // of the final distribution: safer on learned models
  kBest,  // the best candidate of the last iteration
};

struct IcemOptions : SamplingOptions {
  int population = 64;         // candidates of the first iteration, 2 ... 1000000
  double decay = 1.25;         // gamma: population / gamma^i in iteration i, 1 ... 100
  int iterations = 3;          // 1 ... 1000
  int elites = 10;             // candidates that shape the next iteration, 1 ... population
  double keep_fraction = 0.3;  // share of the elites that competes again, 0 ... 1
  double noise_beta = 2.0;     // the noise's spectrum is 1/f^beta, 0 ... 8; 0 is white
  double sigma0 = 0.5;         // initial deviation in half ranges, > 0; scale: see ColoredNoise
  double momentum = 0.1;       // alpha: share of the old mean and deviation that stays, 0 ... 1
  IcemExecute execute = IcemExecute::kMean;

  IcemOptions() { horizon = 30; }
  void Visit(OptionsVisitor& visitor);
};

/// iCEM (Pinneri et al. 2020): the cross-entropy method with noise that is correlated in time, a
/// shrinking population max(2 elites, population / gamma^i), and memory: the best elites compete
/// again in the next iteration and, shifted, in the next decision. Kept elites come on top of the
/// population, as in the paper's algorithm 1; in the last iteration the mean takes one of its
/// places. All are imagined anew under the iteration's noise. The next decision starts from the
/// shifted mean, its last action repeated.
class Icem final : public Planner {
 public:
  using Options = IcemOptions;

  /// Throws InputError naming the option that is out of range.
  Icem(Options options, const PlanningProblem& problem);

  [[nodiscard]] int horizon() const override { return population_.horizon(); }
  void Reset() override;
  void set_model(const ModelVersion& version) override { population_.set_model(version); }
  const Plan& MakePlan(const PlanRequest& request) override;
  [[nodiscard]] int CopyCandidates(std::span<double> sequences) const override {
    return population_.CopyBest(sequences);
  }

 private:
  [[nodiscard]] int PopulationSize(int iteration) const;
  void ResetDeviation();
  void Explore(SamplingDecision& decision, Key key);
  void UpdateDistribution();
  void KeepElites(std::span<const int> elites);
  void ForgetPlan();
  void ShiftWarmStart(int64_t steps);
  std::span<double> kept_elite(int index);

  Options options_;
  int keep_;  // most elites that are kept
  Population population_;
  ColoredNoise noise_;
  int kept_count_ = 0;                        // elites in kept_
  std::vector<double> mean_;                  // [horizon x nu]
  std::vector<double> deviation_;             // [horizon x nu]
  std::vector<double> kept_;                  // [keep x horizon x nu]
  std::vector<double> elite_mean_;            // [horizon x nu]
  std::vector<double> elite_variance_;        // [horizon x nu]
  std::vector<std::vector<double>> scratch_;  // [workers][noise scratch]
  WarmStep warm_step_;
  Plan plan_;
};

}  // namespace foreplan
