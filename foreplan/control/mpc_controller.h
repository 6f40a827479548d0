// Model-predictive control: plan at every step, execute the first action.
#pragma once

#include <span>

#include "foreplan/planners/planner.h"
#include "foreplan/policies/policy.h"

namespace foreplan {

/// Turns a planner into a policy. Whether the planner's state is the observation or the system's
/// full state follows from the dynamics (Dynamics::observation_is_state).
class MpcController final : public Policy {
 public:
  /// References must outlive the controller.
  MpcController(Planner& planner, const Dynamics& dynamics)
      : planner_(planner), sees_state_(!dynamics.observation_is_state()) {}

  void Reset(Key key) override;
  void Act(const Situation& situation, std::span<double> action) override;

  [[nodiscard]] const Plan& last_plan() const { return *plan_; }  // valid after Act

 private:
  Planner& planner_;
  bool sees_state_;
  const Plan* plan_ = nullptr;
};

}  // namespace foreplan
