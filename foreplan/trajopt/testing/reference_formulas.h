// The formulas of the reference problems, with derivative code of their own; tests check it.
#pragma once

#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "foreplan/systems/closed_form/acrobot.h"
#include "foreplan/systems/closed_form/frictionless_cartpole.h"
#include "foreplan/systems/closed_form/quadrotor.h"
#include "foreplan/systems/closed_form/unicycle.h"
#include "foreplan/trajopt/trajectory_problem.h"

namespace foreplan {

// l = 1/2 (100 |x|^2 + |u|^2), l_N = 1/2 100 |x|^2.
struct UnicycleParking {
  static constexpr int kStateDim = 3;
  static constexpr int kActionDim = 2;
  using View = KnotView<3, 2>;
  static constexpr double kWeight = 100;

  int horizon = 200;
  std::vector<double> low, high;
  UnicycleOptions system;

  template <typename T>
  void Step(int /*t*/, const T* x, const T* u, T* next) const {
    UnicycleFormula::Step(system, x, u, next);
  }
  template <typename T>
  T StageCost(int /*t*/, const T* x, const T* u) const {
    return TerminalCost(x) + 0.5 * (u[0] * u[0] + u[1] * u[1]);
  }
  template <typename T>
  T TerminalCost(const T* x) const {
    return 0.5 * kWeight * (x[0] * x[0] + x[1] * x[1] + x[2] * x[2]);
  }

  void BindConstants(const View& view) const {
    for (int i = 0; i < 3; ++i) {
      view.A(i, i) = 1;
      view.lxx(i, i) = kWeight;
    }
    for (int i = 0; i < 2; ++i) view.luu(i, i) = 1;
    view.B(2, 1) = system.timestep;
  }
  void ExpandStep(int /*t*/, const double* x, const double* u, const View& view) const {
    const double sine = std::sin(x[2]);
    const double cosine = std::cos(x[2]);
    view.A(0, 2) = -system.timestep * sine * u[0];
    view.A(1, 2) = system.timestep * cosine * u[0];
    view.B(0, 0) = system.timestep * cosine;
    view.B(1, 0) = system.timestep * sine;
  }
  void ExpandStage(int /*t*/, const double* x, const double* u, const View& view) const {
    ExpandEnd(x, view);
    for (int i = 0; i < 2; ++i) view.lu(i) = u[i];
  }
  void ExpandEnd(const double* x, const View& view) const {
    for (int i = 0; i < 3; ++i) view.lx(i) = kWeight * x[i];
  }
};

// r = (sin th, 1 - cos th, y, y', th', f) times weights; l = dt/2 |r|^2, l_N = 1/2 |r|^2 without f.
struct CartPoleSwingUp {
  static constexpr int kStateDim = 4;
  static constexpr int kActionDim = 1;
  static constexpr int kStageResiduals = 6;
  static constexpr int kTerminalResiduals = 5;
  using View = KnotView<4, 1>;
  // Squares of the weights (1, 1, .1, .001, .001, 1) and (100, 100, 10, .1, .01).
  static constexpr std::array<double, 6> kStage = {1, 1, 1e-2, 1e-6, 1e-6, 1};
  static constexpr std::array<double, 5> kEnd = {1e4, 1e4, 1e2, 1e-2, 1e-4};

  int horizon = 50;
  std::vector<double> low, high;
  FrictionlessCartPoleOptions system;

  template <typename T>
  void Step(int /*t*/, const T* x, const T* u, T* next) const {
    FrictionlessCartPoleFormula::Step(system, x, u, next);
  }
  template <typename T>
  void StageResidual(int /*t*/, const T* x, const T* u, T* r) const {
    Residual(kStage, system.timestep, x, r);
    r[5] = std::sqrt(kStage[5] * system.timestep) * u[0];
  }
  template <typename T>
  void TerminalResidual(const T* x, T* r) const {
    Residual(kEnd, 1.0, x, r);
  }
  template <size_t Size, typename T>
  static void Residual(const std::array<double, Size>& w, double scale, const T* x, T* r) {
    using std::cos;
    using std::sin;
    r[0] = std::sqrt(w[0] * scale) * sin(x[1]);
    r[1] = std::sqrt(w[1] * scale) * (1.0 - cos(x[1]));
    r[2] = std::sqrt(w[2] * scale) * x[0];
    r[3] = std::sqrt(w[3] * scale) * x[2];
    r[4] = std::sqrt(w[4] * scale) * x[3];
  }

  double StepAndCost(int /*t*/, const double* x, const double* u, double* next) const {
    const double h = system.timestep;
    const double sine = std::sin(x[1]);
    const double cosine = std::cos(x[1]);
    const auto a =
        FrictionlessCartPoleFormula::Acceleration<double>(system, sine, cosine, x[3], u[0]);
    next[2] = x[2] + h * a[0];
    next[3] = x[3] + h * a[1];
    next[0] = x[0] + h * next[2];
    next[1] = x[1] + h * next[3];
    const double up = 1 - cosine;
    return 0.5 * h *
           (kStage[0] * sine * sine + kStage[1] * up * up + kStage[2] * x[0] * x[0] +
            kStage[3] * x[2] * x[2] + kStage[4] * x[3] * x[3] + kStage[5] * u[0] * u[0]);
  }

  /// y'' = N / D of the cart and its derivatives by theta, with N = f + m_p s (g c - l th'^2) and
  /// D = m_c + m_p s^2; y'' is linear in f and quadratic in th'.
  struct CartAcceleration {
    CartAcceleration(const FrictionlessCartPoleOptions& o, const double* x, double force)
        : s(std::sin(x[1])), c(std::cos(x[1])), rate(x[3]), ml(o.pole_mass * o.length) {
      const double mg = o.pole_mass * o.gravity;
      inverse = 1.0 / (o.cart_mass + o.pole_mass * s * s);
      value = (force + s * (mg * c - ml * rate * rate)) * inverse;
      D_theta = 2.0 * o.pole_mass * s * c;
      by_theta = (mg * (c * c - s * s) - ml * c * rate * rate - value * D_theta) * inverse;
      by_rate = -2.0 * ml * s * rate * inverse;
    }
    double s, c;      // of theta
    double rate;      // th'
    double ml;        // m_p l
    double inverse;   // 1 / D, and y'' by the force
    double D_theta;   // D by theta
    double value;     // y''
    double by_theta;  // y'' by theta
    double by_rate;   // y'' by th'
  };

  void BindConstants(const View& view) const {
    view.luu(0, 0) = system.timestep * kStage[5];
    view.A(0, 0) = 1;
    view.A(0, 2) = system.timestep;
    view.A(2, 2) = 1;
  }
  void ExpandStep(int /*t*/, const double* x, const double* u, const View& view) const {
    const CartAcceleration a(system, x, u[0]);
    const double h = system.timestep;
    const double l = system.length;
    // th'' = (c y'' + g s) / l
    const double y[3] = {a.by_theta, a.by_rate, a.inverse};
    const double th[3] = {(a.c * a.by_theta - a.s * a.value + system.gravity * a.c) / l,
                          a.c * a.by_rate / l, a.c * a.inverse / l};
    view.A(2, 1) = h * y[0];
    view.A(2, 3) = h * y[1];
    view.B(2, 0) = h * y[2];
    view.A(3, 1) = h * th[0];
    view.A(3, 3) = 1 + h * th[1];
    view.B(3, 0) = h * th[2];
    view.A(0, 1) = h * h * y[0];
    view.A(0, 3) = h * h * y[1];
    view.B(0, 0) = h * h * y[2];
    view.A(1, 1) = 1 + h * h * th[0];
    view.A(1, 3) = h * (1 + h * th[1]);
    view.B(1, 0) = h * h * th[2];
  }
  void ExpandStage(int /*t*/, const double* x, const double* u, const View& view) const {
    ExpandState(kStage, system.timestep, x, view);
    view.lu(0) = system.timestep * kStage[5] * u[0];
  }
  void ExpandEnd(const double* x, const View& view) const { ExpandState(kEnd, 1.0, x, view); }

  template <size_t Size>
  static void ExpandState(const std::array<double, Size>& w, double scale, const double* x,
                          const View& view) {
    const double s = std::sin(x[1]);
    const double c = std::cos(x[1]);
    view.lx(0) = scale * w[2] * x[0];
    view.lx(1) = scale * (w[0] * s * c + w[1] * (1 - c) * s);
    view.lx(2) = scale * w[3] * x[2];
    view.lx(3) = scale * w[4] * x[3];
    view.lxx(0, 0) = scale * w[2];
    view.lxx(1, 1) = scale * (w[0] * c * c + w[1] * s * s);
    view.lxx(2, 2) = scale * w[3];
    view.lxx(3, 3) = scale * w[4];
  }

  void AddHessian(int /*t*/, const double* x, const double* u, const double* multiplier,
                  const View& view) const {
    const CartAcceleration a(system, x, u[0]);
    const double h = system.timestep;
    const double mg = system.pole_mass * system.gravity;
    // The multipliers see y'' w + k g s, w = k_y + k c, k = of th'' over l.
    const double k_y = h * (multiplier[2] + h * multiplier[0]);
    const double k = h * (multiplier[3] + h * multiplier[1]) / system.length;
    const double w = k_y + k * a.c;
    const double w_theta = -k * a.s;
    const double D_theta_theta = 2.0 * system.pole_mass * (a.c * a.c - a.s * a.s);
    const double N_theta_theta = -4.0 * mg * a.s * a.c + a.ml * a.s * a.rate * a.rate;
    const double by_theta_theta =
        (N_theta_theta - 2.0 * a.by_theta * a.D_theta - a.value * D_theta_theta) * a.inverse;
    const double by_theta_rate = (-2.0 * a.ml * a.c * a.rate - a.by_rate * a.D_theta) * a.inverse;
    const double by_theta_force = -a.D_theta * a.inverse * a.inverse;
    const double by_rate_rate = -2.0 * a.ml * a.s * a.inverse;
    const double theta_rate = by_theta_rate * w + a.by_rate * w_theta;
    view.lxx(1, 1) += by_theta_theta * w + 2.0 * a.by_theta * w_theta - a.value * k * a.c -
                      k * system.gravity * a.s;
    view.lxx(1, 3) += theta_rate;
    view.lxx(3, 1) += theta_rate;
    view.lxx(3, 3) += by_rate_rate * w;
    view.lux(0, 1) += by_theta_force * w + a.inverse * w_theta;
  }
};

// l = dt/2 (sum q_i (x_i - goal_i)^2 + 0.01 u^2), l_N without dt and u.
struct AcrobotSwingUp {
  static constexpr int kStateDim = 4;
  static constexpr int kActionDim = 1;
  using View = KnotView<4, 1>;
  static constexpr std::array<double, 4> kGoal = {std::numbers::pi, 0, 0, 0};
  static constexpr std::array<double, 4> kStage = {0.1, 0.1, 0.01, 0.01};
  static constexpr std::array<double, 4> kEnd = {1000, 1000, 100, 100};
  static constexpr double kAction = 0.01;

  int horizon = 100;
  std::vector<double> low, high;
  AcrobotOptions system;

  template <typename T>
  void Step(int /*t*/, const T* x, const T* u, T* next) const {
    AcrobotFormula::Step(system, x, u, next);
  }
  template <typename T>
  T StageCost(int /*t*/, const T* x, const T* u) const {
    return system.timestep * (Distance(kStage, x) + (0.5 * kAction) * (u[0] * u[0]));
  }
  template <typename T>
  T TerminalCost(const T* x) const {
    return Distance(kEnd, x);
  }
  template <typename T>
  static T Distance(const std::array<double, 4>& q, const T* x) {
    T sum(0.0);
    for (size_t i = 0; i < 4; ++i) {
      const T error = x[i] - kGoal[i];
      sum += (0.5 * q[i]) * (error * error);
    }
    return sum;
  }

  void BindConstants(const View& view) const { view.luu(0, 0) = system.timestep * kAction; }
  void ExpandStep(int /*t*/, const double* x, const double* u, const View& view) const {
    const auto by = AcrobotFormula::AccelerationJacobian(system, x, u[0]);
    const double h = system.timestep;
    for (int i = 0; i < 2; ++i) {
      const auto& partial = by[static_cast<size_t>(i)];
      for (int j = 0; j < 4; ++j) {
        const double velocity = h * partial[static_cast<size_t>(j)] + (j == 2 + i ? 1 : 0);
        view.A(2 + i, j) = velocity;
        view.A(i, j) = h * velocity + (j == i ? 1 : 0);
      }
      view.B(2 + i, 0) = h * partial[4];
      view.B(i, 0) = h * h * partial[4];
    }
  }
  void ExpandStage(int /*t*/, const double* x, const double* u, const View& view) const {
    ExpandState(kStage, system.timestep, x, view);
    view.lu(0) = system.timestep * kAction * u[0];
  }
  void ExpandEnd(const double* x, const View& view) const { ExpandState(kEnd, 1.0, x, view); }
  static void ExpandState(const std::array<double, 4>& q, double scale, const double* x,
                          const View& view) {
    for (int i = 0; i < 4; ++i) {
      const auto at = static_cast<size_t>(i);
      view.lx(i) = scale * q[at] * (x[i] - kGoal[at]);
      view.lxx(i, i) = scale * q[at];
    }
  }
};

// l = dt/2 (weights on position error, angles, velocity, angular velocity, thrusts around
// hovering).
struct QuadrotorReach {
  static constexpr int kStateDim = 12;
  static constexpr int kActionDim = 4;
  using View = KnotView<12, 4>;
  static constexpr std::array<double, 3> kGoal = {2, 1, 1};
  static constexpr std::array<double, 4> kStage = {1, 0.1, 0.1, 0.1};  // per block of three
  static constexpr std::array<double, 4> kEnd = {1000, 100, 100, 10};
  static constexpr double kAction = 0.1;

  int horizon = 100;
  std::vector<double> low, high;
  QuadrotorOptions system;
  double hover = 2.4525;  // m g / 4 [N]

  template <typename T>
  void Step(int /*t*/, const T* x, const T* u, T* next) const {
    QuadrotorFormula::Step(system, x, u, next);
  }
  template <typename T>
  T StageCost(int /*t*/, const T* x, const T* u) const {
    T sum = Distance(kStage, x);
    for (int i = 0; i < 4; ++i) sum += (0.5 * kAction) * ((u[i] - hover) * (u[i] - hover));
    return system.timestep * sum;
  }
  template <typename T>
  T TerminalCost(const T* x) const {
    return Distance(kEnd, x);
  }
  template <typename T>
  static T Distance(const std::array<double, 4>& q, const T* x) {
    T sum(0.0);
    for (size_t i = 0; i < 12; ++i) {
      const T error = i < 3 ? x[i] - kGoal[i] : x[i];
      sum += (0.5 * q[i / 3]) * (error * error);
    }
    return sum;
  }

  // Everything but the entries that ExpandStep writes.
  void BindConstants(const View& view) const {
    const double h = system.timestep;
    for (int i = 0; i < 4; ++i) view.luu(i, i) = h * kAction;
    for (int i = 0; i < 3; ++i) {
      view.A(i, i) = 1;
      view.A(i, 6 + i) = h;
      view.A(6 + i, 6 + i) = 1;
      view.A(9 + i, 9 + i) = 1;
    }
    const double roll = h / system.inertia_x * system.arm;
    const double pitch = h / system.inertia_y * system.arm;
    const double yaw = h / system.inertia_z * system.drag_ratio;
    view.B(9, 1) = roll;
    view.B(9, 3) = -roll;
    view.B(10, 2) = pitch;
    view.B(10, 0) = -pitch;
    for (int j = 0; j < 4; ++j) view.B(11, j) = j % 2 == 0 ? yaw : -yaw;
  }

  void ExpandStep(int /*t*/, const double* x, const double* u, const View& view) const {
    const QuadrotorOptions& o = system;
    const double h = o.timestep;
    const double sphi = std::sin(x[3]), cphi = std::cos(x[3]);
    const double stheta = std::sin(x[4]), ctheta = std::cos(x[4]);
    const double spsi = std::sin(x[5]), cpsi = std::cos(x[5]);
    // v+ = v + (h T / m) R e3: by the angles and by the thrusts; p+ = p + h v+.
    const double push = (u[0] + u[1] + u[2] + u[3]) * (h / o.mass);
    const double thrust_axis[3] = {cphi * stheta * cpsi + sphi * spsi,
                                   cphi * stheta * spsi - sphi * cpsi, cphi * ctheta};
    const double by_angle[3][3] = {
        {-sphi * stheta * cpsi + cphi * spsi, cphi * ctheta * cpsi,
         -cphi * stheta * spsi + sphi * cpsi},
        {-sphi * stheta * spsi - cphi * cpsi, cphi * ctheta * spsi, thrust_axis[0]},
        {-sphi * ctheta, -cphi * stheta, 0}};
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) {
        view.A(6 + i, 3 + j) = push * by_angle[i][j];
        view.A(i, 3 + j) = h * push * by_angle[i][j];
      }
      const double along = h / o.mass * thrust_axis[i];
      for (int j = 0; j < 4; ++j) {
        view.B(6 + i, j) = along;
        view.B(i, j) = h * along;
      }
    }
    // omega+ by omega: the gyroscopic term.
    const double gx = -h / o.inertia_x * (o.inertia_z - o.inertia_y);
    const double gy = -h / o.inertia_y * (o.inertia_x - o.inertia_z);
    const double gz = -h / o.inertia_z * (o.inertia_y - o.inertia_x);
    view.A(9, 10) = gx * x[11];
    view.A(9, 11) = gx * x[10];
    view.A(10, 9) = gy * x[11];
    view.A(10, 11) = gy * x[9];
    view.A(11, 9) = gz * x[10];
    view.A(11, 10) = gz * x[9];
    // angles+ = angles + h W omega+; omega+ again from its formula.
    const double omega[3] = {
        x[9] + h / o.inertia_x * o.arm * (u[1] - u[3]) + gx * x[10] * x[11],
        x[10] + h / o.inertia_y * o.arm * (u[2] - u[0]) + gy * x[9] * x[11],
        x[11] + h / o.inertia_z * o.drag_ratio * (u[0] - u[1] + u[2] - u[3]) + gz * x[9] * x[10]};
    const double secant = 1 / ctheta;
    const double tangent = stheta * secant;
    const double W[3][3] = {
        {1, sphi * tangent, cphi * tangent}, {0, cphi, -sphi}, {0, sphi * secant, cphi * secant}};
    const double along = sphi * omega[1] + cphi * omega[2];
    const double across = cphi * omega[1] - sphi * omega[2];
    view.A(3, 3) = 1 + h * across * tangent;
    view.A(3, 4) = h * along * secant * secant;
    view.A(4, 3) = -h * along;
    view.A(4, 4) = 1;
    view.A(5, 3) = h * across * secant;
    view.A(5, 4) = h * along * secant * tangent;
    view.A(5, 5) = 1;
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 3; ++j) {
        view.A(3 + i, 9 + j) = h * (W[i][0] * view.A(9, 9 + j) + W[i][1] * view.A(10, 9 + j) +
                                    W[i][2] * view.A(11, 9 + j));
      }
      for (int j = 0; j < 4; ++j) {
        view.B(3 + i, j) =
            h * (W[i][0] * view.B(9, j) + W[i][1] * view.B(10, j) + W[i][2] * view.B(11, j));
      }
    }
  }
  void ExpandStage(int /*t*/, const double* x, const double* u, const View& view) const {
    ExpandState(kStage, system.timestep, x, view);
    for (int i = 0; i < 4; ++i) view.lu(i) = system.timestep * kAction * (u[i] - hover);
  }
  void ExpandEnd(const double* x, const View& view) const { ExpandState(kEnd, 1.0, x, view); }
  static void ExpandState(const std::array<double, 4>& q, double scale, const double* x,
                          const View& view) {
    for (int i = 0; i < 12; ++i) {
      const double weight = scale * q[static_cast<size_t>(i) / 3];
      const double error = i < 3 ? x[i] - kGoal[static_cast<size_t>(i)] : x[i];
      view.lx(i) = weight * error;
      view.lxx(i, i) = weight;
    }
  }
};

}  // namespace foreplan
