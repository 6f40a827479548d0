// What a planner is that draws action sequences and imagines them.
#pragma once

#include <span>

#include "foreplan/planners/planner.h"
#include "foreplan/planners/sampling.h"

namespace foreplan {

/// Keeps the population, the warm start (the last plan, shifted by the steps that passed) and the
/// rules of a decision: deadline, stop, proposals, what is executed when it is cut. A planner
/// derives from it and says in Search how candidates are drawn.
class SamplingPlanner : public Planner {
 public:
  [[nodiscard]] int horizon() const final { return population_.horizon(); }
  void Reset() final;
  void set_model(const ModelVersion& version) final { population_.set_model(version); }
  const Plan& MakePlan(const PlanRequest& request) final;
  [[nodiscard]] int CopyCandidates(std::span<double> sequences) const final {
    return population_.CopyBest(sequences);
  }

 protected:
  /// `population`: most candidates of an iteration.
  SamplingPlanner(const PlanningProblem& problem, const SamplingOptions& options, int population);

  /// One decision: iterations of SamplingDecision::Explore, as long as NextIteration says. What the
  /// plan is to be: [horizon x nu].
  virtual std::span<const double> Search(SamplingDecision& decision, Key key) = 0;

  [[nodiscard]] const Population& population() const { return population_; }

 private:
  void ForgetPlan();
  /// Throws RunError for what is no plan: Search may be another program's.
  void CheckSequence(std::span<const double> sequence) const;

  Population population_;
  WarmStep warm_step_;
  Plan plan_;
};

}  // namespace foreplan
