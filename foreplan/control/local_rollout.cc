#include "foreplan/control/local_rollout.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

/// Gaussian filter of deviation `width`, cut off at four deviations; beyond the ends the series
/// goes on mirrored (d c b a | a b c d | d c b a).
Eigen::VectorXd Smoothed(const Eigen::VectorXd& series, double width) {
  const Eigen::Index n = series.size();
  const auto radius = static_cast<Eigen::Index>(std::lround(4 * width));
  const auto mirrored = [n](Eigen::Index i) {
    i = ((i % (2 * n)) + 2 * n) % (2 * n);
    return i < n ? i : 2 * n - 1 - i;
  };
  Eigen::VectorXd weights(2 * radius + 1);
  for (Eigen::Index i = -radius; i <= radius; ++i) {
    weights[i + radius] = std::exp(-0.5 * static_cast<double>(i * i) / (width * width));
  }
  weights /= weights.sum();
  Eigen::VectorXd result = Eigen::VectorXd::Zero(n);
  for (Eigen::Index t = 0; t < n; ++t) {
    for (Eigen::Index i = -radius; i <= radius; ++i) {
      result[t] += weights[i + radius] * series[mirrored(t + i)];
    }
  }
  return result;
}

/// Acts with the given noise, and keeps the Jacobians of dependent components where it acts.
class RolloutPolicy final : public Policy {
 public:
  /// References must outlive the policy. noise: [nu x steps].
  RolloutPolicy(const NoisyAction& action, const Eigen::MatrixXd& noise, const System& system,
                size_t steps, std::vector<double>& jacobians)
      : action_(action), noise_(noise), system_(system), jacobians_(jacobians) {
    const DependentComponents components = system.dependent_components();
    entries_ = components.dependent.size() * components.on.size();
    jacobians_.assign(steps * entries_, 0.0);
  }

  void Reset(Key /*key*/) override {}

  void Act(const Situation& situation, std::span<double> action) override {
    const auto t = static_cast<size_t>(situation.time);
    if (entries_ > 0)
      system_.DependentJacobian(std::span(jacobians_).subspan(t * entries_, entries_));
    const Eigen::Map<const Eigen::VectorXd> observation(
        situation.observation.data(), static_cast<Eigen::Index>(situation.observation.size()));
    const Eigen::VectorXd u = action_(situation.time, observation, noise_.col(situation.time));
    std::copy_n(u.data(), action.size(), action.data());
  }

 private:
  const NoisyAction& action_;
  const Eigen::MatrixXd& noise_;
  const System& system_;
  std::vector<double>& jacobians_;
  size_t entries_ = 0;  // of one Jacobian
};

}  // namespace

Eigen::MatrixXd ExplorationNoise(int nu, int steps, double smoothing, Key key) {
  Random random(key);
  Eigen::MatrixXd noise(nu, steps);
  for (Eigen::Index t = 0; t < steps; ++t) {
    for (Eigen::Index i = 0; i < nu; ++i) noise(i, t) = random.Normal();
  }
  if (smoothing <= 0) return noise;
  for (Eigen::Index i = 0; i < nu; ++i) {
    const Eigen::VectorXd smooth = Smoothed(noise.row(i).transpose(), smoothing);
    const double mean = smooth.mean();
    const double deviation = std::sqrt((smooth.array() - mean).square().mean());
    noise.row(i) = smooth.transpose() / std::max(deviation, 1e-12);
  }
  return noise;
}

LocalRollout RollOut(const Task& task, System& system, const LinearGaussianPolicy& policy,
                     const Eigen::MatrixXd& noise, Key key, const std::stop_token& stop) {
  return RollOut(
      task, system,
      [&policy](int time, const Eigen::VectorXd& observation, const Eigen::VectorXd& units) {
        return policy.MeanPlusNoise(time, observation, units);
      },
      noise, key, stop);
}

LocalRollout RollOut(const Task& task, System& system, const NoisyAction& policy,
                     const Eigen::MatrixXd& noise, Key key, const std::stop_token& stop) {
  const auto no = static_cast<size_t>(system.spec().observation_dim());
  const auto nu = static_cast<size_t>(system.spec().action_dim());
  const auto steps = static_cast<size_t>(task.episode_length());
  LocalRollout rollout;
  rollout.observations.resize((steps + 1) * no);
  rollout.actions.resize(steps * nu);
  rollout.rewards.resize(steps);
  const auto ns = static_cast<size_t>(system.spec().state_dim());
  rollout.states.resize((steps + 1) * ns);
  RolloutPolicy actor(policy, noise, system, steps, rollout.jacobians);
  EpisodeKeys keys;
  constexpr uint64_t kMeasurements = 1;
  keys.environment = key;
  keys.measurements = key.Fold(kMeasurements);
  rollout.episode =
      RunEpisode(task, system, actor, keys, task.episode_length(), [&](const EpisodeStep& step) {
        if (stop.stop_requested()) throw Interrupted("interrupted");
        const auto t = static_cast<size_t>(step.time);
        const auto at = [](std::vector<double>& values, size_t offset) {
          return values.begin() + static_cast<std::ptrdiff_t>(offset);
        };
        if (t == 0) std::ranges::copy(step.observation, at(rollout.observations, 0));
        if (t == 0) std::ranges::copy(step.state, at(rollout.states, 0));
        std::ranges::copy(step.next_state, at(rollout.states, (t + 1) * ns));
        std::ranges::copy(step.next_observation, at(rollout.observations, (t + 1) * no));
        std::ranges::copy(step.action, at(rollout.actions, t * nu));
        rollout.rewards[t] = step.reward;
      });
  return rollout;
}

}  // namespace foreplan
