#include "foreplan/models/imagined_rollout.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

namespace foreplan {
namespace {

bool AreFloats(std::span<const double> values) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  return std::ranges::all_of(values, [](double value) { return std::abs(value) <= kLargest; });
}

}  // namespace

ImaginedRollout::ImaginedRollout(std::shared_ptr<const Dynamics> dynamics,
                                 std::shared_ptr<const Reward> reward)
    : dynamics_(std::move(dynamics)),
      reward_(std::move(reward)),
      workspace_(dynamics_->MakeDerivativeWorkspace(1)),
      state_(static_cast<size_t>(dynamics_->state_dim())),
      next_state_(state_.size()),
      observation_(static_cast<size_t>(dynamics_->observation_dim())),
      next_observation_(observation_.size()) {}

double ImaginedRollout::Expect(std::span<const double> state, std::span<const double> actions,
                               std::span<float> observations) {
  return Roll(state, actions, nullptr, observations);
}

double ImaginedRollout::Sample(std::span<const double> state, std::span<const double> actions,
                               const Particle& particle, std::span<float> observations) {
  return Roll(state, actions, &particle, observations);
}

double ImaginedRollout::Roll(std::span<const double> state, std::span<const double> actions,
                             const Particle* particle, std::span<float> observations) {
  const auto no = observation_.size();
  const auto nu = static_cast<size_t>(dynamics_->action_dim());
  std::ranges::copy(state, state_.begin());
  dynamics_->Observe(state_, observation_, *workspace_);
  double sum = 0;
  bool goes_on = true;
  for (size_t t = 0; t * no < observations.size(); ++t) {
    if (t > 0 && goes_on) {
      goes_on = Step(&actions[(t - 1) * nu], static_cast<int>(t - 1), particle, sum);
    }
    std::ranges::transform(observation_, observations.begin() + static_cast<std::ptrdiff_t>(t * no),
                           [](double value) { return static_cast<float>(value); });
  }
  return sum;
}

bool ImaginedRollout::Step(const double* action, int time, const Particle* particle, double& sum) {
  StepBatch batch{.rows = 1,
                  .state = state_.data(),
                  .action = action,
                  .next_state = next_state_.data(),
                  .next_observation = next_observation_.data(),
                  .time = time,
                  .key = {}};
  if (particle == nullptr) {
    dynamics_->StepMean(batch, *workspace_);
  } else {
    batch.particle = particle->number;
    batch.particles = particle->count;
    batch.key = particle->key;
    dynamics_->Step(batch, *workspace_);
  }
  if (dynamics_->observation_is_state()) next_observation_ = next_state_;
  double reward = 0;
  uint8_t terminated = 0;
  if (reward_ != nullptr) {
    reward_->Evaluate({.rows = 1,
                       .observation = observation_.data(),
                       .action = action,
                       .next_observation = next_observation_.data()},
                      &reward, &terminated);
  }
  if (!std::isfinite(reward) || !AreFloats(next_observation_)) {
    sum = -std::numeric_limits<double>::infinity();
    return false;
  }
  sum += reward;
  std::swap(state_, next_state_);
  std::swap(observation_, next_observation_);
  return terminated == 0;
}

}  // namespace foreplan
