#include "python/bindings/trajectory_optimisation.h"

#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

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
  const LqrSolution solution = SolveLqr(problem, /*alpha=*/1);
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

IlqrOptions OptionsOf(const std::vector<std::string>& assignments) {
  Config config = Config::FromString("", "IlqrSolver");
  for (const std::string& assignment : assignments) config.Set("ilqr." + assignment);
  const auto options = ReadOptions<IlqrOptions>(config, "ilqr");
  config.ThrowOnUnknownKeys();
  return options;
}

ActionBounds BoundsOf(nb::handle low, nb::handle high) {
  const Eigen::VectorXd lowest = VectorOf(low, "low");
  const Eigen::VectorXd highest = VectorOf(high, "high");
  return {{lowest.data(), lowest.data() + lowest.size()},
          {highest.data(), highest.data() + highest.size()}};
}

/// Makes problem and solver anew for every solve: the newest version of a model counts.
class PythonIlqr {
 public:
  /// `task`: null where dynamics and cost are functions. `dynamics`: a Model, a function of rows
  /// (with `derivatives`, or None), or None for the task's own system. `cost`: the four functions
  /// of CostFunctions, or None for minus the task's reward. Bounds may be empty.
  PythonIlqr(const PythonTask* task, nb::object dynamics, nb::object derivatives,
             const nb::object& cost, int state_dim, int action_dim, nb::handle low, nb::handle high,
             int horizon, const std::vector<std::string>& options, int threads)
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
    if (!cost.is_none()) {
      for (int i = 0; i < 4; ++i) held_.emplace_back(nb::object(cost[i]));
    }
    if (task != nullptr) {
      reward_ = task->task().shared_planning_reward();
      if (dynamics_.is_none()) system_ = task->task().MakeSystem();
    }
    if (system_ != nullptr) state_dim_ = system_->spec().state_dim();
    IlqrSolver(*MakeProblem(), options_);  // what it refuses is refused at once
  }

  /// (states, actions, K, Quu^-1, costs, status, iterations, gradient, seconds); no K after a solve
  /// without a trajectory, no inverse where Quu has no minimum.
  nb::tuple Solve(nb::handle x0, nb::handle actions, nb::handle states, double deadline_ms) {
    const GivenRows start = VectorOf(x0, "x0", state_dim_);
    const GivenRows guess = RowsOf(actions, "actions", action_dim_);
    CheckSteps(static_cast<size_t>(guess.rows), "actions", static_cast<size_t>(horizon_));
    std::optional<GivenRows> guessed;
    if (!states.is_none()) guessed = RowsOf(states, "states", state_dim_);
    if (guessed) CheckSteps(static_cast<size_t>(guessed->rows), "states", Size(horizon_ + 1));
    const auto problem = MakeProblem();
    // Functions of Python run one at a time anyway.
    IlqrSolver solver(*problem, options_, calls_python() ? nullptr : executor_.get());
    const std::stop_source stop;
    Cutoff cutoff({}, stop.get_token());
    if (deadline_ms > 0) {
      cutoff.deadline = std::chrono::steady_clock::now() +
                        std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                            std::chrono::duration<double, std::milli>(deadline_ms));
    }
    solver.set_cutoff(cutoff);
    const auto numbers = [](const GivenRows& rows) {
      return std::span(rows.data(), Size(rows.rows, rows.columns));
    };
    const IlqrResult result = raised_->Run(stop, [&] {
      return solver.Solve(start.row(0), numbers(guess),
                          guessed ? numbers(*guessed) : std::span<const double>());
    });
    std::vector<double> costs;
    for (const IlqrIteration& iteration : result.log) costs.push_back(iteration.cost);
    const auto [K, inverse] = Gains(solver, result);
    return nb::make_tuple(
        ToArray({solver.states().begin(), solver.states().end()}, horizon_ + 1, state_dim_),
        ToArray({solver.actions().begin(), solver.actions().end()}, horizon_, action_dim_), K,
        inverse, ToVector(std::move(costs)), std::string(Name(result.status)), result.iterations,
        result.cost, result.gradient, result.seconds());
  }

  [[nodiscard]] int state_dim() const { return state_dim_; }
  [[nodiscard]] std::vector<Shared>& held() { return held_; }

 private:
  [[nodiscard]] bool has_cost() const { return held_.size() > 2; }
  [[nodiscard]] bool calls_python() const {
    return has_cost() || PyCallable_Check(dynamics_.ptr()) != 0;
  }

  [[nodiscard]] std::shared_ptr<const Dynamics> MakeDynamics() const {
    if (system_ != nullptr) return std::make_shared<const TrueDynamics>(*system_);
    if (nb::isinstance<PythonModel>(dynamics_)) {
      return nb::cast<const PythonModel&>(dynamics_).version().dynamics;
    }
    return std::make_shared<const PythonDynamics>(
        held_[0], state_dim_, action_dim_, raised_,
        has_derivatives_ ? std::optional(held_[1]) : std::nullopt);
  }

  [[nodiscard]] std::unique_ptr<const TrajectoryProblem> MakeProblem() const {
    if (has_cost()) {
      return std::make_unique<FunctionProblem>(
          MakeDynamics(), CostFunctions{held_[2], held_[3], held_[4], held_[5]}, bounds_, horizon_,
          raised_);
    }
    return std::make_unique<DynamicsProblem>(MakeDynamics(), reward_, bounds_, horizon_);
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
        if (raised_->has_kept()) throw;  // a function's own
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
  std::vector<Shared> held_;  // dynamics, derivatives, functions of the cost
  ActionBounds bounds_;
  int horizon_;
  int state_dim_;
  int action_dim_;
  IlqrOptions options_;
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
      .def(nb::init<const PythonTask*, nb::object, nb::object, const nb::object&, int, int,
                    nb::handle, nb::handle, int, const std::vector<std::string>&, int>(),
           nb::arg("task").none(), nb::arg("dynamics").none(), nb::arg("derivatives").none(),
           nb::arg("cost").none(), nb::arg("state_dim"), nb::arg("action_dim"), nb::arg("low"),
           nb::arg("high"), nb::arg("horizon"), nb::arg("options"), nb::arg("threads"))
      .def("solve", &PythonIlqr::Solve, nb::arg("x0"), nb::arg("actions"), nb::arg("states").none(),
           nb::arg("deadline_ms"))
      .def_prop_ro("state_dim", &PythonIlqr::state_dim);
}

}  // namespace foreplan::python
