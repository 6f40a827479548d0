// Taking rollouts, and what is kept of them.
#include <fmt/format.h>

#include "foreplan/core/error.h"
#include "foreplan/learners/episode_row.h"
#include "foreplan/learners/local_condition.h"
#include "foreplan/learners/local_models.h"

namespace foreplan {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// `rollouts` episodes of every condition, in any order: each has its own key.
void LocalModelsLearner::Sample() {
  const int rollouts = options_.rollouts;
  const auto count = static_cast<int>(conditions_.size()) * rollouts;
  for (const auto& condition : conditions_) {
    condition->rollouts.resize(static_cast<size_t>(rollouts));
  }
  const Key key = key_.Fold(kRollout).Fold(static_cast<uint64_t>(iterations_));
  const bool on_policy = GlobalPolicyActs();
  std::vector<NetworkPolicy> actors;  // one per worker
  const int acting = on_policy ? context_.executor->size() : 0;
  for (int worker = 0; worker < acting; ++worker) actors.push_back(*global_);
  context_.executor->ParallelFor(count, [&](int task, int worker) {
    LocalCondition& condition = *conditions_[static_cast<size_t>(task / rollouts)];
    System& system = *systems_[static_cast<size_t>(worker)][static_cast<size_t>(condition.number)];
    const Key own = key.Fold(static_cast<uint64_t>(task));
    condition.rollouts[static_cast<size_t>(task % rollouts)] =
        on_policy ? RollOut(context_.task, system, Noisy(actors[static_cast<size_t>(worker)]),
                            ExplorationNoise(nu_, horizon_, options_.noise_smoothing, own.Fold(0)),
                            own.Fold(1), context_.stop)
                  : RollOut(context_.task, system, condition.policy, Noise(condition, own.Fold(0)),
                            own.Fold(1), context_.stop);
  });
}

NoisyAction LocalModelsLearner::Noisy(NetworkPolicy& policy) {
  return [&policy](int /*time*/, const VectorXd& observation, const VectorXd& noise) {
    return policy.MeanPlusNoise(observation, noise);
  };
}

// In units of the policy's deviations.
MatrixXd LocalModelsLearner::Noise(const LocalCondition& condition, Key key) const {
  switch (options_.exploration) {
    case LocalExploration::kPolicy:
      break;
    case LocalExploration::kNone:
      return MatrixXd::Zero(nu_, horizon_);
    case LocalExploration::kFixed: {
      MatrixXd noise = ExplorationNoise(nu_, horizon_, options_.noise_smoothing, key);
      for (int t = 0; t < horizon_; ++t) {
        noise.col(t) =
            condition.policy.InUnitsOfDeviation(t, options_.fixed_deviation * noise.col(t));
      }
      return noise;
    }
  }
  return ExplorationNoise(nu_, horizon_, options_.noise_smoothing, key);
}

// All of them, whatever they are good for, with the transitions that they had.
void LocalModelsLearner::LogRollouts() {
  int steps = 0;
  for (const auto& condition : conditions_) {
    for (const LocalRollout& rollout : condition->rollouts) steps += rollout.episode.steps;
  }
  const int episodes = episodes_ + static_cast<int>(conditions_.size()) * options_.rollouts;
  const bool is_last_round = context_.run.IsOver(episodes, total_steps_ + steps);
  for (const auto& condition : conditions_) {
    const std::string actor =
        fmt::format("{} {}", GlobalPolicyActs() ? "global" : "local", condition->number + 1);
    for (const LocalRollout& rollout : condition->rollouts) {
      LogRollout(*condition, rollout, actor, is_last_round && episodes_ + 1 == episodes);
    }
  }
}

void LocalModelsLearner::LogRollout(const LocalCondition& condition, const LocalRollout& rollout,
                                    const std::string& actor, bool is_last) {
  const auto nx = static_cast<size_t>(nx_);
  const auto nu = static_cast<size_t>(nu_);
  const System& system = *systems_.front()[static_cast<size_t>(condition.number)];
  ++episodes_;
  const auto ns = static_cast<size_t>(system.spec().state_dim());
  EpisodeBegin begin{episodes_, actor, system, is_last, condition.number};
  if (condition.fit.dynamics.initial_mean.size() > 0 && !GlobalPolicyActs()) {
    begin.expected = [&condition] {
      return PropagateDistribution(condition.fit.dynamics, condition.policy);
    };
  }
  Tell(&RunObserver::OnEpisodeBegin, begin);
  double sum = 0;
  for (int time = 0; time < rollout.episode.steps; ++time) {
    const auto t = static_cast<size_t>(time);
    const double* x = rollout.observations.data() + t * nx;
    const double* state = rollout.states.data() + t * ns;
    const bool is_final = time + 1 == rollout.episode.steps;
    const StepEnd end =
        rollout.episode.end == StepEnd::kContinues ? StepEnd::kTruncated : rollout.episode.end;
    const EpisodeStep step{.time = time,
                           .observation = {x, nx},
                           .action = {rollout.actions.data() + t * nu, nu},
                           .next_observation = {x + nx, nx},
                           .reward = rollout.rewards[t],
                           .end = is_final ? end : StepEnd::kContinues,
                           .state = {state, ns},
                           .next_state = {state + ns, ns}};
    data_.Add({.observation = step.observation,
               .action = step.action,
               .next_observation = step.next_observation,
               .episode = episodes_,
               .reward = step.reward,
               .end = step.end});
    ++total_steps_;
    sum += step.reward;
    Tell(&RunObserver::OnStep, ObservedStep{step, episodes_, total_steps_, sum});
  }
  Tell(&RunObserver::OnEpisodeEnd,
       RowOf(rollout.episode, horizon_, episodes_, total_steps_, actor));
}

void LocalModelsLearner::CheckRollouts() const {
  for (const auto& condition : conditions_) {
    for (const LocalRollout& rollout : condition->rollouts) {
      const EpisodeResult& episode = rollout.episode;
      if (episode.steps == horizon_) continue;
      throw RunError(fmt::format(
          "condition {}: an episode {} after {} of {} steps{}{}; local models need whole ones",
          condition->number + 1, episode.divergence.empty() ? "ended" : "diverged", episode.steps,
          horizon_, episode.divergence.empty() ? "" : ": ", episode.divergence));
    }
  }
}

// From here on the iteration can be finished without rolling out again.
void LocalModelsLearner::Keep() {
  for (const auto& condition : conditions_) {
    condition->sampled_distance = 0;
    for (const LocalRollout& rollout : condition->rollouts) {
      condition->sampled_distance += JudgeRollout(rollout).first / options_.rollouts;
    }
    condition->Keep(options_.reuse);
  }
  sampled_ = true;
}

}  // namespace foreplan
