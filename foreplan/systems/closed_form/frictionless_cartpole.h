// The textbook cart-pole: a point mass on a massless pole, no friction.
#pragma once

#include <array>
#include <cmath>
#include <memory>

#include "foreplan/core/options.h"
#include "foreplan/systems/closed_form/formula_system.h"
#include "foreplan/systems/reset.h"

namespace foreplan {

struct FrictionlessCartPoleOptions {
  double cart_mass = 1.0;   // m_c [kg]
  double pole_mass = 0.1;   // m_p, at the pole's end [kg]
  double length = 0.5;      // l [m]
  double gravity = 9.81;    // g [m/s^2]
  double max_force = 10.0;  // |f| [N]
  double timestep = 0.05;   // control period [s]
  ResetOptions reset;       // around the cart at 0, the pole hanging at rest

  void Visit(OptionsVisitor& visitor);
};

/// State = observation = (y [m], theta [rad], their velocities), theta = 0 upright; action: the
/// force on the cart [N].
struct FrictionlessCartPoleFormula {
  using Options = FrictionlessCartPoleOptions;
  static constexpr int kStateDim = 4;
  static constexpr int kActionDim = 1;
  static constexpr int kPositions = 2;

  static SystemSpec Spec(const Options& options);
  static std::unique_ptr<Picture> MakePicture(const Options& options);
  static std::array<double, 4> Start(const Options& /*options*/) {
    return {0, 3.141592653589793, 0, 0};
  }

  /// (y'', theta'') from sine and cosine of the pole's angle.
  template <typename T>
  static std::array<T, 2> Acceleration(const Options& options, const T& sine, const T& cosine,
                                       const T& theta_dot, const T& force) {
    const double l = options.length;
    const double g = options.gravity;
    // y'' = (f + m_p sin th (g cos th - l th'^2)) / (m_c + m_p sin^2 th)
    const T weighted = options.pole_mass * sine;
    const T y = (force + weighted * (g * cosine - l * (theta_dot * theta_dot))) /
                (options.cart_mass + weighted * sine);
    // th'' = (cos th y'' + g sin th) / l
    return {y, (cosine * y + g * sine) * (1.0 / l)};
  }

  /// Semi-implicit Euler.
  template <typename T>
  static void Step(const Options& options, const T* x, const T* u, T* next) {
    using std::cos;
    using std::sin;
    const double h = options.timestep;
    const auto a = Acceleration<T>(options, sin(x[1]), cos(x[1]), x[3], u[0]);
    next[2] = x[2] + h * a[0];
    next[3] = x[3] + h * a[1];
    next[0] = x[0] + h * next[2];
    next[1] = x[1] + h * next[3];
  }
};

using FrictionlessCartPole = FormulaSystem<FrictionlessCartPoleFormula>;

}  // namespace foreplan
