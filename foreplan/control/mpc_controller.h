// Model-predictive control: plan at every step, execute the first action.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <utility>
#include <vector>

#include "foreplan/control/model_source.h"
#include "foreplan/models/model_version.h"
#include "foreplan/planners/planner.h"
#include "foreplan/policies/policy.h"

namespace foreplan {

/// A plan and what it was made of; valid until the next decision.
struct MadePlan {
  const Plan& plan;
  const Planner& planner;         // whose last decision it is: Planner::CopyCandidates
  std::span<const double> state;  // where it begins: [state_dim] of the model
  ModelVersion model;             // that planned it
};

/// A policy that acts by plans of its own.
class PlanningPolicy : public Policy {
 public:
  /// The plan made for the last action; null where an older plan went on.
  [[nodiscard]] virtual const Plan* new_plan() const = 0;
  /// The last plan of the episode, when there is one.
  [[nodiscard]] virtual MadePlan made_plan() const = 0;
};

/// The time for a decision; 0: none is set [ms].
[[nodiscard]] std::optional<std::chrono::nanoseconds> DecisionTime(double ms);

struct MpcControl {
  /// Each decision may take so long; none: as long as its planner wants.
  std::optional<std::chrono::nanoseconds> deadline = {};
  int period = 1;  // steps that are executed of a plan before the next is made, if it has them
  std::stop_token stop = {};  // a decision under way throws Interrupted
};

/// Throws InputError unless `policy` sees what the model calls its state: an observation, or as an
/// oracle (OracleOf) the full state of a system.
void CheckSeesStateOf(const Dynamics& dynamics, const PlanningPolicy& policy);

/// Turns a planner into a policy that plans with the model that its source has at every decision.
/// Between two decisions the last plan goes on (Plan::ActionAt), with its feedback where the
/// planner has gains. The planner's state is the observation; planning on the true system is an
/// OracleOf<MpcController>.
class MpcController : public PlanningPolicy {
 public:
  /// Throws InputError for a planner that is null and a period below 1; decisions throw it where
  /// CheckSeesStateOf does.
  MpcController(std::shared_ptr<Planner> planner, ModelSource source,
                const MpcControl& control = {});

  void Reset(Key key) override;
  void Act(const Situation& situation, std::span<double> action) override;

  [[nodiscard]] const Plan* new_plan() const override { return made_now_ ? plan_ : nullptr; }
  [[nodiscard]] MadePlan made_plan() const override { return {*plan_, *planner_, start_, model_}; }

 private:
  [[nodiscard]] bool IsPlanDue(int64_t step) const;
  void MakePlan(int64_t step, const Situation& situation);

  std::shared_ptr<Planner> planner_;
  ModelSource source_;
  MpcControl control_;
  const Plan* plan_ = nullptr;  // the last one of the episode; null: none yet
  ModelVersion model_;          // that planned it
  std::vector<double> start_;   // where it begins: [state_dim]
  bool made_now_ = false;
};

}  // namespace foreplan
