#include "foreplan/control/local_rollout.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

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
                     const Eigen::MatrixXd& noise, Key key, const std::atomic<bool>& stop) {
  return RollOut(
      task, system,
      [&policy](int time, const Eigen::VectorXd& observation, const Eigen::VectorXd& units) {
        return policy.MeanPlusNoise(time, observation, units);
      },
      noise, key, stop);
}

LocalRollout RollOut(const Task& task, System& system, const NoisyAction& policy,
                     const Eigen::MatrixXd& noise, Key key, const std::atomic<bool>& stop) {
  const SystemSpec& spec = system.spec();
  const auto no = static_cast<size_t>(spec.observation_dim());
  const auto nu = static_cast<size_t>(spec.action_dim());
  const auto steps = static_cast<size_t>(task.episode_length());
  const DependentComponents components = system.dependent_components();
  const size_t jacobian = components.dependent.size() * components.on.size();
  LocalRollout rollout;
  rollout.observations.resize((steps + 1) * no);
  rollout.actions.resize(steps * nu);
  rollout.jacobians.resize(steps * jacobian);
  system.Reset(key);
  system.Observe({rollout.observations.data(), no});
  for (size_t t = 0; t < steps; ++t) {
    if (stop) throw Interrupted("interrupted");
    const auto time = static_cast<int>(t);
    double* observation = rollout.observations.data() + t * no;
    double* action = rollout.actions.data() + t * nu;
    if (jacobian > 0) {
      system.DependentJacobian({rollout.jacobians.data() + t * jacobian, jacobian});
    }
    const Eigen::VectorXd u =
        policy(time, Eigen::Map<const Eigen::VectorXd>(observation, static_cast<Eigen::Index>(no)),
               noise.col(time));
    for (size_t i = 0; i < nu; ++i) {
      action[i] =
          std::clamp(u[static_cast<Eigen::Index>(i)], spec.action_low[i], spec.action_high[i]);
    }
    if (system.Step({action, nu}) == StepStatus::kDiverged) {
      rollout.divergence = system.Divergence();
      return rollout;
    }
    system.Observe({observation + no, no});
    double reward = 0;
    uint8_t terminated = 0;
    task.reward().Evaluate({.rows = 1,
                            .observation = observation,
                            .action = action,
                            .next_observation = observation + no},
                           &reward, &terminated);
    rollout.episode_return += reward;
    ++rollout.steps;
    rollout.terminated = terminated != 0;
    if (rollout.terminated) return rollout;
  }
  return rollout;
}

}  // namespace foreplan
