// Random shooting: the best of many uniform action sequences.
#pragma once

#include <memory>
#include <utility>

#include "foreplan/planners/planner.h"
#include "foreplan/planners/sampling.h"

namespace foreplan {

struct RandomShootingOptions : SamplingOptions {
  int population = 1000;  // candidates per decision, 1 ... 1000000

  void Visit(OptionsVisitor& visitor);
};

/// Draws sequences uniformly within the bounds and takes the one with the highest imagined return.
/// The warm start serves only when no candidate is valid, or when a decision is cut and it is best.
class RandomShooting final : public Planner {
 public:
  using Options = RandomShootingOptions;

  /// Throws InputError naming the option that is out of range.
  RandomShooting(Options options, const PlanningProblem& problem);

  [[nodiscard]] int horizon() const override { return population_.horizon(); }
  void Reset() override;
  void set_model(const ModelVersion& version) override { population_.set_model(version); }
  const Plan& MakePlan(const PlanRequest& request) override;

 private:
  void ForgetPlan();

  Options options_;
  Population population_;
  WarmStep warm_step_;
  Plan plan_;
};

}  // namespace foreplan
