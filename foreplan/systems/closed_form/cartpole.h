// The cart-pole of PETS in closed form, without a simulator.
#pragma once

#include <array>
#include <cmath>
#include <memory>
#include <span>

#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/systems/closed_form/closed_form.h"
#include "foreplan/systems/reset.h"

namespace foreplan {

/// Of cart-poles: state = observation = place of the cart, angle of the pole, their velocities; one
/// action within +-bound.
[[nodiscard]] SystemSpec CartPoleSpec(double dt, const Component& action, double bound);

/// The defaults are what the MJCF of the task pets_cartpole compiles to.
struct CartPoleOptions {
  double cart_mass = 10.47197551196598;      // m_c [kg]
  double pole_mass = 5.018591641363306;      // m_p [kg]
  double pole_center = 0.3000004166663773;   // l, hinge to the pole's centre of mass [m]
  double pole_inertia = 0.6404242692436963;  // I, about the hinge [kg m^2]
  double pole_skew = 0.00166666512346;       // of the centre of mass against the pole's axis [rad]
  double cart_damping = 1.0;                 // d_c [N s/m]
  double hinge_damping = 1.0;                // d_h [N m s/rad]
  double gravity = 9.81;                     // g [m/s^2]
  double gear = 100.0;                       // force per unit of action [N]
  double max_action = 3.0;                   // |u|
  double timestep = 0.02;                    // of one Runge-Kutta step [s]
  int substeps = 2;                          // Runge-Kutta steps per control period
  ResetOptions reset;                        // around the cart at 0, the pole hanging at rest

  void Visit(OptionsVisitor& visitor);
};

/// Time derivative of (x, theta, x_dot, theta_dot) under action u; theta = 0 hangs down. T is
/// double or a number type that carries derivatives.
template <typename T>
std::array<T, 4> CartPoleDerivative(const CartPoleOptions& options, const std::array<T, 4>& state,
                                    const T& u) {
  using std::cos;
  using std::sin;
  const auto& [x, theta, x_dot, theta_dot] = state;
  const double mass = options.cart_mass + options.pole_mass;
  const double moment = options.pole_mass * options.pole_center;  // m_p l
  // a = theta - skew points from the hinge to the pole's centre of mass.
  const T angle = theta - options.pole_skew;
  const T coupling = moment * cos(angle);
  const T sine = sin(angle);
  // (m_c + m_p) x'' - m_p l cos a theta'' = gear u - d_c x' - m_p l sin a theta'^2
  const T force =
      options.gear * u - options.cart_damping * x_dot - moment * sine * theta_dot * theta_dot;
  // I theta'' - m_p l cos a x'' = -d_h theta' - m_p g l sin a
  const T torque = -options.hinge_damping * theta_dot - options.gravity * moment * sine;
  // Cramer's rule for the 2 x 2 system in (x'', theta'').
  const T determinant = mass * options.pole_inertia - coupling * coupling;
  const T x_acceleration = (options.pole_inertia * force + coupling * torque) / determinant;
  const T theta_acceleration = (mass * torque + coupling * force) / determinant;
  return {x_dot, theta_dot, x_acceleration, theta_acceleration};
}

/// The state one control period later: classical Runge-Kutta steps with u held.
template <typename T>
std::array<T, 4> CartPoleStep(const CartPoleOptions& options, std::array<T, 4> state, const T& u) {
  const double h = options.timestep;
  const auto moved = [&state](const std::array<T, 4>& slope, double time) {
    std::array<T, 4> result;
    for (size_t i = 0; i < 4; ++i) result[i] = state[i] + time * slope[i];
    return result;
  };
  for (int substep = 0; substep < options.substeps; ++substep) {
    const auto k1 = CartPoleDerivative(options, state, u);
    const auto k2 = CartPoleDerivative(options, moved(k1, h / 2), u);
    const auto k3 = CartPoleDerivative(options, moved(k2, h / 2), u);
    const auto k4 = CartPoleDerivative(options, moved(k3, h), u);
    for (size_t i = 0; i < 4; ++i) state[i] += h / 6 * (k1[i] + 2.0 * (k2[i] + k3[i]) + k4[i]);
  }
  return state;
}

/// Cart-pole of Chua et al. (2018). State = observation = (slider [m], hinge [rad], their
/// velocities), named as in the MuJoCo task; hinge = 0 hangs down.
///
/// There is no rail: where the MuJoCo task has a soft limit at +-2.5 m, this cart drives on. Within
/// the limit both are the same system.
class CartPole final : public ClosedFormOf<CartPole, 4, 1, 4> {
 public:
  using Options = CartPoleOptions;

  explicit CartPole(const Options& options = {});

  [[nodiscard]] std::unique_ptr<System> Clone() const override;
  void Reset(Key key) override;
  [[nodiscard]] std::unique_ptr<Picture> MakePicture() const override;

  template <typename T>
  std::array<T, 4> Next(const std::array<T, 4>& state, const std::array<T, 1>& action) const {
    return CartPoleStep(options_, state, action[0]);
  }
  template <typename T>
  std::array<T, 4> Observation(const std::array<T, 4>& state) const {
    return state;
  }

 private:
  Options options_;
};

}  // namespace foreplan
