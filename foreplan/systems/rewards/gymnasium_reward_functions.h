// The formulas of the rewards of Gymnasium's MuJoCo tasks (version 5); see reward_functions.h for
// what a reward function has. Observations are the published ones, followed by what the reward
// needs beyond them (docs/tasks.md).
#pragma once

#include <algorithm>
#include <cmath>

#include "foreplan/systems/rewards/reward_functions.h"

namespace foreplan {

/// HalfCheetah-v5. Observation (positions without x [8], velocities [9], mean velocity in x over
/// the last step).
struct GymnasiumHalfCheetahReward : EndlessReward<18, 6> {
  template <typename T>
  T operator()(const T* /*observation*/, const T* action, const T* next) const {
    // r = v - 0.1 |a|^2
    return next[17] - 0.1 * SquaredNorm<6>(action);
  }
};

/// Swimmer-v5. Observation (heading and joints [3], velocities [5], mean velocity in x over the
/// last step).
struct GymnasiumSwimmerReward : EndlessReward<9, 2> {
  template <typename T>
  T operator()(const T* /*observation*/, const T* action, const T* next) const {
    // r = v - 0.0001 |a|^2
    return next[8] - 1e-4 * SquaredNorm<2>(action);
  }
};

/// Hopper-v5. Observation (z, pitch, joints [3], clipped velocities [6], mean velocity in x over
/// the last step).
struct GymnasiumHopperReward {
  static constexpr int kObservationDim = 12;
  static constexpr int kActionDim = 3;

  template <typename T>
  T operator()(const T* /*observation*/, const T* action, const T* next) const {
    // r = v + [healthy] - 0.001 |a|^2
    return next[11] + (Terminated(next) ? 0.0 : 1.0) - 1e-3 * SquaredNorm<3>(action);
  }

  template <typename T>
  bool Terminated(const T* next) const {
    using std::abs;
    bool healthy = next[0] > 0.7 && abs(next[1]) < 0.2;
    for (int i = 1; i < 11; ++i) healthy = healthy && abs(next[i]) < 100.0;
    return !healthy;
  }
};

/// Walker2d-v5. Observation (z, pitch, joints [6], clipped velocities [9], mean velocity in x over
/// the last step).
struct GymnasiumWalker2dReward {
  static constexpr int kObservationDim = 18;
  static constexpr int kActionDim = 6;

  template <typename T>
  T operator()(const T* /*observation*/, const T* action, const T* next) const {
    // r = v + [healthy] - 0.001 |a|^2
    return next[17] + (Terminated(next) ? 0.0 : 1.0) - 1e-3 * SquaredNorm<6>(action);
  }

  template <typename T>
  bool Terminated(const T* next) const {
    using std::abs;
    return !(next[0] > 0.8 && next[0] < 2.0 && abs(next[1]) < 1.0);
  }
};

/// Ant-v5. Observation (z, orientation [4], joints [8], velocities [14], clipped contact forces and
/// torques [13 x 6], mean velocity in x of the torso over the last step).
struct GymnasiumAntReward {
  static constexpr int kObservationDim = 106;
  static constexpr int kActionDim = 8;

  template <typename T>
  T operator()(const T* /*observation*/, const T* action, const T* next) const {
    // r = v + [healthy] - 0.5 |a|^2 - 0.0005 |f|^2
    return next[105] + (Terminated(next) ? 0.0 : 1.0) - 0.5 * SquaredNorm<8>(action) -
           5e-4 * SquaredNorm<78>(next + 27);
  }

  template <typename T>
  bool Terminated(const T* next) const {
    using std::isfinite;
    bool healthy = next[0] >= 0.2 && next[0] <= 1.0;
    for (int i = 0; i < 27; ++i) healthy = healthy && isfinite(next[i]);
    return !healthy;
  }
};

/// Humanoid-v5. Observation (z, orientation [4], joints [17], velocities [23], inertias [13 x 10],
/// body velocities [13 x 6], actuator forces [17], contact forces and torques [13 x 6], mean
/// velocity in x of the centre of mass over the last step).
struct GymnasiumHumanoidReward {
  static constexpr int kObservationDim = 349;
  static constexpr int kActionDim = 17;

  template <typename T>
  T operator()(const T* /*observation*/, const T* action, const T* next) const {
    using std::min;
    // r = 1.25 v + 5 [healthy] - 0.1 |a|^2 - min(5e-7 |f|^2, 10)
    const T contact = min(5e-7 * SquaredNorm<78>(next + 270), T(10.0));
    return 1.25 * next[348] + (Terminated(next) ? 0.0 : 5.0) - 0.1 * SquaredNorm<17>(action) -
           contact;
  }

  template <typename T>
  bool Terminated(const T* next) const {
    return !(next[0] > 1.0 && next[0] < 2.0);
  }
};

/// InvertedDoublePendulum-v5. Observation (x, sines [2], cosines [2], clipped velocities [3],
/// clipped force of the rail's limit, tip [3, m], velocities of the hinges [2]).
struct GymnasiumInvertedDoublePendulumReward {
  static constexpr int kObservationDim = 14;
  static constexpr int kActionDim = 1;

  template <typename T>
  T operator()(const T* /*observation*/, const T* /*action*/, const T* next) const {
    // r = 10 [z > 1] - 0.01 x^2 - (z - 2)^2 - 0.001 w1^2 - 0.005 w2^2, (x, z) the tip
    const T x = next[9];
    const T height = next[11] - 2.0;
    return (Terminated(next) ? 0.0 : 10.0) - 0.01 * x * x - height * height -
           1e-3 * next[12] * next[12] - 5e-3 * next[13] * next[13];
  }

  template <typename T>
  bool Terminated(const T* next) const {
    return !(next[11] > 1.0);
  }
};

/// Reacher-v5. Observation (cosines [2], sines [2], goal [2, m], joint velocities [2], fingertip -
/// goal [2, m]).
struct GymnasiumReacherReward : EndlessReward<10, 2> {
  template <typename T>
  T operator()(const T* /*observation*/, const T* action, const T* next) const {
    using std::sqrt;
    // r = -|fingertip - goal| - |a|^2; both are at the same height.
    return -sqrt(SquaredNorm<2>(next + 8)) - SquaredNorm<2>(action);
  }
};

/// Pusher-v5. Observation (arm positions [7], arm velocities [7], tip [3, m], object [3, m], goal
/// [3, m]).
struct GymnasiumPusherReward : EndlessReward<23, 7> {
  template <typename T>
  T operator()(const T* /*observation*/, const T* action, const T* next) const {
    // r = -|object - goal| - 0.5 |object - tip| - 0.1 |a|^2
    return -Distance(next + 17, next + 20) - 0.5 * Distance(next + 17, next + 14) -
           0.1 * SquaredNorm<7>(action);
  }

 private:
  template <typename T>
  static T Distance(const T* a, const T* b) {
    using std::sqrt;
    const T difference[3] = {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
    return sqrt(SquaredNorm<3>(difference));
  }
};

}  // namespace foreplan
