// A car on a straight road, at constant speed.
#pragma once

#include <array>
#include <cmath>
#include <memory>
#include <numbers>

#include "foreplan/core/options.h"
#include "foreplan/systems/closed_form/formula_system.h"
#include "foreplan/systems/reset.h"

namespace foreplan {

struct CarOptions {
  double speed = 15;          // v [m/s]
  double wheelbase = 2.7;     // L [m]
  double max_steering = 0.1;  // bound of |steering| [rad]
  double drift = 0;           // angle from where the car points to where it goes [deg]
  double timestep = 0.1;      // control period [s]
  ResetOptions reset;         // around the middle of the road, straight ahead

  void Visit(OptionsVisitor& visitor);
};

/// The kinematic bicycle. State = observation = (y [m] to the left of the road's middle, psi [rad]
/// to the left of its direction); action: steering angle delta of the front wheels [rad].
struct CarFormula {
  using Options = CarOptions;
  static constexpr int kStateDim = 2;
  static constexpr int kActionDim = 1;
  static constexpr int kPositions = 2;

  static SystemSpec Spec(const Options& options);
  static std::unique_ptr<Picture> MakePicture(const Options& options);
  static std::array<double, 2> Start(const Options& /*options*/) { return {0, 0}; }

  /// Explicit Euler.
  template <typename T>
  static void Step(const Options& options, const T* x, const T* u, T* next) {
    using std::cos;
    using std::sin;
    const double h = options.timestep;
    const double drift = options.drift * std::numbers::pi / 180;
    // y' = y + h v sin(psi + drift),  psi' = psi + h v tan(delta) / L
    next[0] = x[0] + h * options.speed * sin(x[1] + drift);
    next[1] = x[1] + h * options.speed / options.wheelbase * (sin(u[0]) / cos(u[0]));
  }
};

using Car = FormulaSystem<CarFormula>;

}  // namespace foreplan
