// Dynamics of one's own: what is known of a pendulum, written down, is the model that iCEM plans
// with. The pendulum itself has another gravity, which control at every step makes up for.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "foreplan/foreplan.h"

/// x' = f(x, u), x the observation (cos theta, sin theta, theta_dot). A model whose state is
/// another, that is stochastic or needs room to work in overrides more; derivatives are
/// differences unless it has its own. Many threads share one: what changes is in a Workspace.
class Pendulum final : public foreplan::Dynamics {
 public:
  int state_dim() const override { return 3; }
  int action_dim() const override { return 1; }

  // Rows have nothing to do with each other. A row that cannot be predicted is NaN, no exception.
  void Step(const foreplan::StepBatch& batch, Workspace& /*workspace*/) const override {
    for (int row = 0; row < batch.rows; ++row) {
      const double* x = batch.state + 3 * row;
      const double u = batch.action[row];  // [N m], inside the bounds
      double* next = batch.next_state + 3 * row;
      // theta_dot' = theta_dot + (3 g / (2 l) sin theta + 3 / (m l^2) u) dt
      const double velocity = std::clamp(x[2] + (15 * x[1] + 3 * u) * kDt, -8.0, 8.0);
      const double theta = std::atan2(x[1], x[0]) + velocity * kDt;
      next[0] = std::cos(theta);
      next[1] = std::sin(theta);
      next[2] = velocity;
    }
  }

 private:
  static constexpr double kDt = 0.05;  // [s]
};

int main() {
  auto [task, config] = foreplan::Task::Load("pendulum", {"system.gravity=9"});
  const auto model = std::make_shared<const Pendulum>();
  foreplan::MpcController controller(
      foreplan::MakePlanner("icem", config, {model, task.shared_planning_reward(), task.spec()}),
      model);
  const auto system = task.MakeSystem();
  const auto result = foreplan::RunEpisode(task, *system, controller, foreplan::Key{.seed = 3});
  fmt::print("return {:.1f}\n", result.episode_return);
  // One that hangs all along loses 1,200 and more, one that swings up 120 to 400.
  return result.episode_return > -500 ? 0 : 1;
}
