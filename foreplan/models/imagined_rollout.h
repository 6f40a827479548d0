// What a model says that will be observed: single rollouts, to be looked at.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/models/dynamics.h"
#include "foreplan/systems/rewards/reward.h"

namespace foreplan {

/// One rollout at a time through a model and its reward, with all observations. Planners do not
/// use it: they imagine many together and keep only what they earn (Imagination).
class ImaginedRollout {
 public:
  /// reward: null: nothing is earned.
  ImaginedRollout(std::shared_ptr<const Dynamics> dynamics, std::shared_ptr<const Reward> reward);

  [[nodiscard]] const std::shared_ptr<const Dynamics>& dynamics() const { return dynamics_; }

  /// Which noise the model draws; see StepBatch.
  struct Particle {
    int number = 0;
    int count = 1;
    Key key;
  };

  /// Along the expected next states. state: [state_dim]; actions: [H x nu]; observations, the first
  /// that of the state: [(H + 1) x no]. Returns the sum of the rewards, without a value at the
  /// horizon. Past a predicted end the last observation is repeated, and nothing more is earned;
  /// where a prediction is no finite float, likewise, and the return is -infinity.
  double Expect(std::span<const double> state, std::span<const double> actions,
                std::span<float> observations);
  /// The same with members and noise of a particle.
  double Sample(std::span<const double> state, std::span<const double> actions,
                const Particle& particle, std::span<float> observations);

 private:
  double Roll(std::span<const double> state, std::span<const double> actions,
              const Particle* particle, std::span<float> observations);
  /// Adds a step to the return; false when the rollout ends with it.
  bool Step(const double* action, int time, const Particle* particle, double& sum);

  std::shared_ptr<const Dynamics> dynamics_;
  std::shared_ptr<const Reward> reward_;  // or null
  std::unique_ptr<Dynamics::Workspace> workspace_;
  std::vector<double> state_, next_state_;              // [state_dim]
  std::vector<double> observation_, next_observation_;  // [no]
};

}  // namespace foreplan
