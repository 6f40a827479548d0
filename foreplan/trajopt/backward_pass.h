// The Riccati recursion of LQR, iLQR and DDP: from expansions along a trajectory to gains.
#pragma once

#include <Eigen/Core>
#include <memory>
#include <span>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/trajopt/box_qp.h"
#include "foreplan/trajopt/trajectory_problem.h"

namespace foreplan {

/// What mu is added to (Tassa et al. 2012, section II-F).
enum class Regularisation {
  kActions,  // Quu + mu I
  kStates,   // V' + mu I, in Quu and Qux: keeps the new states near the old ones
};

enum class BackwardStatus {
  kOk,
  kIndefinite,  // Quu + regularisation is not positive definite at some knot
  kNotFinite,   // a derivative is NaN or infinite
};

/// One pass's input; spans and pointers must stay valid during Run.
struct BackwardInput {
  const Knot* knots = nullptr;   // [N + 1]
  const double* gaps = nullptr;  // f_t(x_t, u_t) - x_{t+1}: [N x ldx]; null: none
  double mu = 0;
  Regularisation regularisation = Regularisation::kActions;
  // Bounds of the actions and where they stand; null low: no bounds.
  const double* low = nullptr;   // [N x nu]
  const double* high = nullptr;  // [N x nu]
  const double* us = nullptr;    // [N x nu]
  // Second derivatives of the dynamics, when a problem is given.
  const TrajectoryProblem* second_order = nullptr;
  const double* xs = nullptr;  // [N + 1 x state_dim]
};

/// Computes, from t = N - 1 down to 0, with V', v' of the next knot and its gap c:
///   Q_zz = l_zz + F'V'F,  Q_z = l_z + F'(v' + V'c),  z = (u, x), F = [B A]
///   K = -(Quu + mu I)^-1 Qux,  k = -(Quu + mu I)^-1 Qu, within the bounds by a box QP
///   V = Qxx + K'Quu K + K'Qux + Qux'K,  v = Qx + K'(Quu k + Qu) + Qux'k
/// V is symmetric by construction, as products are computed on one triangle only. Small sizes have
/// code of their own, chosen when the pass is made. Allocates only in the constructor.
class BackwardPass {
 public:
  /// keep_values: V_t, v_t and Quu_t of all knots stay available.
  BackwardPass(KnotLayout layout, int horizon, bool bounded, bool keep_values);

  BackwardStatus Run(const BackwardInput& input);

  // Of the last pass:
  [[nodiscard]] const double* feedback(int t) const {  // K_t: [nu x ldx]
    return feedback_.data() + static_cast<size_t>(t) * feedback_size_;
  }
  [[nodiscard]] const double* feedforward(int t) const {  // k_t: [ldu]
    return feedforward_.data() + static_cast<size_t>(t) * static_cast<size_t>(layout_.ldu());
  }
  [[nodiscard]] double linear_change() const { return change_.linear; }        // sum k'Qu
  [[nodiscard]] double quadratic_change() const { return change_.quadratic; }  // sum k'Quu k
  /// Largest |Qu| where no bound holds the action: 0 at a stationary trajectory.
  [[nodiscard]] double largest_gradient() const { return change_.gradient; }
  [[nodiscard]] int failed_knot() const { return failed_knot_; }
  // With keep_values:
  [[nodiscard]] const double* value_hessian(int t) const {  // V_t: [nx x ldx]
    return values_.data() + static_cast<size_t>(t) * layout_.hessian_x_size();
  }
  [[nodiscard]] const double* value_gradient(int t) const {  // v_t: [ldx]
    return value_gradients_.data() + static_cast<size_t>(t) * static_cast<size_t>(layout_.ldx());
  }
  [[nodiscard]] const double* action_hessian(int t) const {  // Quu_t: [nu x ldu]
    return action_hessians_.data() + static_cast<size_t>(t) * action_hessian_size_;
  }
  /// Quu_t^-1, without regularisation: [nu x nu]. Throws RunError where Quu has no minimum.
  [[nodiscard]] Eigen::MatrixXd InverseActionHessian(int t) const;

 private:
  struct Change {
    double linear = 0, quadratic = 0, gradient = 0;
  };
  template <int FixedNx, int FixedNu>
  BackwardStatus RunSized(const BackwardInput& input);
  [[nodiscard]] Knot WithCurvature(const BackwardInput& input, int t, const double* multiplier);
  bool SolveBounded(const BackwardInput& input, int t, double* k, double* feedback);

  KnotLayout layout_;
  int horizon_;
  bool keep_values_;
  size_t feedback_size_;
  size_t action_hessian_size_;
  BackwardStatus (BackwardPass::*run_)(const BackwardInput&) = nullptr;
  AlignedVector<double> feedback_;               // [N x nu x ldx]
  AlignedVector<double> feedforward_;            // [N x ldu]
  AlignedVector<double> values_;                 // [N + 1 x nx x ldx] or one
  AlignedVector<double> value_gradients_;        // [N + 1 x ldx] or one
  AlignedVector<double> action_hessians_;        // [N x nu x ldu]
  AlignedVector<double> scratch_;                // W, Q rows, factor, ...
  AlignedVector<double> hessian_u_, hessian_x_;  // cost Hessians plus the dynamics' curvature
  std::unique_ptr<BoxQp> box_qp_;
  std::vector<double> box_low_, box_high_;  // [nu]
  Change change_;
  int failed_knot_ = -1;
};

}  // namespace foreplan
