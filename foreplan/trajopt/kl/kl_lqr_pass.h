// LQR that stays near the policy before it, at a given multiplier of that constraint.
#pragma once

#include <Eigen/Core>
#include <limits>
#include <span>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/models/local/linear_gaussian_dynamics.h"
#include "foreplan/policies/linear_gaussian.h"
#include "foreplan/trajopt/backward_pass.h"
#include "foreplan/trajopt/kl/trajectory_distribution.h"

namespace foreplan {

struct KlLqrEvaluation {
  BackwardStatus status = BackwardStatus::kOk;
  double kl = 0;              // of the trajectory
  double cost_change = 0;     // E[cost] - E[cost of the previous policy]
  double entropy_change = 0;  // H - H of the previous policy, summed over time
};

/// One backward pass of LQR near a policy, at a given multiplier: the minimiser of
///   L(p, lambda) = sum_t E_p[cost_t] - nu H(p) + lambda (KL(p || previous) - bound),
/// trajectories of both policies under the same linear-Gaussian dynamics.
///
/// c-bar = c / lambda - log p-bar(u | x), then maximum-entropy LQR, is this minimiser. It is
/// written in delta, the action's departure from the previous policy p-bar in units of its noise,
/// and dx, the state's departure from its mean:
///   u = u_mean + K'dx + L'delta, L'L'^T = Sigma': the previous policy is delta ~ N(0, I), and
///   L(p, lambda) = sum E[cost - lambda log N(delta; 0, I)] - (lambda + nu) H - lambda bound.
/// So lambda only adds lambda I to the action's Hessian; gains, covariance and KL come out as
/// differences, without cancellation:
///   delta = k + K dx, covariance (lambda + nu) M^-1, M = lambda I + luu + B'VB.
/// All memory is made in the constructor.
class KlLqrPass {
 public:
  /// A policy of `horizon` steps, horizon - 1 transitions.
  KlLqrPass(int nx, int nu, int horizon);

  /// Copies the problem. Throws InputError for sizes that do not fit, and RunError for numbers that
  /// are not finite and a previous policy with a singular covariance (name and step).
  void SetProblem(const LinearGaussianDynamics& dynamics, const std::vector<QuadraticCost>& costs,
                  const LinearGaussianPolicy& previous);
  /// The same where the distribution of the previous policy under these dynamics is there already.
  void SetProblem(const LinearGaussianDynamics& dynamics, const std::vector<QuadraticCost>& costs,
                  const LinearGaussianPolicy& previous, const TrajectoryDistribution& of_previous);

  /// At lambda, entropy weight nu; lambda + nu > 0. Where KL exceeds `enough`, what is summed over
  /// time may be of the first steps only.
  KlLqrEvaluation Evaluate(double lambda, double entropy_weight,
                           double enough = std::numeric_limits<double>::infinity());
  /// With one multiplier per time step: [horizon].
  KlLqrEvaluation EvaluateEach(std::span<const double> multipliers, double entropy_weight);

  // Of the last evaluation:
  [[nodiscard]] LinearGaussianPolicy Policy() const;
  [[nodiscard]] std::span<const double> kl_per_step() const { return kl_per_step_; }
  [[nodiscard]] std::span<const double> multipliers() const { return multipliers_; }
  /// Where the backward pass failed; -1: nowhere.
  [[nodiscard]] int failed_step() const { return backward_.failed_knot(); }

  [[nodiscard]] int horizon() const { return horizon_; }

 private:
  KlLqrEvaluation EvaluateMultipliers(double entropy_weight, double enough);
  /// lambda + nu.
  [[nodiscard]] double Scale(int t) const {
    return multipliers_[static_cast<size_t>(t)] + entropy_weight_;
  }
  void CheckProblem(const LinearGaussianDynamics& dynamics, const std::vector<QuadraticCost>& costs,
                    const LinearGaussianPolicy& previous) const;
  void SetChecked(const LinearGaussianDynamics& dynamics, const std::vector<QuadraticCost>& costs,
                  const LinearGaussianPolicy& previous, const TrajectoryDistribution& of_previous);
  void SetPrevious(int t, const LinearGaussianStep& step,
                   const TrajectoryDistribution& of_previous);
  void SetCost(int t, const QuadraticCost& cost);
  void SetTransition(int t, const LinearGaussianTransition& transition);
  void PropagateState(int t);
  double ShapeDivergence(int t, double& log_det);
  void AddCostChange(int t, KlLqrEvaluation& result) const;

  KnotLayout layout_;
  int horizon_;
  BackwardPass backward_;
  std::vector<Knot> knots_;       // [horizon + 1]
  AlignedVector<double> memory_;  // of the knots and of what follows
  // The problem, per step, padded:
  double* action_hessian_ = nullptr;      // luu without lambda: [horizon x nu x ldu]
  double* transposed_A_ = nullptr;        // [horizon x nx x ldx]
  double* transposed_B_ = nullptr;        // [horizon x nu x ldx]
  double* noise_ = nullptr;               // [horizon x nx x ldx]
  double* initial_covariance_ = nullptr;  // [nx x ldx]
  // The previous policy:
  double* state_covariance_ = nullptr;                     // [horizon x nx x ldx]
  std::vector<Eigen::VectorXd> state_mean_, action_mean_;  // [horizon] of [nx], [nu]
  std::vector<Eigen::MatrixXd> feedback_;                  // [horizon] of [nu x nx]
  std::vector<Eigen::MatrixXd> root_;                      // L': [horizon] of [nu x nu]
  // Of one evaluation:
  double* covariance_ = nullptr;     // X: [nx x ldx]
  double* closed_loop_ = nullptr;    // (A + B K)': [nx x ldx]
  double* product_ = nullptr;        // X (A + B K)': [nx x ldx]
  double* factor_ = nullptr;         // [U | U'^-1 B']: [nu x ldz]
  double* gain_product_ = nullptr;   // K X: [nu x ldx]
  double* z_ = nullptr;              // (mean delta | mean dx): [ldz]
  double* next_ = nullptr;           // [ldx]
  double* diagonal_ = nullptr;       // [ldu]
  double* shape_ = nullptr;          // [nu x ldu]
  double* inverse_ = nullptr;        // [nu x ldu]
  std::vector<double> multipliers_;  // [horizon]
  std::vector<double> kl_per_step_;  // [horizon]
  double entropy_weight_ = 0;
};

}  // namespace foreplan
