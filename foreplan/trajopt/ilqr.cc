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
#include "foreplan/core/seconds_since.h"
#include "foreplan/core/size.h"
#include "foreplan/core/validated.h"

namespace foreplan {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kKnotsPerTask = 16;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kResolution = 1e-14;  // of a cost in double: smaller changes are rounding

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

IlqrSolver::IlqrSolver(const TrajectoryProblem& problem, IlqrOptions options, Executor* executor)
    : problem_(problem),
      options_(Validated("ilqr", options)),
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
  ChooseRollout();
}

std::span<const double> IlqrSolver::states() const { return current_.xs; }
std::span<const double> IlqrSolver::actions() const { return current_.us; }

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
  const double total = SecondsSince(begin);
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
  gains_mu_ = 0;
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

BackwardInput IlqrSolver::Input(double mu) const {
  return {.knots = knots_.data(),
          .gaps = feasible() ? nullptr : gaps_.data(),
          .mu = mu,
          .regularisation = options_.regularisation,
          .low = bounded_ ? low_.data() : nullptr,
          .high = bounded_ ? high_.data() : nullptr,
          .us = current_.us.data(),
          .second_order = derivatives_ == Derivatives::kFull ? &problem_ : nullptr,
          .xs = current_.xs.data()};
}

// Backward passes with growing regularisation until Quu is positive definite everywhere.
bool IlqrSolver::BackwardRegularised() {
  derivatives_ = options_.derivatives;
  while (true) {
    if (EndsLate()) return false;
    const BackwardStatus status = backward_.Run(Input(mu_));
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

bool IlqrSolver::Converged() const {
  if (gap_largest_ > options_.gap_tolerance) return false;
  const double tolerance = std::max(options_.cost_tolerance, kResolution);
  return -(linear_ + 0.5 * quadratic_) <= tolerance * std::abs(current_.cost);
}

// A linear-quadratic problem without bounds is solved by one full, unregularised step.
bool IlqrSolver::SolvedByStep(const IlqrIteration& iteration) const {
  return problem_.is_linear_quadratic() && !bounded_ && iteration.step == 1 && iteration.mu == 0;
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
