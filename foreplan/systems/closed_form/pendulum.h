// The pendulum of Gymnasium's Pendulum-v1.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <span>

#include "foreplan/core/options.h"
#include "foreplan/core/random.h"
#include "foreplan/systems/closed_form/closed_form.h"
#include "foreplan/systems/reset.h"

namespace foreplan {

struct PendulumOptions {
  double gravity = 10.0;      // g [m/s^2]
  double mass = 1.0;          // m, of a uniform rod [kg]
  double length = 1.0;        // l [m]
  double max_torque = 2.0;    // |u| [N m]
  double max_velocity = 8.0;  // theta_dot is clipped to this [rad/s]
  double timestep = 0.05;     // control period [s]
  ResetOptions reset{ResetOptions::Distribution::kUniform, 3.141592653589793, 1.0};

  void Visit(OptionsVisitor& visitor);
};

/// (theta, theta_dot) one control period later by semi-implicit Euler; theta = 0 stands upright
/// and is never wrapped. T is double or a number type that carries derivatives.
template <typename T>
std::array<T, 2> PendulumStep(const PendulumOptions& options, const std::array<T, 2>& state,
                              const T& u) {
  using std::max;
  using std::min;
  using std::sin;
  const auto& [theta, theta_dot] = state;
  const double g = options.gravity;
  const double m = options.mass;
  const double l = options.length;
  // theta_dot' = clip(theta_dot + (3 g / (2 l) sin theta + 3 / (m l^2) u) dt)
  const T acceleration = 3 * g / (2 * l) * sin(theta) + 3.0 / (m * l * l) * u;
  const T fastest(options.max_velocity);
  const T velocity = max(min(theta_dot + acceleration * options.timestep, fastest), -fastest);
  // theta' = theta + theta_dot' dt
  return {theta + velocity * options.timestep, velocity};
}

/// Pendulum-v1. State (theta, theta_dot); observation (cos theta, sin theta, theta_dot), in double
/// where Gymnasium rounds to float.
class Pendulum final : public ClosedFormOf<Pendulum, 2, 1, 3> {
 public:
  using Options = PendulumOptions;

  explicit Pendulum(const Options& options = {});

  [[nodiscard]] std::unique_ptr<System> Clone() const override;
  void Reset(Key key) override;
  [[nodiscard]] std::unique_ptr<Picture> MakePicture() const override;

  template <typename T>
  std::array<T, 2> Next(const std::array<T, 2>& state, const std::array<T, 1>& action) const {
    return PendulumStep(options_, state, action[0]);
  }
  template <typename T>
  std::array<T, 3> Observation(const std::array<T, 2>& state) const {
    using std::cos;
    using std::sin;
    return {cos(state[0]), sin(state[0]), state[1]};
  }

 private:
  Options options_;
};

}  // namespace foreplan
