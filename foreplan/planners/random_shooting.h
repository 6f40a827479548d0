// Random shooting: the best of many uniform action sequences.
#pragma once

#include <span>

#include "foreplan/planners/sampling_planner.h"

namespace foreplan {

struct RandomShootingOptions : SamplingOptions {
  int population = 1000;  // candidates per decision, 1 ... 1000000

  void Visit(OptionsVisitor& visitor);
};

/// Draws sequences uniformly within the bounds and takes the one with the highest imagined return.
/// The warm start serves only when no candidate is valid, or when a decision is cut and it is best.
class RandomShooting final : public SamplingPlanner {
 public:
  using Options = RandomShootingOptions;

  /// Throws InputError naming the option that is out of range.
  RandomShooting(const Options& options, const PlanningProblem& problem);

 private:
  std::span<const double> Search(SamplingDecision& decision, Key key) override;

  int candidates_;
};

}  // namespace foreplan
