// Model-predictive control: plan at every step, execute the first action.
#pragma once

#include <chrono>
#include <optional>
#include <span>

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

/// Turns a planner into a policy. Whether the planner's state is the observation or the system's
/// full state follows from the dynamics (Dynamics::observation_is_state).
class MpcController final : public PlanningPolicy {
 public:
  /// Each decision may take so long; none: as long as its planner wants. References must outlive
  /// the controller.
  MpcController(Planner& planner, const Dynamics& dynamics,
                std::optional<std::chrono::nanoseconds> deadline = {})
      : planner_(planner), sees_state_(!dynamics.observation_is_state()), deadline_(deadline) {}

  void Reset(Key key) override;
  void Act(const Situation& situation, std::span<double> action) override;

  [[nodiscard]] const Plan* new_plan() const override { return plan_; }

 private:
  Planner& planner_;
  bool sees_state_;
  std::optional<std::chrono::nanoseconds> deadline_;
  const Plan* plan_ = nullptr;
};

}  // namespace foreplan
