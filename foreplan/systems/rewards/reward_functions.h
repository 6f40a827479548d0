// The formulas of the shipped rewards, templates on the scalar so that derivatives can pass
// through them.
//
// A reward function has `operator()(observation, action, next_observation)`, a `Terminated` of the
// next observation, and the sizes it is made for. One without branches on numbers says so with
// kTakesLanes: several rows (core/lanes.h) then go through it at once. It never terminates.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

namespace foreplan {

/// Sizes, and an episode without an end, for rewards that take lanes.
template <int ObservationDim, int ActionDim>
struct EndlessReward {
  static constexpr int kObservationDim = ObservationDim;
  static constexpr int kActionDim = ActionDim;
  static constexpr bool kTakesLanes = true;

  template <typename T>
  bool Terminated(const T* /*next*/) const {
    return false;
  }
};

template <int Size, typename T>
T SquaredNorm(const T* values) {
  T sum = values[0] * values[0];
  for (int i = 1; i < Size; ++i) sum = sum + values[i] * values[i];
  return sum;
}

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

/// PETS half-cheetah (Chua et al. 2018): run, in whatever posture. Observation (mean velocity of
/// the root over the last step [m/s], positions without the root's x [8], velocities [9]).
struct PetsHalfCheetahReward : EndlessReward<18, 6> {
  template <typename T>
  T operator()(const T* /*observation*/, const T* action, const T* next) const {
    // r = v - 0.1 |a|^2
    return next[0] - 0.1 * SquaredNorm<6>(action);
  }
};

/// PETS reacher (Chua et al. 2018): a seven-joint arm reaches for a point. Observation (joints t1
/// ... t7 [rad], goal [3, m], joint velocities [7]).
struct PetsReacher3dReward : EndlessReward<17, 7> {
  /// End of the arm [m], as the published task computes it: the simulated arm's while elbow (t4)
  /// and wrist (t6) are bent inward, t <= 0. Beyond, where only the soft joint limits let them, the
  /// published formula turns the rest of the arm by pi about the link before.
  template <typename T>
  static std::array<T, 3> EndOfArm(const T* t) {
    using std::cos;
    using std::sin;
    // Axes of the upper arm: x along it, y the elbow's.
    const T s1 = sin(t[0]), c1 = cos(t[0]);
    const T s2 = sin(t[1]), c2 = cos(t[1]);
    std::array<T, 3> x = {c2 * c1, c2 * s1, -s2};
    std::array<T, 3> y = {-s1, c1, T(0.0)};
    // Shoulder pan axis at y = -0.188; lift axis 0.1 before it; upper arm 0.4.
    std::array<T, 3> end = {0.1 * c1 + 0.4 * x[0], 0.1 * s1 - 0.188 + 0.4 * x[1], 0.4 * x[2]};
    Bend(t[2], t[3], 0.321, x, y, end);    // forearm
    Bend(t[4], t[5], 0.16828, x, y, end);  // hand
    return end;
  }

  template <typename T>
  T operator()(const T* /*observation*/, const T* action, const T* next) const {
    // r = -|end - goal|^2 - 0.01 |a|^2
    const std::array<T, 3> end = EndOfArm(next);
    const T d[3] = {end[0] - next[7], end[1] - next[8], end[2] - next[9]};
    return -SquaredNorm<3>(d) - 0.01 * SquaredNorm<7>(action);
  }

 private:
  /// Turns the axes by `roll` about x and by `hinge` about the new y, and walks along the new x.
  template <typename T>
  static void Bend(const T& roll, const T& hinge, double length, std::array<T, 3>& x,
                   std::array<T, 3>& y, std::array<T, 3>& end) {
    using std::abs;
    using std::cos;
    using std::max;
    using std::sin;
    const T s = sin(hinge), c = cos(hinge);
    const T s_roll = sin(roll), c_roll = cos(roll);
    const std::array<T, 3> z = {x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2],
                                x[0] * y[1] - x[1] * y[0]};
    // 1 bent inward, -1 outward; 0 straight, where the published formula keeps y.
    const T inward = -s / max(T(abs(s)), T(1e-30));
    const T straight = 1.0 - inward * inward;
    for (size_t i = 0; i < 3; ++i) {
      const T x_new = c * x[i] + s * (s_roll * y[i] - c_roll * z[i]);
      y[i] = inward * (c_roll * y[i] + s_roll * z[i]) + straight * y[i];
      x[i] = x_new;
      end[i] = end[i] + length * x_new;
    }
  }
};

/// PETS pusher (Chua et al. 2018): push a cylinder to a goal. The positions are those BEFORE the
/// step. Observation (arm positions [7], arm velocities [7], tip [3, m], object [3, m]).
struct PetsPusherReward : EndlessReward<20, 7> {
  template <typename T>
  T operator()(const T* observation, const T* action, const T* /*next*/) const {
    return OfPositions(observation + 14, observation + 17, action);
  }

 protected:
  template <typename T>
  static T OfPositions(const T* tip, const T* object, const T* action) {
    using std::abs;
    constexpr double kGoal[3] = {0.45, -0.05, -0.323};  // [m]
    // r = -1.25 |object - goal|_1 - 0.5 |object - tip|_1 - 0.1 |a|^2
    T to_goal = abs(object[0] - kGoal[0]);
    T to_tip = abs(object[0] - tip[0]);
    for (int i = 1; i < 3; ++i) {
      to_goal = to_goal + abs(object[i] - kGoal[i]);
      to_tip = to_tip + abs(object[i] - tip[i]);
    }
    return -1.25 * to_goal - 0.5 * to_tip - 0.1 * SquaredNorm<7>(action);
  }
};

/// For planning with the PETS pusher: the same of the positions AFTER the step, as the published
/// planner has it.
struct PetsPusherPlanningReward : PetsPusherReward {
  template <typename T>
  T operator()(const T* /*observation*/, const T* action, const T* next) const {
    return OfPositions(next + 14, next + 17, action);
  }
};

/// Peg insertion (Levine, Finn et al. 2016): tip and top of a peg on their way into a hole, a norm
/// that is quadratic far away and logarithmic near, of the state BEFORE the step. Observation
/// (joints [7], velocities [7], peg_bottom [3, m], peg_top [3, m], their velocities [6]).
struct PegInsertionReward : EndlessReward<26, 7> {
  template <typename T>
  T operator()(const T* observation, const T* action, const T* /*next*/) const {
    using std::log;
    // r = -(1/2 sum w_j u_j^2 + 1/2 10 |d|^2 + 1/2 0.1 log(1e-5 + |d|^2))
    T effort = kEffort[0] * action[0] * action[0];
    for (int j = 1; j < 7; ++j) effort = effort + kEffort[j] * action[j] * action[j];
    T square = Departure(observation, 0) * Departure(observation, 0);
    for (int i = 1; i < 6; ++i) {
      square = square + Departure(observation, i) * Departure(observation, i);
    }
    return -0.5 * (effort + kFar * square + kNear * log(kAlpha + square));
  }

  /// The Hessian of the logarithm, 2 (I - 2 d d' / s) / s, s = alpha + |d|^2, is indefinite; with
  /// half of the second term it is positive definite.
  double ExpandConcave(const double* observation, const double* action, const double* next,
                       double* gradient, double* hessian) const {
    constexpr int nz = 2 * kObservationDim + kActionDim;
    constexpr int kFirst = 14;  // of the departures
    std::fill_n(gradient, nz, 0.0);
    std::fill_n(hessian, nz * nz, 0.0);
    double d[6];
    double s = kAlpha;
    for (int i = 0; i < 6; ++i) {
      d[i] = Departure(observation, i);
      s += d[i] * d[i];
    }
    for (int i = 0; i < 6; ++i) {
      gradient[kFirst + i] = -(kFar + kNear / s) * d[i];
      for (int j = 0; j < 6; ++j) {
        const double curved = kNear * d[i] * d[j] / (s * s);
        hessian[(kFirst + i) * nz + kFirst + j] = curved - (i == j ? kFar + kNear / s : 0.0);
      }
    }
    for (int j = 0; j < 7; ++j) {
      const int at = kObservationDim + j;
      gradient[at] = -kEffort[j] * action[j];
      hessian[at * nz + at] = -kEffort[j];
    }
    return (*this)(observation, action, next);
  }

 private:
  template <typename T>
  static T Departure(const T* observation, int i) {
    return observation[14 + i] - kTarget[i];
  }

  static constexpr double kFar = 10;
  static constexpr double kNear = 0.1;
  static constexpr double kAlpha = 1e-5;
  static constexpr double kTarget[6] = {0, 0.3, -0.5, 0, 0.3, -0.2};  // [m]
  static constexpr double kEffort[7] = {5e-5 / 3.09,  5e-5 / 1.08,  5e-5 / 0.393, 5e-5 / 0.674,
                                        5e-5 / 0.111, 5e-5 / 0.152, 5e-5 / 0.098};
};

}  // namespace foreplan
