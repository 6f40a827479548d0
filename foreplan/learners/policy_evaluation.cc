#include "foreplan/learners/policy_evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "foreplan/control/episode.h"
#include "foreplan/core/error.h"
#include "foreplan/core/size.h"

namespace foreplan {
namespace {

constexpr double kForgotten = 0.01;  // gamma^t below it counts for nothing

enum Stream : uint64_t { kMeanAction, kSampledAction };

struct Played {
  EpisodeResult result;
  // Of episodes by sampled actions:
  std::vector<float> inputs;          // of the critics: [steps x critic inputs]
  std::vector<double> rewards;        // [steps]
  std::vector<double> log_densities;  // [steps]
};

void Throw(const EpisodeResult& result) {
  if (result.divergence.empty()) return;
  throw RunError(fmt::format("evaluation: an episode diverged: {}", result.divergence));
}

Played Play(const Task& task, const SquashedGaussianPolicy& policy, PolicyAction action,
            int critic_inputs, Key key, const std::stop_token& stop) {
  const std::unique_ptr<System> system = task.MakeSystem();
  SquashedActor actor(policy, action);
  Played played;
  std::vector<float> x(Size(policy.encoder().inputs()));
  std::vector<double> half_action(Size(policy.action_dim()));
  played.result = RunEpisode(
      task, *system, actor, key, std::numeric_limits<int>::max(), [&](const EpisodeStep& step) {
        if (stop.stop_requested()) throw Interrupted("interrupted");
        if (action == PolicyAction::kMean) return;
        played.inputs.resize(played.inputs.size() + Size(critic_inputs));
        policy.encoder().Encode(1, step.observation.data(), x.data());
        policy.FromTask(step.action.data(), half_action.data());
        FillCriticInput(x, half_action, &*(played.inputs.end() - critic_inputs));
        played.rewards.push_back(step.reward);
        played.log_densities.push_back(actor.log_density());
      });
  Throw(played.result);
  return played;
}

// Adds Q - G of the states whose future is known.
void Judge(const Played& played, const CriticEnsemble& critics,
           const PolicyEvaluationRequest& request, PolicyEvaluation& sums, double& absolute) {
  const auto steps = static_cast<int>(played.rewards.size());
  std::vector<double> values(played.rewards.size());
  critics.Evaluate(steps, played.inputs.data(), values);
  // G_t = r_t + gamma (G_{t+1} - alpha l_{t+1})
  std::vector<double> returns = played.rewards;
  for (int t = steps - 2; t >= 0; --t) {
    returns[Size(t)] +=
        request.discount *
        (returns[Size(t + 1)] - request.temperature * played.log_densities[Size(t + 1)]);
  }
  const bool ends = played.result.end == StepEnd::kTerminated;
  for (int t = 0; t < steps; ++t) {
    if (!ends && std::pow(request.discount, steps - t) >= kForgotten) break;
    ++sums.states;
    sums.critic_value += values[Size(t)];
    sums.soft_return += returns[Size(t)];
    absolute += std::abs(returns[Size(t)]);
  }
}

}  // namespace

PolicyEvaluation EvaluatePolicy(const Task& task, const SquashedGaussianPolicy& policy,
                                const CriticEnsemble& critics,
                                const PolicyEvaluationRequest& request, Executor& executor,
                                const std::stop_token& stop) {
  std::vector<Played> by_mean(Size(request.episodes));
  std::vector<Played> sampled(Size(request.episodes));
  executor.ParallelFor(2 * request.episodes, [&](int index, int /*worker*/) {
    const auto episode = Size(index / 2);
    const bool mean = index % 2 == 0;
    const Key key = request.key.Fold(mean ? kMeanAction : kSampledAction).Fold(episode);
    (mean ? by_mean : sampled)[episode] =
        Play(task, policy, mean ? PolicyAction::kMean : PolicyAction::kSampled, critics.inputs(),
             key, stop);
  });
  PolicyEvaluation evaluation;
  double absolute = 0;
  for (size_t episode = 0; episode < by_mean.size(); ++episode) {
    evaluation.mean_return += by_mean[episode].result.episode_return / request.episodes;
    evaluation.mean_length += static_cast<double>(by_mean[episode].result.steps) / request.episodes;
    evaluation.sampled_return += sampled[episode].result.episode_return / request.episodes;
    Judge(sampled[episode], critics, request, evaluation, absolute);
  }
  if (evaluation.states == 0) return evaluation;
  const auto states = static_cast<double>(evaluation.states);
  evaluation.critic_bias =
      std::abs(evaluation.critic_value - evaluation.soft_return) / std::max(absolute, 1e-300);
  evaluation.critic_value /= states;
  evaluation.soft_return /= states;
  return evaluation;
}

}  // namespace foreplan
