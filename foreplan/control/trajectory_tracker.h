// Feedback that keeps a system near a planned trajectory.
#pragma once

#include <span>

#include "foreplan/models/dynamics.h"
#include "foreplan/policies/linear_gaussian.h"
#include "foreplan/systems/action_bounds.h"

namespace foreplan {

/// TV-LQR around the trajectory x^ that the model predicts for `actions` u^ ([horizon x nu]) from
/// `start`: u = u^_t + K_t (x - x^_t), K_t from the Riccati recursion on the model's derivatives
/// along x^, u^ and the cost
///   sum_t sum_i (dx_i / s_i)^2 + action_weight sum_j (du_j / h_j)^2,
/// s_i: deviation of component i along x^ (1 where it does not move), h_j: half range of action j.
/// A cost of distances and not the task's reward, as a reward may be flat where the plan passes by.
/// Actions are clamped to the bounds. Throws InputError for a model whose tangent space
/// is not its state, and RunError where the prediction, its derivatives or the gains are not
/// finite.
[[nodiscard]] LinearGaussianPolicy TrackTrajectory(const Dynamics& dynamics,
                                                   const ActionBounds& bounds,
                                                   std::span<const double> start,
                                                   std::span<const double> actions,
                                                   double action_weight = 1);

}  // namespace foreplan
