// A policy of one's own: pumps energy into a pendulum until it is up, then holds it. It is judged
// on the shipped task like every other controller.
#include <fmt/core.h>

#include <cmath>
#include <span>

#include "foreplan/foreplan.h"

/// Acts on what is observed, (cos theta, sin theta, theta_dot); what is to see the full state is an
/// Oracle besides. What a policy remembers of an episode it forgets in Reset.
class PumpAndHold final : public foreplan::Policy {
 public:
  void Reset(foreplan::Key /*key*/) override {}

  // Bounds need no care: actions are clamped to them.
  void Act(const foreplan::Situation& situation, std::span<double> action) override {
    const double cosine = situation.observation[0];
    const double theta = std::atan2(situation.observation[1], cosine);  // 0 stands upright [rad]
    const double velocity = situation.observation[2];                   // [rad/s]
    if (cosine > 0.85) {
      action[0] = -20 * theta - 4 * velocity;
    } else {
      // E = v^2 / 2 + (3 g / 2 l) (cos theta - 1) is 0 where it stands at rest.
      const double energy = 0.5 * velocity * velocity + 15 * (cosine - 1);
      action[0] = energy < 0 ? std::copysign(2.0, velocity) : std::copysign(2.0, -velocity);
    }
  }
};

int main() {
  const foreplan::Task task = foreplan::Task::Load("pendulum").first;
  PumpAndHold policy;
  const auto zero = foreplan::MakeBasePolicy("zero", task.spec());
  // Equal requests give equal starts, whatever acts.
  const foreplan::EvaluationRequest request{.episodes = 20};
  const auto of_policy = foreplan::Evaluate("pump and hold", task, policy, request);
  const auto of_zero = foreplan::Evaluate("zero", task, *zero, request);
  for (const auto* found : {&of_policy, &of_zero}) {
    fmt::print("{:14} {:8.1f} +- {:.1f}\n", found->controller, found->summary.mean,
               found->summary.ci95);
  }
  return of_policy.summary.mean > of_zero.summary.mean + 500 ? 0 : 1;
}
