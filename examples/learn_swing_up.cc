// Learns to swing up a cart-pole from nothing and prints the return of each episode.
#include <fmt/core.h>

#include "foreplan/foreplan.h"

int main() {
  auto [task, config] = foreplan::Task::Load("cartpole_closed_form");
  foreplan::ThreadPool pool(2);
  foreplan::RunLog log;
  const std::atomic<bool> stop = false;
  const foreplan::RunOptions run{.algorithm = "mpc", .planner = "icem", .seed = 1, .episodes = 4};
  foreplan::MakeLearner(run.algorithm, config, {task, run, pool, log, stop, {}})->Run();
  for (const foreplan::EpisodeRow& episode : log.episodes()) {
    fmt::print("episode {}: return {:.1f}\n", episode.episode, episode.episode_return);
  }
}
