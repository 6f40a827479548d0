// Two links that hang from a fixed joint, with a motor between them only.
#pragma once

#include <array>
#include <cmath>

#include "foreplan/core/options.h"
#include "foreplan/systems/formula_system.h"
#include "foreplan/systems/reset.h"

namespace foreplan {

struct AcrobotOptions {
  double mass1 = 1.0;            // m1 [kg]
  double mass2 = 1.0;            // m2 [kg]
  double length1 = 1.0;          // l1 [m]
  double center1 = 0.5;          // lc1, joint to centre of mass [m]
  double center2 = 0.5;          // lc2 [m]
  double inertia1 = 1.0 / 12.0;  // I1, about the centre of mass [kg m^2]
  double inertia2 = 1.0 / 12.0;  // I2 [kg m^2]
  double gravity = 9.81;         // g [m/s^2]
  double max_torque = 15.0;      // |u| [N m]
  double timestep = 0.04;        // control period [s]
  ResetOptions reset;            // around hanging at rest

  void Visit(OptionsVisitor& visitor);
};

/// State = observation = (q1, q2 [rad], their velocities), q1 from hanging, q2 relative to the
/// first link; action: the torque on the second joint [N m]. Equations of Spong (1995).
struct AcrobotFormula {
  using Options = AcrobotOptions;
  static constexpr int kStateDim = 4;
  static constexpr int kActionDim = 1;
  static constexpr int kPositions = 2;

  static SystemSpec Spec(const Options& options);
  static std::array<double, 4> Start(const Options& /*options*/) { return {}; }

  /// (q1'', q2'').
  template <typename T>
  static std::array<T, 2> Acceleration(const Options& o, const T* x, const T& u) {
    using std::cos;
    using std::sin;
    const double h = o.mass2 * o.length1 * o.center2;
    const double g = o.gravity;
    const double m22 = o.inertia2 + o.mass2 * o.center2 * o.center2;
    const double m11 =
        o.inertia1 + o.mass1 * o.center1 * o.center1 + o.mass2 * o.length1 * o.length1;
    const T bend = h * cos(x[1]);
    const T twist = h * sin(x[1]);
    const T M11 = m11 + m22 + 2.0 * bend;
    const T M12 = m22 + bend;
    const T weight2 = (o.mass2 * o.center2 * g) * sin(x[0] + x[1]);
    const T weight1 = ((o.mass1 * o.center1 + o.mass2 * o.length1) * g) * sin(x[0]);
    // M11 a1 + M12 a2 = h sin q2 q2' (q2' + 2 q1') - weights
    const T r1 = twist * x[3] * (x[3] + 2.0 * x[2]) - weight1 - weight2;
    // M12 a1 + M22 a2 = u - h sin q2 q1'^2 - weight of link 2
    const T r2 = u - twist * (x[2] * x[2]) - weight2;
    const T inverse = 1.0 / (m22 * M11 - M12 * M12);
    return {(m22 * r1 - M12 * r2) * inverse, (M11 * r2 - M12 * r1) * inverse};
  }

  /// (q1'', q2'') per torque: the second column of the inverse mass matrix.
  static std::array<double, 2> TorqueGain(const Options& o, double q2) {
    const double bend = o.mass2 * o.length1 * o.center2 * std::cos(q2);
    const double m22 = o.inertia2 + o.mass2 * o.center2 * o.center2;
    const double M11 = o.inertia1 + o.mass1 * o.center1 * o.center1 +
                       o.mass2 * o.length1 * o.length1 + m22 + 2.0 * bend;
    const double M12 = m22 + bend;
    const double determinant = m22 * M11 - M12 * M12;
    return {-M12 / determinant, M11 / determinant};
  }

  /// Semi-implicit Euler.
  template <typename T>
  static void Step(const Options& options, const T* x, const T* u, T* next) {
    const double h = options.timestep;
    const auto a = Acceleration<T>(options, x, u[0]);
    next[2] = x[2] + h * a[0];
    next[3] = x[3] + h * a[1];
    next[0] = x[0] + h * next[2];
    next[1] = x[1] + h * next[3];
  }
};

using Acrobot = FormulaSystem<AcrobotFormula>;

}  // namespace foreplan
