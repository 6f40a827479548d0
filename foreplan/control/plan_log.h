// What plans hoped for, beside what came of them.
#pragma once

#include <cstddef>
#include <vector>

#include "foreplan/planners/planner.h"

namespace foreplan {

/// The plans and rewards of one episode.
class PlanLog {
 public:
  /// One more step: the plan that was made for it (null where an older one went on) and the reward
  /// that planners maximise. action_dim: nu.
  void AddStep(const Plan* plan, int action_dim, double reward);

  [[nodiscard]] int plans() const { return static_cast<int>(plans_.size()); }
  [[nodiscard]] double seconds() const { return seconds_; }  // spent on the plans
  [[nodiscard]] const std::vector<double>& rewards() const { return rewards_; }  // of each step

  /// Mean of the plans' expected returns, and of the returns of the same steps in reality, over the
  /// plans whose horizon lies within the episode and whose return the model could tell; 0 and 0
  /// without any. Expected returns far above the realised ones mean that the planner exploits
  /// errors of its model.
  struct Outcome {
    double imagined = 0;
    double realised = 0;
  };
  [[nodiscard]] Outcome MeanOutcome() const;

 private:
  struct MadePlan {
    size_t time = 0;      // steps since the episode began
    size_t horizon = 0;   // [steps]
    double expected = 0;  // return of its actions
  };
  std::vector<MadePlan> plans_;
  std::vector<double> rewards_;
  double seconds_ = 0;
};

}  // namespace foreplan
