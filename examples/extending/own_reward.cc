// A reward of one's own: a pendulum is to stand, and to be at rest. With derivatives, so that iLQR
// can plan for it; Evaluate alone is enough for planners that sample.
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "foreplan/foreplan.h"

/// r = cos theta' - 0.05 v'^2 - 0.01 u^2 of observations (cos theta, sin theta, v). Many threads
/// share one: it is const throughout.
class Standing final : public foreplan::Reward {
 public:
  // A reward that says its sizes is refused where they do not fit.
  std::optional<foreplan::TransitionSizes> sizes() const override { return {{kNo, 1}}; }

  void Evaluate(const foreplan::TransitionBatch& batch, double* reward,
                uint8_t* terminated) const override {
    for (int row = 0; row < batch.rows; ++row) {
      const double* next = batch.next_observation + row * kNo;
      const double u = batch.action[row];
      reward[row] = next[0] - 0.05 * next[2] * next[2] - 0.01 * u * u;
      terminated[row] = 0;  // 1 where the episode ends with this step
    }
  }

  // By z = (observation, action, next observation): gradient [nz], hessian [nz x nz].
  double Expand(const double* /*observation*/, const double* action, const double* next,
                double* gradient, double* hessian) const override {
    std::fill_n(gradient, kNz, 0.0);
    std::fill_n(hessian, kNz * kNz, 0.0);
    gradient[kNext] = 1;
    gradient[kNext + 2] = -0.1 * next[2];
    hessian[(kNext + 2) * (kNz + 1)] = -0.1;
    gradient[kNo] = -0.02 * action[0];
    hessian[kNo * (kNz + 1)] = -0.02;
    return next[0] - 0.05 * next[2] * next[2] - 0.01 * action[0] * action[0];
  }

 private:
  static constexpr int kNo = 3, kNext = kNo + 1, kNz = 2 * kNo + 1;
};

int main() {
  // From now on task files may say reward = "standing".
  foreplan::RegisterReward(
      "standing", [](const std::string&, int, int) { return std::make_unique<const Standing>(); });
  auto [task, config] =
      foreplan::Task::Load("pendulum", {"reward=standing", "planner.ilqr.horizon=40"});
  const auto system = task.MakeSystem();
  const auto model = std::make_shared<const foreplan::TrueDynamics>(*system);
  foreplan::OracleOf<foreplan::MpcController> ilqr(
      foreplan::MakePlanner("ilqr", config, {model, task.shared_planning_reward(), task.spec()}),
      model);
  const auto result = foreplan::RunEpisode(task, *system, ilqr, foreplan::Key{.seed = 1});
  fmt::print("return {:.1f} of at most {}\n", result.episode_return, task.episode_length());
  return result.episode_return > 80 ? 0 : 1;
}
