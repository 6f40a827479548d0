// Linear dynamics, quadratic costs: LQR in its forms.
#pragma once

#include <Eigen/Core>
#include <memory>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/policies/linear_gaussian.h"
#include "foreplan/trajopt/kl/trajectory_distribution.h"
#include "foreplan/trajopt/trajectory_problem.h"

namespace foreplan {

/// x' = A x + B u + c,  l = 1/2 x'Q x + u'S x + 1/2 u'R u + q'x + r'u. Empty S, c, q, r are zero.
struct LqrStage {
  Eigen::MatrixXd A;  // [nx x nx]
  Eigen::MatrixXd B;  // [nx x nu]
  Eigen::VectorXd c;  // [nx]
  Eigen::MatrixXd Q;  // [nx x nx]
  Eigen::MatrixXd R;  // [nu x nu]
  Eigen::MatrixXd S;  // [nu x nx]
  Eigen::VectorXd q;  // [nx]
  Eigen::VectorXd r;  // [nu]
};

struct LqrProblem {
  int horizon = 0;               // N
  std::vector<LqrStage> stages;  // one per step, or a single one for all
  Eigen::MatrixXd terminal_Q;    // [nx x nx]
  Eigen::VectorXd terminal_q;    // [nx], empty: zero
  [[nodiscard]] const LqrStage& stage(int t) const {
    return stages.size() == 1 ? stages.front() : stages[static_cast<size_t>(t)];
  }
};

/// The same as a trajectory problem, its matrices shared by all knots. Throws InputError naming the
/// matrix whose size does not fit, that is not finite, or is not symmetric.
class LinearQuadraticProblem final : public TrajectoryProblem {
 public:
  explicit LinearQuadraticProblem(const LqrProblem& problem);

  [[nodiscard]] int horizon() const override { return horizon_; }
  [[nodiscard]] int state_dim() const override { return layout_.nx; }
  [[nodiscard]] int action_dim() const override { return layout_.nu; }
  [[nodiscard]] bool is_linear_quadratic() const override { return true; }
  [[nodiscard]] std::unique_ptr<Workspace> MakeWorkspace() const override;
  void Bind(int t, Knot& knot) const override;
  double Step(int t, const double* x, const double* u, double* next,
              Workspace& workspace) const override;
  double TerminalCost(const double* x, Workspace& workspace) const override;
  void Expand(int first, int last, const double* xs, const double* us, const Knot* knots,
              Workspace& workspace) const override;
  void ExpandTerminal(const double* x, const Knot& knot, Workspace& workspace) const override;

 private:
  struct Stage {
    Knot knot;                // gradient: (r | q)
    double* drift = nullptr;  // c: [nx]
    bool has_cross = false;   // S is given
  };
  [[nodiscard]] const Stage& stage(int t) const {
    return stages_[time_invariant_ ? 0 : static_cast<size_t>(t)];
  }

  int horizon_;
  KnotLayout layout_;
  bool time_invariant_;
  AlignedVector<double> memory_;
  std::vector<Stage> stages_;
  Stage terminal_;
};

enum class LqrStatus {
  kOk,
  kIndefinite,  // R + B'VB is not positive definite at some step: the cost has no minimum
  kNotFinite,
  kNotConverged,  // infinite horizon: (A, B) not stabilisable, or Q leaves a mode undetected
};

struct LqrSolution {
  LqrStatus status = LqrStatus::kOk;
  int failed_step = -1;
  /// Optimal policy, u = k_t + K_t x (around 0). Covariance 0; with alpha > 0 the maximum-entropy
  /// policy, covariance alpha Quu^-1 of the unregularised Quu.
  LinearGaussianPolicy policy;
  std::vector<Eigen::MatrixXd> V;  // [N + 1] of [nx x nx]: cost to go 1/2 x'V x + v'x + constant
  std::vector<Eigen::VectorXd> v;  // [N + 1] of [nx]
  std::vector<double> constant;    // [N + 1]; of the mean actions, whatever alpha
};

/// Finite horizon, time-varying, with affine and cross terms, by the Riccati recursion of
/// BackwardPass. With alpha > 0 it minimises E[cost] - alpha H (Ziebart 2010; Levine and Abbeel
/// 2014). Throws InputError for what LinearQuadraticProblem refuses, and for negative or NaN alpha.
[[nodiscard]] LqrSolution SolveLqr(const LqrProblem& problem, double alpha = 0);

/// Stationary gain and cost: V = Q + A'VA - (B'VA + S)'(R + B'VB)^-1 (B'VA + S) of the stage's
/// linear-quadratic part (c, q, r must be empty), by structure-preserving doubling (Chu et al.
/// 2004).
struct StationaryLqr {
  LqrStatus status = LqrStatus::kOk;
  int iterations = 0;
  Eigen::MatrixXd K;  // u = K x: [nu x nx]
  Eigen::MatrixXd V;  // [nx x nx]
};
[[nodiscard]] StationaryLqr SolveStationaryLqr(const LqrStage& stage);

/// Propagates x_0 ~ N(mean, covariance) through policy and dynamics with noise N(0, noise) added to
/// every next state: [nx x nx].
[[nodiscard]] TrajectoryDistribution PropagateDistribution(const LqrProblem& problem,
                                                           const LinearGaussianPolicy& policy,
                                                           const Eigen::VectorXd& mean,
                                                           const Eigen::MatrixXd& covariance,
                                                           const Eigen::MatrixXd& noise);

}  // namespace foreplan
