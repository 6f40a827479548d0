// A quadrotor seen from the side: a bar with a rotor at either end.
#pragma once

#include <array>
#include <cmath>
#include <memory>

#include "foreplan/core/options.h"
#include "foreplan/systems/closed_form/formula_system.h"
#include "foreplan/systems/reset.h"

namespace foreplan {

struct PlanarQuadrotorOptions {
  double mass = 1.0;        // m [kg]
  double arm = 0.2;         // centre to rotor [m]
  double inertia = 0.01;    // J [kg m^2]
  double gravity = 9.81;    // g [m/s^2]
  double max_thrust = 8.0;  // of one rotor [N]; the least is 0
  double timestep = 0.02;   // control period [s]
  ResetOptions reset;       // around hovering at the origin

  void Visit(OptionsVisitor& visitor);
};

/// State = observation = (x [m], z [m], pitch [rad], their velocities); action: thrusts of the left
/// and the right rotor [N]. Positive pitch lifts the right rotor.
struct PlanarQuadrotorFormula {
  using Options = PlanarQuadrotorOptions;
  static constexpr int kStateDim = 6;
  static constexpr int kActionDim = 2;
  static constexpr int kPositions = 3;

  static SystemSpec Spec(const Options& options);
  static std::unique_ptr<Picture> MakePicture(const Options& options);
  static std::array<double, 6> Start(const Options& /*options*/) { return {}; }

  /// Semi-implicit Euler.
  template <typename T>
  static void Step(const Options& o, const T* x, const T* u, T* next) {
    using std::cos;
    using std::sin;
    const double h = o.timestep;
    // m x'' = -T sin(pitch), m z'' = T cos(pitch) - m g, J pitch'' = arm (u_right - u_left)
    const T push = (u[0] + u[1]) * (h / o.mass);
    next[3] = x[3] - push * sin(x[2]);
    next[4] = x[4] + push * cos(x[2]) - h * o.gravity;
    next[5] = x[5] + (h * o.arm / o.inertia) * (u[1] - u[0]);
    for (int i = 0; i < 3; ++i) next[i] = x[i] + h * next[3 + i];
  }
};

using PlanarQuadrotor = FormulaSystem<PlanarQuadrotorFormula>;

}  // namespace foreplan
