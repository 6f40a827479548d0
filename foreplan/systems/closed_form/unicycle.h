// A wheeled robot on a plane that turns and drives, but cannot move sideways.
#pragma once

#include <array>
#include <cmath>
#include <memory>

#include "foreplan/core/options.h"
#include "foreplan/systems/closed_form/formula_system.h"
#include "foreplan/systems/reset.h"

namespace foreplan {

struct UnicycleOptions {
  double max_speed = 1.0;  // |v| [m/s]
  double max_turn = 2.0;   // |omega| [rad/s]
  double timestep = 0.1;   // control period [s]
  ResetOptions reset;      // around (1, 0, 0)

  void Visit(OptionsVisitor& visitor);
};

/// State = observation = (x [m], y [m], theta [rad]); action (speed [m/s], turn rate [rad/s]).
struct UnicycleFormula {
  using Options = UnicycleOptions;
  static constexpr int kStateDim = 3;
  static constexpr int kActionDim = 2;
  static constexpr int kPositions = 3;

  static SystemSpec Spec(const Options& options);
  static std::unique_ptr<Picture> MakePicture(const Options& options);
  static std::array<double, 3> Start(const Options& /*options*/) { return {1, 0, 0}; }

  /// Explicit Euler.
  template <typename T>
  static void Step(const Options& options, const T* x, const T* u, T* next) {
    using std::cos;
    using std::sin;
    const double h = options.timestep;
    next[0] = x[0] + h * cos(x[2]) * u[0];
    next[1] = x[1] + h * sin(x[2]) * u[0];
    next[2] = x[2] + h * u[1];
  }
};

using Unicycle = FormulaSystem<UnicycleFormula>;

}  // namespace foreplan
