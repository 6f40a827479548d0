#include "foreplan/trajopt/ilqr.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/finite.h"
#include "foreplan/core/row_kernels.h"
#include "foreplan/core/size.h"

namespace foreplan {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kKnotsPerTask = 16;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kResolution = 1e-14;  // of a cost in double: smaller changes are rounding

IlqrOptions Validated(IlqrOptions options) {
  ValidateOptions("ilqr", options);
  return options;
}

void CheckSize(std::string_view what, size_t found, size_t expected) {
  if (found != expected) {
    throw InputError(fmt::format("ilqr: {}: found {} numbers, expected {}", what, found, expected));
  }
}

KnotLayout CheckedLayout(const TrajectoryProblem& problem) {
  const auto positive = [](std::string_view what, int value) {
    if (value < 1) {
      throw InputError(fmt::format("ilqr: {}: found {}, expected at least 1", what, value));
    }
  };
  positive("horizon", problem.horizon());
  positive("state dimension", problem.state_dim());
  positive("tangent dimension", problem.tangent_dim());
  positive("action dimension", problem.action_dim());
  return {problem.tangent_dim(), problem.action_dim()};
}

void CheckBounds(std::span<const double> low, std::span<const double> high, int nu) {
  if (low.empty() && high.empty()) return;
  CheckSize("lower bounds", low.size(), static_cast<size_t>(nu));
  CheckSize("upper bounds", high.size(), static_cast<size_t>(nu));
  for (size_t i = 0; i < low.size(); ++i) {
    if (low[i] <= high[i]) continue;
    throw InputError(fmt::format("ilqr: bounds of action {}: found [{}, {}], expected low <= high",
                                 i, low[i], high[i]));
  }
}

/// Seconds since the last call.
class Stopwatch {
 public:
  double Lap() {
    const Clock::time_point now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  Clock::time_point last_ = Clock::now();
};

}  // namespace

std::string_view Name(IlqrStatus status) {
  switch (status) {
    case IlqrStatus::kConverged:
      return "converged";
    case IlqrStatus::kStationaryStart:
      return "stationary start";
    case IlqrStatus::kIterationLimit:
      return "iteration limit";
    case IlqrStatus::kStopped:
      return "stopped";
    case IlqrStatus::kDeadline:
      return "deadline";
    case IlqrStatus::kNoDescent:
      return "no descent";
    case IlqrStatus::kIndefinite:
      return "indefinite";
    case IlqrStatus::kInvalidStart:
      return "invalid start";
    case IlqrStatus::kInvalidDerivatives:
      return "invalid derivatives";
  }
  return "";
}

void IlqrOptions::Visit(OptionsVisitor& visitor) {
  static const std::vector<std::pair<std::string, Derivatives>> kDerivatives = {
      {"gauss_newton", Derivatives::kGaussNewton}, {"full", Derivatives::kFull}};
  static const std::vector<std::pair<std::string, Regularisation>> kRegularisations = {
      {"actions", Regularisation::kActions}, {"states", Regularisation::kStates}};
  visitor.Field("max_iterations", max_iterations, {1, 1000000}, "iterations at most");
  visitor.Field("cost_tolerance", cost_tolerance, {0, 1},
                "converged: expected decrease relative to the cost");
  visitor.Field("gap_tolerance", gap_tolerance, {0, 1},
                "converged: largest gap of an infeasible guess");
  visitor.Choice("derivatives", derivatives, std::span(kDerivatives),
                 "gauss_newton (iLQR) or full (DDP)");
  visitor.Choice("regularisation", regularisation, std::span(kRegularisations),
                 "what mu is added to: Quu, or the next value's Hessian");
  visitor.Field("initial_mu", initial_mu, {0, 1e10}, "regularisation at the start");
  visitor.Field("min_mu", min_mu, {1e-16, 1}, "below it the regularisation is 0");
  visitor.Field("max_mu", max_mu, {1, 1e30}, "above it the solver gives up");
  visitor.Field("mu_factor", mu_factor, {1.01, 100}, "how fast it grows and shrinks");
  visitor.Field("min_step", min_step, {1e-12, 1}, "shortest step of the line search");
  visitor.Field("min_ratio", min_ratio, {0, 1}, "least actual over expected change of a step");
  visitor.Field("max_ratio", max_ratio, {1, 1e300}, "largest actual over expected change");
}

struct IlqrSolver::Trial {
  Trajectory trajectory;
  AlignedVector<double> difference;  // [ldx]
};

IlqrSolver::IlqrSolver(const TrajectoryProblem& problem, IlqrOptions options, Executor* executor)
    : problem_(problem),
      options_(Validated(options)),
      executor_(executor),
      layout_(CheckedLayout(problem)),
      horizon_(problem.horizon()),
      state_dim_(problem.state_dim()),
      max_iterations_(options_.max_iterations),
      bounded_(!problem.action_low().empty()),
      backward_(layout_, horizon_, bounded_, false),
      knots_(static_cast<size_t>(horizon_) + 1),
      gaps_(Size(horizon_, layout_.ldx())),
      linear_state_(Size(2, layout_.ldz())) {
  CheckBounds(problem.action_low(), problem.action_high(), layout_.nu);
  for (int t = 0; t < horizon_; ++t) {
    low_.insert(low_.end(), problem.action_low().begin(), problem.action_low().end());
    high_.insert(high_.end(), problem.action_high().begin(), problem.action_high().end());
  }
  if (options_.derivatives == Derivatives::kFull && !problem.has_second_derivatives()) {
    throw InputError(
        "ilqr: derivatives: found full, expected gauss_newton: this problem has no second "
        "derivatives of its dynamics");
  }
  knot_memory_.resize(layout_.knot_size() * knots_.size());
  double* at = knot_memory_.data();
  for (int t = 0; t <= horizon_; ++t) {
    Knot& knot = knots_[static_cast<size_t>(t)];
    knot = Knot::Take(layout_, at);
    problem_.Bind(t, knot);
  }
  const int workers = executor_ != nullptr ? executor_->size() : 1;
  const auto make_trajectory = [&] {
    return Trajectory{std::vector<double>(Size(horizon_ + 1, state_dim_)),
                      std::vector<double>(Size(horizon_, layout_.nu)), 0};
  };
  current_ = make_trajectory();
  for (int worker = 0; worker < workers; ++worker) {
    workspaces_.push_back(problem_.MakeWorkspace());
    trials_.push_back(
        {make_trajectory(), AlignedVector<double>(static_cast<size_t>(layout_.ldx()))});
  }
  log_.reserve(static_cast<size_t>(options_.max_iterations));
  rollout_ = &IlqrSolver::RolloutSized<0, 0>;
  if (layout_.nx == 4 && layout_.nu == 1) rollout_ = &IlqrSolver::RolloutSized<4, 1>;
  if (layout_.nx == 3 && layout_.nu == 2) rollout_ = &IlqrSolver::RolloutSized<3, 2>;
  if (layout_.nx == 12 && layout_.nu == 4) rollout_ = &IlqrSolver::RolloutSized<12, 4>;
}

IlqrSolver::~IlqrSolver() = default;

std::span<const double> IlqrSolver::states() const { return current_.xs; }
std::span<const double> IlqrSolver::actions() const { return current_.us; }

const double* IlqrSolver::feedback(int t) {
  UpdateGains();
  return backward_.feedback(t);
}

void IlqrSolver::UpdateGains() {
  if (gains_are_current_) return;
  if (!has_trajectory_) {
    throw RunError("ilqr: gains: found no valid trajectory, expected one from Solve");
  }
  IlqrStatus reason;
  {
    // No cutoff of Solve's is one for this pass, and Solve may go on with its own regularisation;
    // given back also where a model throws.
    struct OfSolve {
      IlqrSolver& solver;
      Cutoff cutoff = std::exchange(solver.cutoff_, {});
      IlqrStatus status = solver.status_;
      double mu = std::exchange(solver.mu_, 0.0);
      double mu_step = std::exchange(solver.mu_step_, 1.0);

      ~OfSolve() {
        solver.cutoff_ = cutoff;
        solver.status_ = status;
        solver.mu_ = mu;
        solver.mu_step_ = mu_step;
      }
    } const kept{*this};
    Expand();
    gains_are_current_ = BackwardRegularised();
    reason = status_;
  }
  if (!gains_are_current_) {
    throw RunError(
        fmt::format("ilqr: gains: knot {}: found {}, expected finite derivatives and a "
                    "minimum",
                    backward_.failed_knot(),
                    reason == IlqrStatus::kInvalidDerivatives ? "derivatives that are not finite"
                                                              : "no minimum"));
  }
}

LinearGaussianPolicy IlqrSolver::TrackingPolicy() {
  UpdateGains();
  if (layout_.nx != state_dim_) {
    throw InputError(fmt::format(
        "ilqr: tracking policy: found {} tangent dimensions and {} state numbers, expected as many "
        "of both",
        layout_.nx, state_dim_));
  }
  std::vector<LinearGaussianStep> steps(static_cast<size_t>(horizon_));
  for (int t = 0; t < horizon_; ++t) {
    LinearGaussianStep& step = steps[static_cast<size_t>(t)];
    step.action =
        Eigen::Map<const Eigen::VectorXd>(current_.us.data() + Size(t, layout_.nu), layout_.nu);
    step.state =
        Eigen::Map<const Eigen::VectorXd>(current_.xs.data() + Size(t, state_dim_), state_dim_);
    step.feedforward = Eigen::VectorXd::Zero(layout_.nu);
    step.feedback.resize(layout_.nu, layout_.nx);
    for (int i = 0; i < layout_.nu; ++i) {
      const double* row = backward_.feedback(t) + i * layout_.ldx();
      for (int j = 0; j < layout_.nx; ++j) step.feedback(i, j) = row[j];
    }
    step.covariance = Eigen::MatrixXd::Zero(layout_.nu, layout_.nu);
  }
  LinearGaussianPolicy policy(std::move(steps));
  if (bounded_) policy.set_bounds(problem_.action_low(), problem_.action_high());
  return policy;
}

void IlqrSolver::SetBounds(std::span<const double> low, std::span<const double> high) {
  if (!bounded_)
    throw InputError("ilqr: bounds: found some, expected none as the problem has none");
  CheckSize("lower bounds", low.size(), low_.size());
  CheckSize("upper bounds", high.size(), high_.size());
  for (size_t i = 0; i < low.size(); ++i) {
    if (!(low[i] <= high[i])) {
      throw InputError(fmt::format("ilqr: bounds of knot {}: found [{}, {}], expected low <= high",
                                   i / static_cast<size_t>(layout_.nu), low[i], high[i]));
    }
  }
  std::ranges::copy(low, low_.begin());
  std::ranges::copy(high, high_.begin());
}

void IlqrSolver::set_max_iterations(int iterations) {
  if (iterations < 1 || iterations > options_.max_iterations) {
    throw InputError(fmt::format("ilqr: iterations: found {}, expected 1 to {}", iterations,
                                 options_.max_iterations));
  }
  max_iterations_ = iterations;
}

IlqrResult IlqrSolver::Solve(std::span<const double> x0, std::span<const double> actions,
                             std::span<const double> states) {
  IlqrResult result;
  Stopwatch watch;
  const Clock::time_point begin = Clock::now();
  status_ = Start(x0, actions, states);
  has_trajectory_ = status_ == IlqrStatus::kIterationLimit;
  result.forward_seconds += watch.Lap();
  bool expand = true;
  while (status_ == IlqrStatus::kIterationLimit && result.iterations < max_iterations_) {
    const bool expanded = !expand || Expand();
    result.expansion_seconds += watch.Lap();
    if (!expanded) {
      status_ = IlqrStatus::kDeadline;
      break;
    }
    const bool solved = BackwardRegularised();
    result.backward_seconds += watch.Lap();
    if (!solved) break;
    if (Converged()) {
      gains_are_current_ = mu_ == 0;
      status_ = result.iterations == 0 ? IlqrStatus::kStationaryStart : IlqrStatus::kConverged;
      break;
    }
    IlqrIteration iteration{.gradient = backward_.largest_gradient(), .mu = mu_};
    expand = LineSearch(iteration);
    result.forward_seconds += watch.Lap();
    if (!expand) {
      if (status_ == IlqrStatus::kIterationLimit && !IncreaseMu()) status_ = IlqrStatus::kNoDescent;
      continue;
    }
    if (SolvedByStep(iteration)) {
      gains_are_current_ = true;  // they are the same around every trajectory
      status_ = IlqrStatus::kConverged;
    }
    DecreaseMu();
    ++result.iterations;
    iteration.cost = current_.cost;
    iteration.gap = gap_largest_;
    log_.push_back(iteration);
    if (callback_ && !callback_(result.iterations, iteration)) status_ = IlqrStatus::kStopped;
    watch.Lap();  // the callback's time is no phase's
  }
  result.status = status_;
  result.cost = current_.cost;
  result.gap = gap_largest_;
  result.gradient = backward_.largest_gradient();
  result.log = log_;
  const double total = std::chrono::duration<double>(Clock::now() - begin).count();
  result.other_seconds = total - result.seconds();
  return result;
}

// The guess: its rollout, or its states with the gaps between them. kIterationLimit when iterations
// may begin.
IlqrStatus IlqrSolver::Start(std::span<const double> x0, std::span<const double> actions,
                             std::span<const double> states) {
  CheckSize("start state", x0.size(), static_cast<size_t>(state_dim_));
  CheckSize("actions", actions.size(), current_.us.size());
  if (!states.empty()) {
    CheckSize("states", states.size(), current_.xs.size());
    if (layout_.nx != state_dim_) {
      throw InputError(fmt::format(
          "ilqr: states: found a guess for a problem with {} tangent dimensions and {} state "
          "numbers, expected as many of both",
          layout_.nx, state_dim_));
    }
    std::ranges::copy(states, current_.xs.begin());
  }
  log_.clear();
  gains_are_current_ = false;
  mu_ = options_.initial_mu;
  mu_step_ = 1;
  gap_weight_ = gap_sum_ = gap_largest_ = 0;
  derivatives_ = options_.derivatives;
  std::ranges::copy(x0, current_.xs.begin());
  std::ranges::copy(actions, current_.us.begin());
  for (size_t i = 0; i < low_.size(); ++i) {
    current_.us[i] = std::clamp(current_.us[i], low_[i], high_[i]);
  }

  TrajectoryProblem::Workspace& workspace = *workspaces_[0];
  double* next = trials_[0].trajectory.xs.data();
  double cost = 0;
  for (int t = 0; t < horizon_; ++t) {
    if (IsLate()) {
      current_.cost = kInfinity;
      return IlqrStatus::kDeadline;
    }
    double* x_next = current_.xs.data() + Size(t + 1, state_dim_);
    const bool rolled = states.empty();
    cost +=
        problem_.Step(t, current_.xs.data() + Size(t, state_dim_),
                      current_.us.data() + Size(t, layout_.nu), rolled ? x_next : next, workspace);
    if (rolled) continue;
    double* gap = gaps_.data() + Size(t, layout_.ldx());
    for (int i = 0; i < state_dim_; ++i) {
      gap[i] = next[i] - x_next[i];
      gap_sum_ += std::abs(gap[i]);
      gap_largest_ = std::max(gap_largest_, std::abs(gap[i]));
    }
  }
  cost += problem_.TerminalCost(current_.xs.data() + Size(horizon_, state_dim_), workspace);
  current_.cost = cost;
  const bool is_valid = std::isfinite(cost) && std::isfinite(gap_sum_) && AllFinite(current_.xs);
  return is_valid ? IlqrStatus::kIterationLimit : IlqrStatus::kInvalidStart;
}

bool IlqrSolver::IsLate() const { return cutoff_.IsReached(); }

bool IlqrSolver::EndsLate() {
  if (!IsLate()) return false;
  status_ = IlqrStatus::kDeadline;
  return true;
}

bool IlqrSolver::Expand() {
  const double* xs = current_.xs.data();
  const double* us = current_.us.data();
  const int tasks = (horizon_ + kKnotsPerTask - 1) / kKnotsPerTask;
  std::atomic<bool> late = false;
  const auto expand = [&](int task, int worker) {
    if (IsLate()) late = true;
    if (late) return;
    const int first = task * kKnotsPerTask;
    problem_.Expand(first, std::min(first + kKnotsPerTask, horizon_), xs, us, knots_.data(),
                    *workspaces_[static_cast<size_t>(worker)]);
  };
  if (executor_ == nullptr) {
    for (int task = 0; task < tasks; ++task) expand(task, 0);
  } else {
    executor_->ParallelFor(tasks, expand);
  }
  problem_.ExpandTerminal(xs + Size(horizon_, state_dim_), knots_.back(), *workspaces_[0]);
  return !late;
}

BackwardStatus IlqrSolver::Backward() {
  BackwardInput input{.knots = knots_.data(),
                      .gaps = feasible() ? nullptr : gaps_.data(),
                      .mu = mu_,
                      .regularisation = options_.regularisation,
                      .low = bounded_ ? low_.data() : nullptr,
                      .high = bounded_ ? high_.data() : nullptr,
                      .us = current_.us.data(),
                      .second_order = derivatives_ == Derivatives::kFull ? &problem_ : nullptr,
                      .xs = current_.xs.data()};
  return backward_.Run(input);
}

// Backward passes with growing regularisation until Quu is positive definite everywhere.
bool IlqrSolver::BackwardRegularised() {
  derivatives_ = options_.derivatives;
  while (true) {
    if (EndsLate()) return false;
    const BackwardStatus status = Backward();
    if (status == BackwardStatus::kNotFinite) {
      status_ = IlqrStatus::kInvalidDerivatives;
      return false;
    }
    if (status == BackwardStatus::kOk) break;
    if (derivatives_ == Derivatives::kFull) {
      derivatives_ = Derivatives::kGaussNewton;  // for this pass
    } else if (!IncreaseMu()) {
      status_ = IlqrStatus::kIndefinite;
      return false;
    }
  }
  linear_ = backward_.linear_change();
  quadratic_ = backward_.quadratic_change();
  if (!feasible()) {
    LinearRollout();
    UpdateGapWeight();
  }
  return true;
}

// With gaps the change of the cost along the step is that of the linearised trajectory
//   dx_{t+1} = A dx + B du + gap, du = k + K dx:
// linear = sum l_z'dz, quadratic = sum dz'l_zz dz, as du and dx scale with alpha.
void IlqrSolver::LinearRollout() {
  const int nu = layout_.nu;
  const int ldu = layout_.ldu();
  const int ldx = layout_.ldx();
  const int ldz = layout_.ldz();
  double* dz = linear_state_.data();
  double* next = linear_state_.data() + ldz;
  std::fill_n(dz, 2 * ldz, 0.0);
  linear_ = quadratic_ = 0;
  for (int t = 0; t <= horizon_; ++t) {
    const Knot& knot = knots_[static_cast<size_t>(t)];
    double* dx = dz + ldu;
    if (t < horizon_) {
      for (int i = 0; i < nu; ++i) {
        dz[i] = backward_.feedforward(t)[i] +
                row_kernels::Dot(ldx, backward_.feedback(t) + i * ldx, dx);
      }
      for (int i = 0; i < nu; ++i) {
        // u'(luu u + 2 lux x)
        const double* row = knot.hessian_u + i * ldz;
        quadratic_ +=
            dz[i] * (row_kernels::Dot(ldu, row, dz) + 2 * row_kernels::Dot(ldx, row + ldu, dx));
        linear_ += knot.gradient[i] * dz[i];
      }
      for (int i = 0; i < layout_.nx; ++i) {
        next[ldu + i] = row_kernels::Dot(ldz, knot.jacobian + i * ldz, dz) +
                        gaps_.data()[Size(t, ldx) + static_cast<size_t>(i)];
      }
    }
    for (int i = 0; i < layout_.nx; ++i) {
      quadratic_ += dx[i] * row_kernels::Dot(ldx, knot.hessian_x + i * ldx, dx);
      linear_ += knot.gradient[ldu + i] * dx[i];
    }
    std::copy_n(next + ldu, ldx, dx);
  }
}

// The weight of gaps in the merit function: large enough for the full step to be a descent.
void IlqrSolver::UpdateGapWeight() {
  const double rise = std::max(0.0, linear_ + 0.5 * std::max(0.0, quadratic_));
  gap_weight_ = std::max(gap_weight_, 2 * rise / gap_sum_);
}

double IlqrSolver::ExpectedChange(double alpha) const {
  return alpha * linear_ + 0.5 * alpha * alpha * quadratic_ - gap_weight_ * alpha * gap_sum_;
}

bool IlqrSolver::Converged() const {
  if (gap_largest_ > options_.gap_tolerance) return false;
  const double tolerance = std::max(options_.cost_tolerance, kResolution);
  return -(linear_ + 0.5 * quadratic_) <= tolerance * std::abs(current_.cost);
}

// A linear-quadratic problem without bounds is solved by one full, unregularised step.
bool IlqrSolver::SolvedByStep(const IlqrIteration& iteration) const {
  return problem_.is_linear_quadratic() && !bounded_ && iteration.step == 1 && iteration.mu == 0;
}

// Takes the longest of the steps 1, 1/2, 1/4, ... that the acceptance rule allows. With several
// threads as many lengths are tried at once, and the longest acceptable one is taken all the same.
bool IlqrSolver::LineSearch(IlqrIteration& iteration) {
  const int batch = static_cast<int>(trials_.size());
  for (double longest = 1; longest >= options_.min_step && !EndsLate();) {
    if (batch == 1) {
      (this->*rollout_)(longest, trials_[0], *workspaces_[0]);
    } else {
      executor_->ParallelFor(batch, [&](int task, int worker) {
        (this->*rollout_)(std::ldexp(longest, -task), trials_[static_cast<size_t>(task)],
                          *workspaces_[static_cast<size_t>(worker)]);
      });
    }
    for (int i = 0; i < batch && longest >= options_.min_step; ++i, longest *= 0.5) {
      Trial& trial = trials_[static_cast<size_t>(i)];
      if (!Accepts(longest, trial, iteration)) continue;
      std::swap(current_, trial.trajectory);
      if (!feasible()) {
        const double left = 1 - longest;
        gap_sum_ *= left;
        gap_largest_ *= left;
        for (size_t j = 0; j < Size(horizon_, layout_.ldx()); ++j) gaps_.data()[j] *= left;
      }
      return true;
    }
  }
  return false;
}

bool IlqrSolver::Accepts(double alpha, const Trial& trial, IlqrIteration& iteration) const {
  const double expected = ExpectedChange(alpha);
  const double actual = trial.trajectory.cost - current_.cost - gap_weight_ * alpha * gap_sum_;
  iteration.step = alpha;
  iteration.expected_change = expected;
  iteration.actual_change = actual;
  if (!std::isfinite(actual) || !(expected < 0)) return false;
  const double ratio = actual / expected;
  return ratio >= options_.min_ratio && ratio <= options_.max_ratio;
}

// x_{t+1} = f(x_t, u_t) - (1 - alpha) gap_t, u_t = clamp(u^_t + alpha k_t + K_t (x_t - x^_t)).
template <int FixedNx, int FixedNu>
void IlqrSolver::RolloutSized(double alpha, Trial& trial,
                              TrajectoryProblem::Workspace& workspace) const {
  const int nx = FixedNx > 0 ? FixedNx : layout_.nx;
  const int nu = FixedNu > 0 ? FixedNu : layout_.nu;
  const int ldx = KnotLayout::Padded(nx);
  const int ldu = KnotLayout::Padded(nu);
  const bool flat = nx == state_dim_;
  const bool has_gaps = !feasible();
  const double left = 1 - alpha;
  double* dx = trial.difference.data();
  double* x = trial.trajectory.xs.data();
  double* u = trial.trajectory.us.data();
  const double* x_nominal = current_.xs.data();
  const double* u_nominal = current_.us.data();
  const double* gap = gaps_.data();
  const double* K = backward_.feedback(0);
  const double* k = backward_.feedforward(0);
  const double* low = low_.data();
  const double* high = high_.data();
  std::copy_n(x_nominal, state_dim_, x);
  double cost = 0;
  for (int t = 0; t < horizon_; ++t) {
    if (flat) {
      for (int i = 0; i < nx; ++i) dx[i] = x[i] - x_nominal[i];
    } else {
      problem_.Difference(x, x_nominal, dx);
    }
    row_kernels::MultiplyVector(nu, ldx, {K, ldx}, dx, u);
    for (int i = 0; i < nu; ++i) u[i] += u_nominal[i] + alpha * k[i];
    if (bounded_) {
      for (int i = 0; i < nu; ++i) u[i] = std::min(std::max(u[i], low[i]), high[i]);
      low += nu;
      high += nu;
    }
    if (IsLate()) {
      trial.trajectory.cost = kInfinity;  // no step to accept
      return;
    }
    double* next = x + state_dim_;
    cost += problem_.Step(t, x, u, next, workspace);
    if (has_gaps) {
      for (int i = 0; i < nx; ++i) next[i] -= left * gap[i];
      gap += ldx;
    }
    x = next;
    u += nu;
    x_nominal += state_dim_;
    u_nominal += nu;
    K += nu * ldx;
    k += ldu;
  }
  trial.trajectory.cost = cost + problem_.TerminalCost(x, workspace);
}

// Tassa, Erez and Todorov (2012), section II-F. False when the largest value is reached.
bool IlqrSolver::IncreaseMu() {
  mu_step_ = std::max(options_.mu_factor, mu_step_ * options_.mu_factor);
  mu_ = std::max(options_.min_mu, mu_ * mu_step_);
  return mu_ <= options_.max_mu;
}

void IlqrSolver::DecreaseMu() {
  mu_step_ = std::min(1 / options_.mu_factor, mu_step_ / options_.mu_factor);
  mu_ = mu_ * mu_step_ >= options_.min_mu ? mu_ * mu_step_ : 0;
}

}  // namespace foreplan
