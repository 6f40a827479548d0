// Rollouts as the fits of local models read them.
#pragma once

#include <Eigen/Core>

namespace foreplan {

/// Rollouts of one initial condition, all of the same length. A view: what it points to must live.
struct RolloutView {
  int rollouts = 0;     // N
  int transitions = 0;  // T: states 0 ... T, actions 0 ... T - 1
  int nx = 0;
  int nu = 0;
  const double* states = nullptr;   // [N x (T + 1) x nx]
  const double* actions = nullptr;  // [N x T x nu]

  [[nodiscard]] int regressor_dim() const { return nx + nu; }  // of (x, u)
  [[nodiscard]] int joint_dim() const { return 2 * nx + nu; }  // nz, of z = (x, u, x')
  [[nodiscard]] const double* state(int rollout, int t) const {
    return states + (static_cast<Eigen::Index>(rollout) * (transitions + 1) + t) * nx;
  }
  [[nodiscard]] const double* action(int rollout, int t) const {
    return actions + (static_cast<Eigen::Index>(rollout) * transitions + t) * nu;
  }
  /// z = (x_t, u_t, x_t+1) of every rollout, one per column: [nz x N].
  void Joint(int t, Eigen::Ref<Eigen::MatrixXd> z) const;
};

/// Throws InputError for no rollouts or transitions, sizes that are no dimensions, and a number
/// that is not finite (naming rollout, time and dimension). `where` starts the message.
void CheckRollouts(const char* where, const RolloutView& rollouts);

}  // namespace foreplan
