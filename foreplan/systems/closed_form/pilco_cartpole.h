// The cart-pole of PILCO: a uniform rod on a cart with friction.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "foreplan/core/options.h"
#include "foreplan/systems/closed_form/formula_system.h"
#include "foreplan/systems/reset.h"

namespace foreplan {

struct PilcoCartPoleOptions {
  double cart_mass = 0.5;   // M [kg]
  double pole_mass = 0.5;   // m, uniform along the pole [kg]
  double length = 0.5;      // l, of the pole [m]
  double friction = 0.1;    // b, between cart and ground [N s/m]
  double gravity = 9.82;    // g [m/s^2]
  double max_force = 10.0;  // |u| [N]
  double timestep = 0.01;   // of one Runge-Kutta step [s]
  int substeps = 10;        // Runge-Kutta steps per control period
  ResetOptions reset;       // around the cart at 0, the pole hanging at rest

  void Visit(OptionsVisitor& visitor);
};

/// Cart-pole of Deisenroth and Rasmussen (2011; Deisenroth 2010, appendix C.2). State = observation
/// = (slider [m], hinge [rad], their velocities), hinge = 0 hangs down and the pole's tip is at (x
/// + l sin theta, -l cos theta); action: the force on the cart [N].
struct PilcoCartPoleFormula {
  using Options = PilcoCartPoleOptions;
  static constexpr int kStateDim = 4;
  static constexpr int kActionDim = 1;
  static constexpr int kPositions = 2;

  static SystemSpec Spec(const Options& options);
  static std::unique_ptr<Picture> MakePicture(const Options& options);
  static std::array<double, 4> Start(const Options& /*options*/) { return {}; }

  /// Time derivative of (x, theta, x', theta').
  template <typename T>
  static std::array<T, 4> Derivative(const Options& options, const std::array<T, 4>& state,
                                     const T& u) {
    using std::cos;
    using std::sin;
    const double M = options.cart_mass;
    const double m = options.pole_mass;
    const double l = options.length;
    const double g = options.gravity;
    const T sine = sin(state[1]);
    const T cosine = cos(state[1]);
    const T force = u - options.friction * state[2];
    // (M + m) x'' + 1/2 m l cos th th'' = force + 1/2 m l sin th th'^2
    // 2 l th'' + 3 cos th x'' = -3 g sin th
    const T swing = m * l * sine * (state[3] * state[3]);
    const T inverse = 1.0 / (4.0 * (M + m) - 3.0 * m * (cosine * cosine));
    const T x = (2.0 * swing + 3.0 * m * g * sine * cosine + 4.0 * force) * inverse;
    const T theta = (-3.0 * swing * cosine - 6.0 * (M + m) * g * sine - 6.0 * force * cosine) *
                    inverse * (1.0 / l);
    return {state[2], state[3], x, theta};
  }

  /// Classical Runge-Kutta steps with u held.
  template <typename T>
  static void Step(const Options& options, const T* x, const T* u, T* next) {
    const double h = options.timestep;
    std::array<T, 4> state;
    std::copy_n(x, 4, state.begin());
    const auto moved = [&state](const std::array<T, 4>& slope, double time) {
      std::array<T, 4> result;
      for (size_t i = 0; i < 4; ++i) result[i] = state[i] + time * slope[i];
      return result;
    };
    for (int substep = 0; substep < options.substeps; ++substep) {
      const auto k1 = Derivative<T>(options, state, u[0]);
      const auto k2 = Derivative<T>(options, moved(k1, h / 2), u[0]);
      const auto k3 = Derivative<T>(options, moved(k2, h / 2), u[0]);
      const auto k4 = Derivative<T>(options, moved(k3, h), u[0]);
      for (size_t i = 0; i < 4; ++i) {
        state[i] = state[i] + h / 6 * (k1[i] + 2.0 * (k2[i] + k3[i]) + k4[i]);
      }
    }
    std::copy_n(state.begin(), 4, next);
  }
};

using PilcoCartPole = FormulaSystem<PilcoCartPoleFormula>;

}  // namespace foreplan
