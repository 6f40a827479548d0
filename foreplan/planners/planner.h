// What chooses a plan.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/random.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/systems/reward.h"
#include "foreplan/systems/system.h"

namespace foreplan {

enum class PlanStatus {
  kOk,          // all iterations done
  kConverged,   // stopped early by the planner's own rule
  kDeadline,    // stopped by the budget; the plan is the best so far
  kAllInvalid,  // no candidate had a finite return; the plan is the warm start
};

struct Plan {
  std::vector<double> actions;  // [horizon x nu], inside the bounds
  double predicted_return = 0;  // of the best candidate; -infinity when none was valid or tried
  PlanStatus status = PlanStatus::kOk;
  int iterations = 0;
  int rollouts = 0;    // candidates evaluated
  double seconds = 0;  // wall time of the decision
};

/// How much a planner may spend on one decision.
struct Budget {
  std::optional<std::chrono::steady_clock::time_point> deadline;  // none: all iterations
};

/// What a planner plans with. References must outlive the planner.
struct PlanningProblem {
  const Dynamics& dynamics;
  const Reward& reward;
  const SystemSpec& spec;  // action bounds
  ThreadPool& pool;
};

/// Keeps its warm start between decisions of one episode. Allocates only when it is made.
class Planner {
 public:
  virtual ~Planner() = default;

  /// Forgets the warm start: an episode begins.
  virtual void Reset() = 0;

  /// Plans from `state` ([state_dim] of the dynamics) and shifts the warm start by one step.
  /// The reference is valid until the next call.
  virtual const Plan& MakePlan(std::span<const double> state, Key key,
                               const Budget& budget = {}) = 0;
};

/// Reads section [planner.<name>] of `config` and makes that planner. Throws InputError for an
/// unknown name or wrong options.
std::unique_ptr<Planner> MakePlanner(const std::string& name, Config& config,
                                     const PlanningProblem& problem);
/// Appends section [planner.<name>] as it is in effect.
void WritePlannerOptions(const std::string& name, Config& config, ConfigWriter& writer);
std::vector<std::string> PlannerNames();

}  // namespace foreplan
