// Plans through the true dynamics: swings up a pendulum with iCEM and prints the return. Fails
// when the pendulum does not get up.
#include <fmt/core.h>

#include "foreplan/foreplan.h"

int main() {
  auto [task, config] = foreplan::Task::Load("pendulum");
  foreplan::ThreadPool executor(2);
  const auto system = task.MakeSystem();
  const foreplan::TrueDynamics dynamics(*system);
  const auto planner = foreplan::MakePlanner(
      "icem", config, {dynamics, task.planning_reward(), task.spec(), executor});
  foreplan::MpcController controller(*planner, dynamics);
  const foreplan::EpisodeResult result =
      foreplan::RunEpisode(task, *system, controller, foreplan::Key{.seed = 3, .stream = 0},
                           task.episode_length(), [](const foreplan::EpisodeStep&) {});
  fmt::print("return {:.1f} after {} steps\n", result.episode_return, result.steps);
  // One that hangs all along loses 1,200 and more, one that swings up 120 to 400.
  return result.episode_return > -500 ? 0 : 1;
}
