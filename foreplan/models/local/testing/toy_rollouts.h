// Rollouts of a small system and how well a fit of them is, for tests.
#pragma once

#include <Eigen/Core>
#include <cmath>
#include <cstdint>
#include <vector>

#include "foreplan/core/random.h"
#include "foreplan/models/local/local_model_fit.h"
#include "foreplan/models/local/rollout_view.h"

namespace foreplan {

/// N rollouts of a pendulum-like system with two states and one action.
struct ToyRollouts {
  ToyRollouts(int N, int T, uint64_t stream, double noise = 0) {
    Random random(Key{6, stream});
    for (int n = 0; n < N; ++n) {
      double q = 0.5 + 0.1 * random.Normal();
      double v = 0.1 * random.Normal();
      states.insert(states.end(), {q, v});
      for (int t = 0; t < T; ++t) {
        const double u = std::sin(0.2 * t) + 0.3 * random.Normal();
        const double next = v + 0.1 * (u - std::sin(q)) + noise * random.Normal();
        q += 0.1 * v + noise * random.Normal();
        v = next;
        actions.push_back(u);
        states.insert(states.end(), {q, v});
      }
    }
    view = {N, T, 2, 1, states.data(), actions.data()};
  }
  std::vector<double> states, actions;
  RolloutView view;
};

// sin q linearised where the system was: x' = F (x, u) + c.
inline Eigen::MatrixXd ToyJacobian(double q) {
  return (Eigen::MatrixXd(2, 3) << 1, 0.1, 0, -0.1 * std::cos(q), 1, 0.1).finished();
}

inline double FitError(const LocalModelFit& fit, const RolloutView& view) {
  double error = 0;
  for (int t = 0; t < view.transitions; ++t) {
    Eigen::MatrixXd z(view.joint_dim(), view.rollouts);
    view.Joint(t, z);
    const LinearGaussianTransition& step = fit.dynamics.steps[static_cast<size_t>(t)];
    const Eigen::MatrixXd F = (Eigen::MatrixXd(2, 3) << step.A, step.B).finished();
    error += (F - ToyJacobian(z.row(0).mean())).norm() / view.transitions;
  }
  return error;
}

}  // namespace foreplan
