// For tests that identify a cart-pole: a pole with one unknown less, and a motion that shows all of
// it.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

#include "foreplan/core/random.h"
#include "foreplan/systems/closed_form/cartpole.h"

namespace foreplan {

/// The pole as a point mass: I = m_p l^2.
inline CartPoleOptions PointMassPole() {
  CartPoleOptions options;
  options.pole_inertia = options.pole_mass * options.pole_center * options.pole_center;
  options.pole_skew = 0;
  return options;
}

/// Back and forth as far and as fast as the rail allows, x = 1.2 sin(3 t) [m]: friction is only a
/// few per cent of the cart's forces. state: (x, theta, x_dot, theta_dot) at step `time` of 0.04 s.
inline double SlidingAction(int time, std::span<const double> state, Random& random) {
  const double w = 3.0;
  const double phase = w * 0.04 * time;
  const double error = 1.2 * std::sin(phase) - state[0];
  const double error_rate = 1.2 * w * std::cos(phase) - state[2];
  return std::clamp(
      -0.155 * 1.2 * w * w * std::sin(phase) + error + 0.5 * error_rate + 0.5 * random.Normal(),
      -3.0, 3.0);
}

}  // namespace foreplan
