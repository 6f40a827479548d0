// Learns to swing up a cart-pole from nothing and prints the return of each episode. Fails when the
// last one earns no more than the first, which acts at random.
#include <fmt/core.h>

#include <memory>

#include "foreplan/foreplan.h"

int main() {
  auto [task, config] = foreplan::Task::Load("cartpole_closed_form");
  const auto executor = std::make_shared<foreplan::ThreadPool>(2);
  foreplan::RunLog log;
  const foreplan::RunOptions run{.algorithm = "mpc", .planner = "icem", .seed = 1, .episodes = 4};
  const auto learner = foreplan::MakeLearner(run.algorithm, config, {task, run, executor});
  learner->AddObserver(std::make_shared<foreplan::LogObserver>(log, run, task.episode_length()));
  learner->Run();
  for (const foreplan::EpisodeRow& episode : log.episodes()) {
    fmt::print("episode {}: return {:.1f}\n", episode.episode, episode.episode_return);
  }
  const double gained = log.episodes().back().episode_return - log.episodes()[0].episode_return;
  return gained > 50 ? 0 : 1;
}
