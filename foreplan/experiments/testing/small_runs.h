// Whole runs of every loop that take a blink. For tests.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/experiments/experiment.h"
#include "foreplan/experiments/run_session.h"

namespace foreplan::testing {

inline constexpr const char* kSmallTask = "cartpole_closed_form";

/// What a loop needs at least, of everything.
inline std::vector<std::string> SmallSettings(const std::string& algorithm) {
  std::vector<std::string> settings = {
      "episode_length=12",         "model.members=2",           "model.width=8",
      "model.hidden_layers=1",     "fit.min_steps=5",           "fit.max_steps=5",
      "planner.icem.horizon=4",    "planner.icem.population=6", "planner.icem.elites=2",
      "planner.icem.iterations=1", "local_models.rollouts=4",   "policy_backprop.training.steps=3"};
  const std::vector<std::string> of_critics = {"actor_critic.base_steps=20",
                                               "actor_critic.train_every=12",
                                               "actor_critic.pool=200",
                                               "actor_critic.pool_updates=4",
                                               "actor_critic.training.batch=8",
                                               "actor_critic.training.particles=4",
                                               "actor_critic.policy.width=8",
                                               "actor_critic.policy.hidden_layers=1",
                                               "actor_critic.critic.width=8",
                                               "actor_critic.critic.hidden_layers=1",
                                               "fit.first_steps=0",
                                               "fit.batch=8",
                                               "model.members=4"};
  if (algorithm == "dhmbpo" || algorithm == "mbpo" || algorithm == "svg" || algorithm == "sac") {
    settings.insert(settings.end(), of_critics.begin(), of_critics.end());
  }
  return settings;
}

/// Of that loop; local models need four episodes for a fit.
inline Experiment SmallExperiment(const std::string& algorithm, int episodes) {
  return LoadExperiment(kSmallTask, {.algorithm = algorithm,
                                     .episodes = episodes,
                                     .record = RecordedEpisodes::kLast,
                                     .assignments = SmallSettings(algorithm)});
}

/// On one thread, without a word.
inline std::unique_ptr<RunSession> QuietSession(Experiment experiment) {
  return std::make_unique<RunSession>(std::move(experiment), 1, std::stop_token(),
                                      MakeExperimentsLearner, Progress::Mode::kSilent);
}

}  // namespace foreplan::testing
