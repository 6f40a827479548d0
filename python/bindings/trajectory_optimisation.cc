#include "python/bindings/trajectory_optimisation.h"

#include <fmt/format.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/error.h"
#include "foreplan/core/size.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/trajopt/augmented_lagrangian.h"
#include "foreplan/trajopt/dynamics_problem.h"
#include "foreplan/trajopt/ilqr.h"
#include "foreplan/trajopt/lqr.h"
#include "python/bindings/function_problem.h"
#include "python/bindings/matrices.h"
#include "python/bindings/models.h"
#include "python/bindings/tasks.h"

namespace foreplan::python {
namespace {

/// What is wrong with an LQR problem, in words; `step` only where there is one.
void ThrowUnlessSolved(LqrStatus status, int step) {
  const std::string where = step < 0 ? "lqr" : fmt::format("lqr: step {}", step);
  switch (status) {
    case LqrStatus::kOk:
      return;
    case LqrStatus::kIndefinite:
      throw InputError(fmt::format(
          "{}: found R + B'VB that is not positive definite, expected a cost with a minimum",
          where));
    case LqrStatus::kNotFinite:
      throw RunError(fmt::format("{}: numbers overflowed", where));
    case LqrStatus::kNotConverged:
      throw InputError(
          "lqr: found no stationary solution, expected (A, B) that can be stabilised and a Q that "
          "sees every mode that does not decay");
  }
}

/// (K, k, V, v, constant, Quu^-1) of matrices for every step.
nb::tuple SolveLqrOf(nb::handle A, nb::handle B, nb::handle Q, nb::handle R, nb::handle S,
                     nb::handle q, nb::handle r, nb::handle c, nb::handle terminal_Q,
                     nb::handle terminal_q) {
  auto a = MatricesOf(A, "A");
  auto b = MatricesOf(B, "B");
  auto xx = MatricesOf(Q, "Q");
  auto uu = MatricesOf(R, "R");
  auto ux = MatricesOf(S, "S");
  auto x = VectorsOf(q, "q");
  auto u = VectorsOf(r, "r");
  auto drift = VectorsOf(c, "c");
  LqrProblem problem{.horizon = static_cast<int>(a.size()),
                     .stages = {},
                     .terminal_Q = MatrixOf(terminal_Q, "terminal_Q"),
                     .terminal_q = VectorOf(terminal_q, "terminal_q")};
  for (size_t t = 0; t < a.size(); ++t) {
    problem.stages.push_back({.A = std::move(a[t]),
                              .B = std::move(b[t]),
                              .c = std::move(drift[t]),
                              .Q = std::move(xx[t]),
                              .R = std::move(uu[t]),
                              .S = std::move(ux[t]),
                              .q = std::move(x[t]),
                              .r = std::move(u[t])});
  }
  Raised raised;
  const LqrSolution solution = raised.Run([&] { return SolveLqr(problem, /*alpha=*/1); });
  ThrowUnlessSolved(solution.status, solution.failed_step);
  std::vector<Eigen::MatrixXd> K;
  std::vector<Eigen::MatrixXd> covariance;
  std::vector<Eigen::VectorXd> k;
  for (const LinearGaussianStep& step : solution.policy.steps()) {
    K.push_back(step.feedback);
    k.push_back(step.feedforward);
    covariance.push_back(step.covariance);
  }
  return nb::make_tuple(ToSteps(K), ToSteps(k), ToSteps(solution.V), ToSteps(solution.v),
                        ToVector(solution.constant), ToSteps(covariance));
}

/// (K, V)
nb::tuple SolveStationaryLqrOf(nb::handle A, nb::handle B, nb::handle Q, nb::handle R,
                               nb::handle S) {
  const StationaryLqr solution = SolveStationaryLqr({.A = MatrixOf(A, "A"),
                                                     .B = MatrixOf(B, "B"),
                                                     .c = {},
                                                     .Q = MatrixOf(Q, "Q"),
                                                     .R = MatrixOf(R, "R"),
                                                     .S = MatrixOf(S, "S"),
                                                     .q = {},
                                                     .r = {}});
  ThrowUnlessSolved(solution.status, -1);
  return nb::make_tuple(ToMatrix(solution.K), ToMatrix(solution.V));
}

/// Sections [ilqr] and [multipliers].
AugmentedLagrangianOptions OptionsOf(const std::vector<std::string>& assignments) {
  Config config = Config::FromString("", "IlqrSolver");
  for (const std::string& assignment : assignments) config.Set(assignment);
  auto options = ReadOptions<AugmentedLagrangianOptions>(config, "multipliers");
  config.Read("ilqr", options.solver);
  config.ThrowOnUnknownKeys();
  return options;
}

Cutoff CutoffOf(double deadline_ms, std::stop_token stop) {
  if (!(deadline_ms > 0)) return {{}, std::move(stop)};
  const auto whole = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
      std::chrono::duration<double, std::milli>(deadline_ms));
  return {std::chrono::steady_clock::now() + whole, std::move(stop)};
}

/// How a solve ended, with or without constraints.
struct Ended {
  IlqrResult last;  // of iLQR alone, or of its last round
  std::string status;
  int iterations = 0;
  double cost = 0;
  int rounds = 0;        // of multipliers; 0: no constraints
  double violation = 0;  // largest of the constraints
};

ActionBounds BoundsOf(nb::handle low, nb::handle high) {
  const Eigen::VectorXd lowest = VectorOf(low, "low");
  const Eigen::VectorXd highest = VectorOf(high, "high");
  return {{lowest.data(), lowest.data() + lowest.size()},
          {highest.data(), highest.data() + highest.size()}};
}

using Counts = std::array<int, 4>;

/// Makes problem and solver anew for every solve: the newest version of a model counts.
class PythonIlqr {
 public:
  /// `task`: null where dynamics and cost are functions. `dynamics`: a Model, a function of rows
  /// (with `derivatives`, or None), or None for the task's own system. `cost`: the four functions
  /// of CostFunctions, or None for minus the task's reward. `constraints`: those of
  /// ConstraintFunctions, or None. Bounds may be empty.
  PythonIlqr(const PythonTask* task, nb::object dynamics, nb::object derivatives,
             const nb::object& cost, const nb::object& constraints, int state_dim, int action_dim,
             nb::handle low, nb::handle high, int horizon, const std::vector<std::string>& options,
             int threads)
      : raised_(task != nullptr ? task->raised() : std::make_shared<Raised>()),
        dynamics_(dynamics),
        has_derivatives_(!derivatives.is_none()),
        held_{Shared(std::move(dynamics)), Shared(std::move(derivatives))},
        bounds_(BoundsOf(low, high)),
        horizon_(horizon),
        state_dim_(state_dim),
        action_dim_(action_dim),
        options_(OptionsOf(options)),
        executor_(std::make_unique<PythonExecutor>(threads)) {
    cost_at_ = Hold(cost);
    constraints_at_ = Hold(constraints);
    if (task != nullptr && cost_at_ == 0 &&
        !(model() != nullptr && task->task().planning_reward_is_learned())) {
      reward_ = task->task().shared_planning_reward();
    }
    if (task != nullptr && dynamics_.is_none()) system_ = task->task().MakeSystem();
    if (system_ != nullptr) state_dim_ = system_->spec().state_dim();
    const auto problem = MakeProblem();
    if (problem->state_dim() != state_dim_ || problem->action_dim() != action_dim_) {
      throw InputError(fmt::format(
          "dynamics: found a model of {} observed numbers and {} actions, expected the task's {} "
          "and {}",
          problem->state_dim(), problem->action_dim(), state_dim_, action_dim_));
    }
    IlqrSolver(*problem, options_.solver);  // what it refuses is refused at once
  }

  /// `counts`: of the constraints' functions, in the order of ConstraintFunctions. Gives (states,
  /// actions, K, Quu^-1, costs, status, iterations, cost, gradient, rounds, violation, seconds); no
  /// K after a solve without a trajectory, no inverse where Quu has no minimum.
  nb::tuple Solve(nb::handle x0, nb::handle actions, nb::handle states, const Counts& counts,
                  double deadline_ms) {
    const auto began = std::chrono::steady_clock::now();
    const GivenRows start = VectorOf(x0, "x0", state_dim_);
    const GivenRows guess = RowsOf(actions, "actions", action_dim_);
    CheckSteps(static_cast<size_t>(guess.rows), "actions", static_cast<size_t>(horizon_));
    std::optional<GivenRows> guessed;
    if (!states.is_none()) guessed = RowsOf(states, "states", state_dim_);
    if (guessed) CheckSteps(static_cast<size_t>(guessed->rows), "states", Size(horizon_ + 1));
    const auto numbers = [](const GivenRows& rows) {
      return std::span(rows.data(), Size(rows.rows, rows.columns));
    };
    const auto problem = MakeProblem();
    Solver solver(*this, *problem, counts);
    const std::stop_source stop;
    solver.ilqr().set_cutoff(CutoffOf(deadline_ms, stop.get_token()));
    const Ended ended = raised_->Run(stop, [&] {
      return solver.Solve(start.row(0), numbers(guess),
                          guessed ? numbers(*guessed) : std::span<const double>());
    });
    std::vector<double> costs;
    for (const IlqrIteration& iteration : ended.last.log) costs.push_back(iteration.cost);
    const auto [K, inverse] = Gains(solver.ilqr(), ended.last);
    const std::span<const double> xs = solver.ilqr().states();
    const std::span<const double> us = solver.ilqr().actions();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
    return nb::make_tuple(ToArray({xs.begin(), xs.end()}, horizon_ + 1, state_dim_),
                          ToArray({us.begin(), us.end()}, horizon_, action_dim_), K, inverse,
                          ToVector(std::move(costs)), ended.status, ended.iterations, ended.cost,
                          ended.last.gradient, ended.rounds, ended.violation, seconds.count());
  }

  [[nodiscard]] int state_dim() const { return state_dim_; }
  [[nodiscard]] std::vector<Shared>& held() { return held_; }

 private:
  /// iLQR, or multipliers around it where there are constraints.
  class Solver {
   public:
    Solver(const PythonIlqr& self, const TrajectoryProblem& problem, const Counts& counts) {
      // Functions of Python run one at a time anyway.
      Executor* executor = self.calls_python() ? nullptr : self.executor_.get();
      if (self.constraints_at_ == 0) {
        plain_ = std::make_unique<IlqrSolver>(problem, self.options_.solver, executor);
        return;
      }
      const Shared* functions = self.held_.data() + self.constraints_at_;
      constraints_ = std::make_unique<FunctionConstraints>(
          ConstraintFunctions{functions[0], functions[1], functions[2], functions[3], counts[0],
                              counts[1], counts[2], counts[3]},
          problem, self.raised_);
      constrained_ = std::make_unique<AugmentedLagrangianSolver>(problem, *constraints_,
                                                                 self.options_, executor);
    }

    [[nodiscard]] IlqrSolver& ilqr() { return plain_ ? *plain_ : constrained_->solver(); }

    Ended Solve(std::span<const double> x0, std::span<const double> actions,
                std::span<const double> states) {
      if (plain_) {
        const IlqrResult result = plain_->Solve(x0, actions, states);
        return {.last = result,
                .status = std::string(Name(result.status)),
                .iterations = result.iterations,
                .cost = result.cost};
      }
      const ConstrainedResult result = constrained_->Solve(x0, actions, states);
      // Of a solve that failed, how iLQR did says more.
      const bool failed = result.status == ConstrainedStatus::kFailed;
      return {.last = result.inner,
              .status = std::string(failed ? Name(result.inner.status) : Name(result.status)),
              .iterations = result.iterations,
              .cost = result.cost,
              .rounds = result.rounds,
              .violation = result.violation};
    }

   private:
    std::unique_ptr<IlqrSolver> plain_;
    std::unique_ptr<FunctionConstraints> constraints_;
    std::unique_ptr<AugmentedLagrangianSolver> constrained_;
  };

  [[nodiscard]] bool calls_python() const {
    return cost_at_ > 0 || constraints_at_ > 0 || PyCallable_Check(dynamics_.ptr()) != 0;
  }
  /// Holds four functions, of which it gives the place; 0 of None.
  size_t Hold(const nb::object& functions) {
    if (functions.is_none()) return 0;
    const size_t place = held_.size();
    for (int i = 0; i < 4; ++i) held_.emplace_back(nb::object(functions[i]));
    return place;
  }

  /// Null where dynamics are something else.
  [[nodiscard]] const PythonModel* model() const {
    return nb::isinstance<PythonModel>(dynamics_) ? &nb::cast<const PythonModel&>(dynamics_)
                                                  : nullptr;
  }

  /// What is there now; the reward where it is learned beside the dynamics, else the task's.
  [[nodiscard]] ModelVersion Version() const {
    if (system_ != nullptr) return {std::make_shared<const TrueDynamics>(*system_), reward_};
    if (model() != nullptr) {
      ModelVersion version = model()->version();
      if (version.reward == nullptr) version.reward = reward_;
      return version;
    }
    return {std::make_shared<const PythonDynamics>(
                held_[0], state_dim_, action_dim_, raised_,
                has_derivatives_ ? std::optional(held_[1]) : std::nullopt),
            reward_};
  }

  [[nodiscard]] std::unique_ptr<const TrajectoryProblem> MakeProblem() const {
    const ModelVersion version = Version();
    if (cost_at_ > 0) {
      const Shared* functions = held_.data() + cost_at_;
      return std::make_unique<FunctionProblem>(
          version.dynamics, CostFunctions{functions[0], functions[1], functions[2], functions[3]},
          bounds_, horizon_, raised_);
    }
    return std::make_unique<DynamicsProblem>(version.dynamics, version.reward, bounds_, horizon_);
  }

  /// K: [N x nu x nx] and Quu^-1: [N x nu x nu], or None.
  std::pair<nb::object, nb::object> Gains(IlqrSolver& solver, const IlqrResult& result) {
    const bool may_have = result.status != IlqrStatus::kInvalidStart &&
                          result.status != IlqrStatus::kInvalidDerivatives &&
                          result.status != IlqrStatus::kIndefinite && std::isfinite(result.cost);
    if (!may_have) return {nb::none(), nb::none()};
    const KnotLayout layout = solver.layout();
    std::vector<double> K;
    std::optional<LinearGaussianPolicy> policy;
    raised_->Run([&] {
      for (int t = 0; t < horizon_; ++t) {
        for (int i = 0; i < layout.nu; ++i) {
          const double* row = solver.feedback(t) + Size(i, layout.ldx());
          K.insert(K.end(), row, row + layout.nx);
        }
      }
      if (layout.nx != state_dim_) return;
      try {
        policy = solver.TrackingPolicy(/*temperature=*/1);
      } catch (const RunError&) {
        // Quu has no minimum: there is no inverse.
      }
    });
    std::vector<Eigen::MatrixXd> inverse;
    for (int t = 0; policy && t < horizon_; ++t) inverse.push_back(policy->step(t).covariance);
    const auto size = [](int n) { return static_cast<size_t>(n); };
    return {ToShape(std::move(K), {size(horizon_), size(layout.nu), size(layout.nx)}),
            policy ? ToSteps(inverse) : nb::object(nb::none())};
  }

  std::shared_ptr<Raised> raised_;
  nb::handle dynamics_;  // of held_
  bool has_derivatives_;
  std::vector<Shared> held_;  // dynamics, derivatives, functions of costs and constraints
  size_t cost_at_ = 0;        // where those of the cost begin in held_; 0: none
  size_t constraints_at_ = 0;
  ActionBounds bounds_;
  int horizon_;
  int state_dim_;
  int action_dim_;
  AugmentedLagrangianOptions options_;
  std::unique_ptr<PythonExecutor> executor_;
  std::shared_ptr<const Reward> reward_;
  std::unique_ptr<System> system_;
};

}  // namespace

void BindTrajectoryOptimisation(nb::module_& module) {
  module.def("solve_lqr", &SolveLqrOf, nb::arg("A"), nb::arg("B"), nb::arg("Q"), nb::arg("R"),
             nb::arg("S"), nb::arg("q"), nb::arg("r"), nb::arg("c"), nb::arg("terminal_Q"),
             nb::arg("terminal_q"));
  module.def("solve_stationary_lqr", &SolveStationaryLqrOf, nb::arg("A"), nb::arg("B"),
             nb::arg("Q"), nb::arg("R"), nb::arg("S"));
  nb::class_<PythonIlqr>(module, "IlqrSolver", nb::type_slots(CycleSlots<PythonIlqr>()))
      .def(nb::init<const PythonTask*, nb::object, nb::object, const nb::object&, const nb::object&,
                    int, int, nb::handle, nb::handle, int, const std::vector<std::string>&, int>(),
           nb::arg("task").none(), nb::arg("dynamics").none(), nb::arg("derivatives").none(),
           nb::arg("cost").none(), nb::arg("constraints").none(), nb::arg("state_dim"),
           nb::arg("action_dim"), nb::arg("low"), nb::arg("high"), nb::arg("horizon"),
           nb::arg("options"), nb::arg("threads"))
      .def("solve", &PythonIlqr::Solve, nb::arg("x0"), nb::arg("actions"), nb::arg("states").none(),
           nb::arg("counts"), nb::arg("deadline_ms"))
      .def_prop_ro("state_dim", &PythonIlqr::state_dim);
}

}  // namespace foreplan::python
