// Plans through the true dynamics: swings up a pendulum with iCEM and prints the return. Fails
// when the pendulum does not get up.
#include <fmt/core.h>

#include <memory>

#include "foreplan/foreplan.h"

int main() {
  auto [task, config] = foreplan::Task::Load("pendulum");
  const auto executor = std::make_shared<foreplan::ThreadPool>(2);
  const auto system = task.MakeSystem();
  const auto dynamics = std::make_shared<const foreplan::TrueDynamics>(*system);
  // The true dynamics step the full state: what plans with them is an oracle.
  foreplan::OracleOf<foreplan::MpcController> controller(
      foreplan::MakePlanner("icem", config,
                            {dynamics, task.shared_planning_reward(), task.spec(), executor}),
      dynamics);
  const foreplan::EpisodeResult result =
      foreplan::RunEpisode(task, *system, controller, foreplan::Key{.seed = 3, .stream = 0},
                           task.episode_length(), [](const foreplan::EpisodeStep&) {});
  fmt::print("return {:.1f} after {} steps\n", result.episode_return, result.steps);
  // One that hangs all along loses 1,200 and more, one that swings up 120 to 400.
  return result.episode_return > -500 ? 0 : 1;
}
