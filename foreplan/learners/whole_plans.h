// What the loops v0.5 and v1.0 share: how a plan of a whole episode is executed.
#pragma once

#include <memory>
#include <string>

#include "foreplan/control/whole_plan_controller.h"
#include "foreplan/learners/model_learner.h"
#include "foreplan/planners/imagined_mpc.h"

namespace foreplan {

enum class PlanExecution {
  kOpenLoop,   // the plan's actions, whatever happens
  kTracked,    // with time-varying feedback gains around the plan
  kReplanned,  // a new plan at every step, of the planner's own horizon
};

/// How open-loop and tracked plans are found.
enum class PlanSearch {
  kImaginedMpc,  // step by step: the planner controls the model's mean from the first state on
  kAtOnce,       // the planner searches all steps at once
};

/// Sections [fit_then_plan] and [aggregate].
struct WholePlanOptions {
  PlanExecution execution = PlanExecution::kOpenLoop;
  int horizon = 0;  // of open-loop and tracked plans [steps]; 0: the episode
  PlanSearch search = PlanSearch::kImaginedMpc;
  int polish = 0;  // iterations of iLQR on the model that improve such a plan
  std::string base_policy = "uniform";
  int base_episodes = 1;  // episodes of the base policy before the first fit; 0 needs data
  std::string data;       // file of transitions to begin with; "": none
  LogOptions log = {};    // how it is read; section [log] of a configuration

  void Visit(OptionsVisitor& visitor);
};

/// A model learner that acts by whole plans.
class WholePlanLearner : public ModelLearner {
 public:
  Policy& controller() override { return *controller_; }

 protected:
  /// Reads section `section` (and those of ModelLearner). Throws InputError for a data file that
  /// cannot be read, does not fit the task or is empty, and when there would be nothing to fit.
  WholePlanLearner(const std::string& section, Config& config, const LearnerContext& context);
  /// Throws InputError also for a planner that searches at once and not the whole plan.
  WholePlanLearner(const LearnerContext& context, const WholePlanOptions& options,
                   ModelLearnerParts parts);

  [[nodiscard]] const WholePlanOptions& options() const { return options_; }
  [[nodiscard]] PlanningPolicy& planning_policy() { return *controller_; }
  /// Refits to all data, measures the new model where the base policy goes, and saves the run.
  void Fit();

 private:
  /// With the parts that a configuration says, for these options.
  WholePlanLearner(Config& config, const LearnerContext& context, const WholePlanOptions& options);

  WholePlanOptions options_;
  std::unique_ptr<PlanningPolicy> controller_;
};

}  // namespace foreplan
