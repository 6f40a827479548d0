// A problem of tests: a pendulum whose torque is too small to lift it at once.
#pragma once

#include <cmath>
#include <vector>

#include "foreplan/systems/closed_form/pendulum.h"

namespace foreplan::testing {

// Swing-ups and a drive around obstacles, with control limits.
struct PendulumSwingUp {
  static constexpr int kStateDim = 2;
  static constexpr int kActionDim = 1;
  static constexpr int kStageResiduals = 3;
  static constexpr int kTerminalResiduals = 2;
  int horizon = 100;
  std::vector<double> low = {-2}, high = {2};
  PendulumOptions system;

  template <typename T>
  void Step(int /*t*/, const T* x, const T* u, T* next) const {
    const auto moved = PendulumStep<T>(system, {x[0], x[1]}, u[0]);
    next[0] = moved[0];
    next[1] = moved[1];
  }
  // 1 - cos th = 2 sin^2(th / 2).
  template <typename T>
  void StageResidual(int /*t*/, const T* x, const T* u, T* r) const {
    using std::sin;
    r[0] = 0.4 * sin(0.5 * x[0]);
    r[1] = 0.04 * x[1];
    r[2] = 0.1 * u[0];
  }
  template <typename T>
  void TerminalResidual(const T* x, T* r) const {
    using std::sin;
    r[0] = 20.0 * sin(0.5 * x[0]);
    r[1] = 3.0 * x[1];
  }
};

}  // namespace foreplan::testing
