// Model-predictive control: plan at every step, execute the first action.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "foreplan/control/dynamics_source.h"
#include "foreplan/planners/planner.h"
#include "foreplan/policies/policy.h"

namespace foreplan {

/// A policy that acts by plans of its own.
class PlanningPolicy : public Policy {
 public:
  /// The plan made for the last action; null where an older plan went on.
  [[nodiscard]] virtual const Plan* new_plan() const = 0;
};

/// The time for a decision; 0: none is set [ms].
[[nodiscard]] std::optional<std::chrono::nanoseconds> DecisionTime(double ms);

/// Turns a planner into a policy that plans with the model that its source has at every decision.
/// Whether the planner's state is the observation or the system's full state follows from the model
/// (Dynamics::observation_is_state).
class MpcController final : public PlanningPolicy {
 public:
  /// Each decision may take so long; none: as long as its planner wants.
  MpcController(std::shared_ptr<Planner> planner, DynamicsSource source,
                std::optional<std::chrono::nanoseconds> deadline = {})
      : planner_(std::move(planner)), source_(std::move(source)), deadline_(deadline) {}

  void Reset(Key key) override;
  void Act(const Situation& situation, std::span<double> action) override;

  [[nodiscard]] const Plan* new_plan() const override { return plan_; }

 private:
  std::shared_ptr<Planner> planner_;
  DynamicsSource source_;
  std::optional<std::chrono::nanoseconds> deadline_;
  const Plan* plan_ = nullptr;
};

}  // namespace foreplan
