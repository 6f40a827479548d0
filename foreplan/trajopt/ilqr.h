// Trajectory optimisation by iLQR and DDP.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/core/deadline.h"
#include "foreplan/core/executor.h"
#include "foreplan/policies/linear_gaussian.h"
#include "foreplan/trajopt/backward_pass.h"
#include "foreplan/trajopt/ilqr_options.h"
#include "foreplan/trajopt/trajectory_problem.h"

namespace foreplan {

/// What one iteration did.
struct IlqrIteration {
  double cost = 0;             // after it
  double gap = 0;              // largest entry of a gap after it
  double gradient = 0;         // largest |Qu| before it, where no bound holds the action
  double mu = 0;               // regularisation of the accepted step
  double step = 0;             // alpha
  double expected_change = 0;  // of cost (and gaps) by the quadratic model
  double actual_change = 0;
};

struct IlqrResult {
  IlqrStatus status = IlqrStatus::kInvalidStart;
  int iterations = 0;   // steps taken
  double cost = 0;      // J
  double gap = 0;       // largest entry; a trajectory with gaps is no solution
  double gradient = 0;  // largest |Qu| at the last expansion
  // Wall times; they sum to the total.
  double expansion_seconds = 0;
  double backward_seconds = 0;
  double forward_seconds = 0;
  double other_seconds = 0;
  [[nodiscard]] double seconds() const {
    return expansion_seconds + backward_seconds + forward_seconds + other_seconds;
  }
  std::span<const IlqrIteration> log;  // one per iteration; valid until the next Solve
};

/// iLQR (Li and Todorov 2004) and DDP with the regularisation and line search of Tassa, Erez and
/// Todorov (2012), control limits by projected-Newton QPs (Tassa, Mansard and Todorov 2014), and
/// infeasible starts whose gaps close with the steps taken (Mastalli et al. 2020), where a merit
/// function J + w sum |gap| decides about a step.
///
/// One object solves many times; it allocates only in its constructor.
class IlqrSolver {
 public:
  /// References must outlive the solver. Throws InputError for options out of range, a horizon or
  /// dimensions below 1, bounds of another size, NaN bounds or low > high, and second derivatives
  /// that the problem does not have. Expansions and step lengths are shared out to `executor`; the
  /// results are the same bits with any number of threads, or without a executor.
  IlqrSolver(const TrajectoryProblem& problem, IlqrOptions options, Executor* executor = nullptr);

  /// From the state x0 with the actions [N x nu] as guess (clamped to the bounds). With `states`
  /// [N+1 x state_dim] the guess may be infeasible; its row 0 is replaced by x0. Throws InputError
  /// for sizes that do not fit, and for states of a problem whose tangent space is not its state.
  IlqrResult Solve(std::span<const double> x0, std::span<const double> actions,
                   std::span<const double> states = {});

  /// Called after each iteration; false stops.
  void set_callback(std::function<bool(int iteration, const IlqrIteration&)> callback) {
    callback_ = std::move(callback);
  }
  /// When Solve ends with the best trajectory so far, from now on: a moment, or a stop token. It is
  /// looked at before every part of an expansion, every backward pass and every step of a
  /// rollout, so Solve is late by one of these at most. Where not even the guess was rolled out,
  /// the cost is infinite.
  void set_cutoff(Cutoff cutoff) { cutoff_ = std::move(cutoff); }
  /// At most this many iterations from now on, 1 ... options.max_iterations.
  void set_max_iterations(int iterations);
  /// Replaces the bounds of a bounded problem, knot by knot, for a trust region: [N x nu] each.
  void SetBounds(std::span<const double> low, std::span<const double> high);
  [[nodiscard]] const IlqrOptions& options() const { return options_; }

  // Of the last Solve:
  [[nodiscard]] std::span<const double> states() const;   // [N+1 x state_dim]
  [[nodiscard]] std::span<const double> actions() const;  // [N x nu]
  /// Gains around states() and actions(), K: [nu x ldx]. Where Solve did not end with such a pass,
  /// the first call after it makes one: without regularisation, or with as much as Quu needs.
  /// Throws RunError after a Solve without a valid trajectory, and where there are no gains.
  [[nodiscard]] const double* feedback(int t);
  /// u = u^_t + K_t (x - x^_t) around the solution: what tracks it on a system that differs from
  /// the model. Without noise, or with the covariance temperature Quu^-1 of the maximum-entropy
  /// policy (as SolveLqr). Throws as feedback does, InputError for a problem whose tangent space is
  /// not its state, and RunError for noise where Quu has no minimum.
  [[nodiscard]] LinearGaussianPolicy TrackingPolicy(double temperature = 0);
  [[nodiscard]] KnotLayout layout() const { return layout_; }

 private:
  struct Trajectory {
    std::vector<double> xs;  // [N+1 x state_dim]
    std::vector<double> us;  // [N x nu]
    double cost = 0;
  };
  struct Trial {  // what a step length leads to
    Trajectory trajectory;
    AlignedVector<double> difference;  // [ldx]
  };

  // The loop: ilqr.cc.
  IlqrStatus Start(std::span<const double> x0, std::span<const double> actions,
                   std::span<const double> states);
  [[nodiscard]] bool IsLate() const;
  [[nodiscard]] bool EndsLate();  // true: late, and the status says so
  bool Expand();                  // false: late
  [[nodiscard]] BackwardInput Input(double mu) const;
  bool BackwardRegularised();  // false: status_ says why
  [[nodiscard]] bool Converged() const;
  [[nodiscard]] bool SolvedByStep(const IlqrIteration& iteration) const;
  bool IncreaseMu();
  void DecreaseMu();
  [[nodiscard]] bool feasible() const { return gap_sum_ == 0; }

  // A step: ilqr_step.cc.
  [[nodiscard]] double ExpectedChange(double alpha) const;
  void LinearRollout();
  void UpdateGapWeight();
  bool LineSearch(IlqrIteration& iteration);  // false: no step accepted, or status_ says why
  bool Accepts(double alpha, const Trial& trial, IlqrIteration& iteration) const;
  template <int FixedNx, int FixedNu>
  void RolloutSized(double alpha, Trial& trial, TrajectoryProblem::Workspace& workspace) const;
  void ChooseRollout();

  // Around the solution: ilqr_gains.cc.
  void UpdateGains();

  const TrajectoryProblem& problem_;
  IlqrOptions options_;
  Executor* executor_;
  KnotLayout layout_;
  int horizon_;
  int state_dim_;
  int max_iterations_;
  bool bounded_;
  BackwardPass backward_;
  AlignedVector<double> knot_memory_;
  std::vector<Knot> knots_;  // [N + 1]
  Trajectory current_;
  std::vector<double> low_, high_;      // [N x nu], empty when unbounded
  AlignedVector<double> gaps_;          // [N x ldx]
  AlignedVector<double> linear_state_;  // dx of the linear rollout: [2 x ldx]
  std::vector<std::unique_ptr<TrajectoryProblem::Workspace>> workspaces_;  // [workers]
  std::vector<Trial> trials_;                                              // [workers]
  void (IlqrSolver::*rollout_)(double, Trial&, TrajectoryProblem::Workspace&) const = nullptr;
  std::vector<IlqrIteration> log_;
  std::function<bool(int, const IlqrIteration&)> callback_;
  Cutoff cutoff_;

  IlqrStatus status_ = IlqrStatus::kInvalidStart;
  Derivatives derivatives_ = Derivatives::kGaussNewton;  // in use
  bool has_trajectory_ = false;                          // current_ was followed to its end
  bool gains_are_current_ =
      false;             // backward_ is a pass around current_, regularised if it must be
  double gains_mu_ = 0;  // of that pass
  double mu_ = 0;
  double mu_step_ = 1;  // delta of Tassa's schedule
  double gap_sum_ = 0;  // sum of |gap| over knots and entries
  double gap_largest_ = 0;
  double gap_weight_ = 0;              // w of the merit function
  double linear_ = 0, quadratic_ = 0;  // expected change: alpha linear + alpha^2 / 2 quadratic
};

}  // namespace foreplan
