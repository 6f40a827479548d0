// Two links that hang from a fixed joint, with a motor between them only.
#pragma once

#include <array>
#include <cmath>
#include <memory>

#include "foreplan/core/options.h"
#include "foreplan/systems/closed_form/formula_system.h"
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
  static std::unique_ptr<Picture> MakePicture(const Options& options);
  static std::array<double, 4> Start(const Options& /*options*/) { return {}; }

  /// Constants of the equations of motion.
  struct Terms {
    explicit Terms(const Options& o)
        : coupling(o.mass2 * o.length1 * o.center2),
          m22(o.inertia2 + o.mass2 * o.center2 * o.center2),
          m11(m22 + o.inertia1 + o.mass1 * o.center1 * o.center1 + o.mass2 * o.length1 * o.length1),
          weight1((o.mass1 * o.center1 + o.mass2 * o.length1) * o.gravity),
          weight2(o.mass2 * o.center2 * o.gravity) {}
    double coupling;  // h = m2 l1 lc2
    double m22;       // M22
    double m11;       // M11 = m11 + 2 h cos q2
    double weight1;   // of the torque on joint 1 per sin q1
    double weight2;   // of the torques per sin(q1 + q2)
  };

  /// (q1'', q2'').
  template <typename T>
  static std::array<T, 2> Acceleration(const Options& options, const T* x, const T& u) {
    using std::cos;
    using std::sin;
    const Terms k(options);
    const T s1 = sin(x[0]);
    const T c1 = cos(x[0]);
    const T s2 = sin(x[1]);
    const T c2 = cos(x[1]);
    const T bend = k.coupling * c2;
    const T twist = k.coupling * s2;
    const T M11 = k.m11 + 2.0 * bend;
    const T M12 = k.m22 + bend;
    const T gravity2 = k.weight2 * (s1 * c2 + c1 * s2);
    // M11 a1 + M12 a2 = h sin q2 q2' (q2' + 2 q1') - weights
    const T r1 = twist * x[3] * (x[3] + 2.0 * x[2]) - k.weight1 * s1 - gravity2;
    // M12 a1 + M22 a2 = u - h sin q2 q1'^2 - weight of link 2
    const T r2 = u - twist * (x[2] * x[2]) - gravity2;
    const T inverse = 1.0 / (k.m22 * M11 - M12 * M12);
    return {(k.m22 * r1 - M12 * r2) * inverse, (M11 * r2 - M12 * r1) * inverse};
  }

  /// Derivatives of (q1'', q2'') by (q1, q2, q1', q2', u): from M a = r follows M da = dr - dM a.
  static std::array<std::array<double, 5>, 2> AccelerationJacobian(const Options& options,
                                                                   const double* x, double u) {
    const Terms k(options);
    const double s1 = std::sin(x[0]);
    const double c1 = std::cos(x[0]);
    const double s2 = std::sin(x[1]);
    const double c2 = std::cos(x[1]);
    const double bend = k.coupling * c2;
    const double twist = k.coupling * s2;
    const double M11 = k.m11 + 2.0 * bend;
    const double M12 = k.m22 + bend;
    const double gravity2 = k.weight2 * (s1 * c2 + c1 * s2);
    const double slope2 = k.weight2 * (c1 * c2 - s1 * s2);
    const double r1 = twist * x[3] * (x[3] + 2.0 * x[2]) - k.weight1 * s1 - gravity2;
    const double r2 = u - twist * (x[2] * x[2]) - gravity2;
    const double inverse = 1.0 / (k.m22 * M11 - M12 * M12);
    const double a1 = (k.m22 * r1 - M12 * r2) * inverse;
    const double a2 = (M11 * r2 - M12 * r1) * inverse;
    // Right-hand sides per variable; dM/dq2 = -h sin q2 [2 1; 1 0].
    const double rhs1[5] = {-k.weight1 * c1 - slope2,
                            bend * x[3] * (x[3] + 2.0 * x[2]) - slope2 + twist * (2.0 * a1 + a2),
                            2.0 * twist * x[3], 2.0 * twist * (x[3] + x[2]), 0.0};
    const double rhs2[5] = {-slope2, -bend * (x[2] * x[2]) - slope2 + twist * a1,
                            -2.0 * twist * x[2], 0.0, 1.0};
    std::array<std::array<double, 5>, 2> result;
    for (size_t i = 0; i < 5; ++i) {
      result[0][i] = (k.m22 * rhs1[i] - M12 * rhs2[i]) * inverse;
      result[1][i] = (M11 * rhs2[i] - M12 * rhs1[i]) * inverse;
    }
    return result;
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
