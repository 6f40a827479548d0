// Plans through the true dynamics: swings up a pendulum with iCEM and prints the return.
#include <fmt/core.h>

#include "foreplan/foreplan.h"

int main() {
  auto [task, config] = foreplan::Task::Load("pendulum");
  foreplan::ThreadPool pool(2);
  const auto system = task.MakeSystem();
  const foreplan::TrueDynamics dynamics(*system);
  const auto planner =
      foreplan::MakePlanner("icem", config, {dynamics, task.planning_reward(), task.spec(), pool});
  foreplan::MpcController controller(*planner, dynamics);
  const foreplan::EpisodeResult result =
      foreplan::RunEpisode(task, *system, controller, foreplan::Key{.seed = 3, .stream = 0},
                           task.episode_length(), [](const foreplan::EpisodeStep&) {});
  fmt::print("return {:.1f} after {} steps\n", result.episode_return, result.steps);
}
