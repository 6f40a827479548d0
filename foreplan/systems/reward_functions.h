// The formulas of the shipped rewards, templates on the scalar so that derivatives can pass
// through them.
//
// A reward function has `operator()(observation, action, next_observation)`, a `Terminated` of the
// next observation, and the sizes it is made for. One without branches on numbers says so with
// kTakesLanes: several rows (core/lanes.h) then go through it at once. It never terminates.
#pragma once

#include <cmath>

namespace foreplan {

/// PETS cart-pole (Chua et al. 2018): how near the pole's tip is to the point above the rail's
/// middle. Observation (x [m], theta [rad], x_dot, theta_dot), theta = 0 hanging.
struct PetsCartPoleReward {
  static constexpr int kObservationDim = 4;
  static constexpr int kActionDim = 1;
  static constexpr bool kTakesLanes = true;

  template <typename T>
  T operator()(const T* /*observation*/, const T* action, const T* next) const {
    using std::cos;
    using std::exp;
    using std::sin;
    constexpr double kLength = 0.6;  // of the pole [m]
    // r = exp(-((x - l sin theta)^2 + (-l cos theta - l)^2) / l^2) - 0.01 u^2
    const T dx = next[0] - kLength * sin(next[1]);
    const T dy = -kLength * cos(next[1]) - kLength;
    return exp(-(dx * dx + dy * dy) / (kLength * kLength)) - 0.01 * action[0] * action[0];
  }

  template <typename T>
  bool Terminated(const T* /*next*/) const {
    return false;
  }
};

/// Pendulum-v1 of Gymnasium: the cost of the state BEFORE the step. Observation (cos theta,
/// sin theta, theta_dot), theta = 0 upright.
struct PendulumReward {
  static constexpr int kObservationDim = 3;
  static constexpr int kActionDim = 1;
  static constexpr bool kTakesLanes = true;

  template <typename T>
  T operator()(const T* observation, const T* action, const T* /*next*/) const {
    using std::atan2;
    // r = -(theta^2 + 0.1 theta_dot^2 + 0.001 u^2), theta in (-pi, pi]
    const T theta = atan2(observation[1], observation[0]);
    return -(theta * theta + 0.1 * observation[2] * observation[2] + 0.001 * action[0] * action[0]);
  }

  template <typename T>
  bool Terminated(const T* /*next*/) const {
    return false;
  }
};

/// InvertedPendulum-v5 of Gymnasium: 1 per step, until the pole leans more than 0.2 rad or an
/// observation is not finite; the last step earns 0. Observation (x, theta, x_dot, theta_dot),
/// theta = 0 upright.
struct InvertedPendulumReward {
  static constexpr int kObservationDim = 4;
  static constexpr int kActionDim = 1;

  template <typename T>
  T operator()(const T* /*observation*/, const T* /*action*/, const T* next) const {
    return T(Terminated(next) ? 0.0 : 1.0);
  }

  template <typename T>
  bool Terminated(const T* next) const {
    using std::abs;
    using std::isfinite;
    for (int i = 0; i < kObservationDim; ++i) {
      if (!isfinite(next[i])) return true;
    }
    return abs(next[1]) > 0.2;
  }
};

/// For planning in InvertedPendulum-v5, whose own reward is the same for all plans that survive, so
/// that planners drift against the rail's end: besides surviving, prefers to be at rest in the
/// middle of the rail with an upright pole. Terminates like the task.
struct CenteredInvertedPendulumReward : InvertedPendulumReward {
  template <typename T>
  T operator()(const T* /*observation*/, const T* /*action*/, const T* next) const {
    if (Terminated(next)) return T(0.0);
    // r = 1 - 0.5 x^2 - 0.25 (theta / 0.2)^2 - 0.1 x_dot^2 - 0.02 theta_dot^2, in SI units
    const T lean = next[1] / 0.2;
    return 1.0 - 0.5 * next[0] * next[0] - 0.25 * lean * lean - 0.1 * next[2] * next[2] -
           0.02 * next[3] * next[3];
  }
};

}  // namespace foreplan
