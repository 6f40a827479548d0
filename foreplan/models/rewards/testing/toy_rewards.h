// Transitions whose reward and end are known, and rewards fitted to them. For tests.
#pragma once

#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/data/dataset.h"
#include "foreplan/models/rewards/reward_trainer.h"

namespace foreplan::testing {

/// A position, an angle and a place along which nothing changes; one force.
inline EnvironmentSpec PaidSpec() {
  EnvironmentSpec spec;
  spec.dt = 0.1;
  spec.observation = {{"x", "m"}, {"angle", "rad"}, {"place", "m"}};
  spec.action = {{"force", "N"}};
  spec.action_low = {-1};
  spec.action_high = {1};
  return spec;
}

inline const Encoding kPaidEncoding = {.sin_cos = {"angle"}, .omit = {"place"}};

/// One transition, z = (o, u, o').
using PaidRow = std::array<double, 7>;

inline TransitionBatch AsBatch(const PaidRow& z) {
  return {.rows = 1, .observation = &z[0], .action = &z[3], .next_observation = &z[4]};
}

/// r = cos(angle') + x' / 2 - u^2 / 5 + 3 (place' - place)
inline double TrueReward(const PaidRow& z) {
  return std::cos(z[5]) + 0.5 * z[4] - 0.2 * z[3] * z[3] + 3 * (z[6] - z[2]);
}

/// Rows that do not follow each other; the place is anywhere.
inline PaidRow DrawRow(Random& random) {
  PaidRow z = {random.Normal(), random.Uniform(-3, 3), random.Uniform(-10, 10),
               random.Uniform(-1, 1)};
  z[4] = z[0] + 0.1 * random.Normal();
  z[5] = z[1] + 0.2 * z[3];
  z[6] = z[2] + 0.1 * z[0];
  return z;
}

inline void AddRow(Dataset& data, const PaidRow& z, double reward, StepEnd end) {
  data.Add({.observation = {&z[0], 3},
            .action = {&z[3], 1},
            .next_observation = {&z[4], 3},
            .episode = 1,
            .reward = reward,
            .end = end});
}

using RewardOf = std::function<double(const PaidRow&)>;
using EndOf = std::function<StepEnd(const PaidRow&)>;

inline StepEnd Never(const PaidRow& /*z*/) { return StepEnd::kContinues; }

inline Dataset PaidData(int rows, uint64_t stream, const RewardOf& reward = TrueReward,
                        const EndOf& end = Never) {
  Dataset data(3, 1);
  Random random(Key{17, stream});
  for (int row = 0; row < rows; ++row) {
    const PaidRow z = DrawRow(random);
    AddRow(data, z, reward(z), end(z));
  }
  return data;
}

inline LearnedRewardOptions SmallReward(int steps) {
  LearnedRewardOptions options;
  options.members = 3;
  options.width = 32;
  options.min_steps = steps;
  options.epochs = 0;
  options.learning_rate = 3e-3;
  return options;
}

inline std::shared_ptr<const LearnedReward> FreshReward(const LearnedRewardOptions& options) {
  return std::make_shared<const LearnedReward>(PaidSpec(), kPaidEncoding, options, Key{2, 0});
}

/// What one fit of a fresh reward finds.
inline RewardTrainer::Result FitReward(const Dataset& data, const LearnedRewardOptions& options,
                                       int threads = 2) {
  RewardTrainer trainer(FreshReward(options), std::make_shared<ThreadPool>(threads));
  return trainer.Fit(data, Key{3, 0});
}

struct Judged {
  double reward = 0;
  bool terminated = false;
};

inline Judged Judge(const Reward& reward, const PaidRow& z) {
  Judged judged;
  uint8_t terminated = 0;
  reward.Evaluate(AsBatch(z), &judged.reward, &terminated);
  judged.terminated = terminated != 0;
  return judged;
}

}  // namespace foreplan::testing
