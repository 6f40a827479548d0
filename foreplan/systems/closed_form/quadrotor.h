// A quadrotor in space with Euler angles.
#pragma once

#include <array>
#include <cmath>
#include <memory>

#include "foreplan/core/options.h"
#include "foreplan/systems/closed_form/formula_system.h"
#include "foreplan/systems/reset.h"

namespace foreplan {

struct QuadrotorOptions {
  double mass = 1.0;         // m [kg]
  double arm = 0.2;          // centre to rotor [m]
  double drag_ratio = 0.02;  // kappa, yaw torque per thrust [m]
  double inertia_x = 0.01;   // [kg m^2]
  double inertia_y = 0.01;   // [kg m^2]
  double inertia_z = 0.02;   // [kg m^2]
  double gravity = 9.81;     // g [m/s^2]
  double max_thrust = 4.0;   // of one rotor [N]; the least is 0
  double timestep = 0.02;    // control period [s]
  ResetOptions reset;        // around hovering at the origin

  void Visit(OptionsVisitor& visitor);
};

/// State = observation = (position [m], (phi, theta, psi) [rad], velocity in the world [m/s],
/// angular velocity in the body [rad/s]); R = Rz(psi) Ry(theta) Rx(phi), singular at theta =
/// +-pi/2. Action: thrusts of the rotors at +x, +y, -x, -y [N].
struct QuadrotorFormula {
  using Options = QuadrotorOptions;
  static constexpr int kStateDim = 12;
  static constexpr int kActionDim = 4;
  static constexpr int kPositions = 6;

  static SystemSpec Spec(const Options& options);
  static std::unique_ptr<Picture> MakePicture(const Options& options);
  static std::array<double, 12> Start(const Options& /*options*/) { return {}; }

  /// Semi-implicit Euler: velocities first; angles move with W of the old angles.
  template <typename T>
  static void Step(const Options& o, const T* x, const T* u, T* next) {
    using std::cos;
    using std::sin;
    const double h = o.timestep;
    const T sphi = sin(x[3]), cphi = cos(x[3]);
    const T stheta = sin(x[4]), ctheta = cos(x[4]);
    const T spsi = sin(x[5]), cpsi = cos(x[5]);
    // v+ = v + dt (R e3 T / m - g e3)
    const T push = (u[0] + u[1] + u[2] + u[3]) * (h / o.mass);
    next[6] = x[6] + push * (cphi * stheta * cpsi + sphi * spsi);
    next[7] = x[7] + push * (cphi * stheta * spsi - sphi * cpsi);
    next[8] = x[8] + push * (cphi * ctheta) - h * o.gravity;
    // omega+ = omega + dt J^-1 (tau - omega x J omega)
    next[9] = x[9] + (h / o.inertia_x) *
                         (o.arm * (u[1] - u[3]) - (o.inertia_z - o.inertia_y) * (x[10] * x[11]));
    next[10] = x[10] + (h / o.inertia_y) *
                           (o.arm * (u[2] - u[0]) - (o.inertia_x - o.inertia_z) * (x[9] * x[11]));
    next[11] = x[11] + (h / o.inertia_z) * (o.drag_ratio * (u[0] - u[1] + u[2] - u[3]) -
                                            (o.inertia_y - o.inertia_x) * (x[9] * x[10]));
    for (int i = 0; i < 3; ++i) next[i] = x[i] + h * next[6 + i];
    // angles+ = angles + dt W(phi, theta) omega+
    const T along = sphi * next[10] + cphi * next[11];
    const T secant = 1.0 / ctheta;
    next[3] = x[3] + h * (next[9] + along * (stheta * secant));
    next[4] = x[4] + h * (cphi * next[10] - sphi * next[11]);
    next[5] = x[5] + h * (along * secant);
  }
};

using Quadrotor = FormulaSystem<QuadrotorFormula>;

}  // namespace foreplan
