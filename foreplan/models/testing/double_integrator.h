// A model small enough to know everything about: a point mass under a force, with switches for what
// can go wrong. For tests.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "foreplan/models/testing/observed_state.h"
#include "foreplan/systems/rewards/reward.h"
#include "foreplan/systems/system.h"

namespace foreplan::testing {

/// p' = p + h v, v' = v + h u (+ noise, shared by the rows of a particle where they have none of
/// their own); the state is the observation (p, v).
class DoubleIntegrator : public ObservedState<2, 1> {
 public:
  static constexpr double kStep = 0.1;  // h [s]

  double noise = 0;                                            // of v' [m/s]
  double nan_above = std::numeric_limits<double>::infinity();  // actions above it give NaN

  [[nodiscard]] bool is_stochastic() const override { return noise > 0; }
  void Step(const StepBatch& batch, Workspace& /*workspace*/) const override {
    Random random(batch.key.Fold(static_cast<uint64_t>(batch.particle))
                      .Fold(static_cast<uint64_t>(batch.time)));
    const double shared = noise > 0 ? random.Normal() : 0.0;
    for (int row = 0; row < batch.rows; ++row) {
      const double* x = batch.state + 2 * row;
      const double u = batch.action[row];
      const double drawn = batch.noise == nullptr ? shared : batch.noise[2 * row + 1];
      batch.next_state[2 * row] = x[0] + kStep * x[1];
      batch.next_state[2 * row + 1] = u > nan_above ? std::numeric_limits<double>::quiet_NaN()
                                                    : x[1] + kStep * u + noise * drawn;
    }
  }
  void Linearize(const LinearizeBatch& batch, Workspace& /*workspace*/) const override {
    for (int row = 0; row < batch.rows; ++row) {
      const std::array<double, 4> A = {1, kStep, 0, 1};
      const std::array<double, 2> B = {0, kStep};
      std::copy(A.begin(), A.end(), batch.A + 4 * row);
      std::copy(B.begin(), B.end(), batch.B + 2 * row);
    }
  }
};

/// r = -(p'^2 + 0.1 v'^2 + 0.01 u^2); ends where |p'| > limit.
class QuadraticReward : public Reward {
 public:
  double limit = std::numeric_limits<double>::infinity();

  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    for (int row = 0; row < batch.rows; ++row) {
      const double p = batch.next_observation[2 * row];
      const double v = batch.next_observation[2 * row + 1];
      const double u = batch.action[row];
      reward[row] = -(p * p + 0.1 * v * v + 0.01 * u * u);
      terminated[row] = std::abs(p) > limit ? 1 : 0;
    }
  }
  double Expand(const double* /*observation*/, const double* action, const double* next,
                double* gradient, double* hessian) const override {
    // z = (p, v, u, p', v')
    std::fill_n(gradient, 5, 0.0);
    std::fill_n(hessian, 25, 0.0);
    const std::array<double, 3> at = {action[0], next[0], next[1]};
    const std::array<double, 3> weight = {0.01, 1.0, 0.1};
    double reward = 0;
    for (size_t i = 0; i < 3; ++i) {
      gradient[2 + i] = -2 * weight[i] * at[i];
      hessian[(2 + i) * 6] = -2 * weight[i];
      reward -= weight[i] * at[i] * at[i];
    }
    return reward;
  }
};

/// Writes down the actions it is asked about, in order if there is one thread.
class RecordingReward final : public QuadraticReward {
 public:
  mutable std::vector<double> actions;

  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    actions.insert(actions.end(), batch.action, batch.action + batch.rows);
    QuadraticReward::Evaluate(batch, reward, terminated);
  }
};

/// What the actions earn from (position, velocity) `start` without noise, bounds or an end.
inline double ReturnOf(std::span<const double> actions, std::span<const double> start) {
  double p = start[0];
  double v = start[1];
  double sum = 0;
  for (const double u : actions) {
    p += DoubleIntegrator::kStep * v;
    v += DoubleIntegrator::kStep * u;
    sum -= p * p + 0.1 * v * v + 0.01 * u * u;
  }
  return sum;
}

inline EnvironmentSpec DoubleIntegratorSpec(double max_action) {
  EnvironmentSpec spec;
  spec.dt = DoubleIntegrator::kStep;
  spec.observation = {{"position", "m"}, {"velocity", "m/s"}};
  spec.action = {{"acceleration", "m/s^2"}};
  spec.action_low = {-max_action};
  spec.action_high = {max_action};
  return spec;
}

/// The return of the best of all action sequences without bounds and noise: -x' P x, P by the
/// Riccati recursion of the linear-quadratic problem.
inline double OptimalReturn(std::array<double, 2> start, int horizon) {
  const double h = DoubleIntegrator::kStep;
  double p11 = 0;
  double p12 = 0;
  double p22 = 0;
  for (int t = 0; t < horizon; ++t) {
    // S = Q + P weighs the next state A x + B u, A = [1 h; 0 1], B = [0; h].
    const double s11 = p11 + 1.0;
    const double s12 = p12;
    const double s22 = p22 + 0.1;
    const double curvature = 0.01 + h * h * s22;  // R + B'SB
    const double g1 = h * s12;                    // B'SA, first column
    const double g2 = h * (h * s12 + s22);        // B'SA, second column
    p11 = s11 - g1 * g1 / curvature;              // P = A'SA - (B'SA)'(B'SA) / (R + B'SB)
    p12 = h * s11 + s12 - g1 * g2 / curvature;
    p22 = h * h * s11 + 2 * h * s12 + s22 - g2 * g2 / curvature;
  }
  return -(p11 * start[0] * start[0] + 2 * p12 * start[0] * start[1] + p22 * start[1] * start[1]);
}

}  // namespace foreplan::testing
