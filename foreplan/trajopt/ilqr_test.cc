#include "foreplan/trajopt/ilqr.h"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <numbers>
#include <string>
#include <thread>
#include <vector>

#include "foreplan/core/aligned_vector.h"
#include "foreplan/core/error.h"
#include "foreplan/core/random.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/trajopt/formula_problem.h"
#include "foreplan/trajopt/testing/pendulum_swing_up.h"
#include "foreplan/trajopt/testing/reference_problems.h"
#include "foreplan/trajopt/testing/watched_problem.h"

namespace foreplan {
namespace {

bool SameBits(std::span<const double> a, std::span<const double> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

TEST(IlqrSolver, GivesTheSameBitsWithAnyNumberOfThreads) {
  for (const auto& [problem, variant] : {std::pair{"cartpole", "bounded"},
                                         {"acrobot", "free"},
                                         {"quadrotor", "bounded"},
                                         {"quadrotor", "infeasible"}}) {
    const ReferenceCase c = MakeReferenceCase(problem, variant);
    IlqrSolver alone(*c.trajectory, c.options);
    const IlqrResult expected = alone.Solve(c.start, c.actions, c.states);
    for (const int threads : {1, 2, 5}) {
      ThreadPool executor(threads);
      IlqrSolver solver(*c.trajectory, c.options, &executor);
      const IlqrResult result = solver.Solve(c.start, c.actions, c.states);
      EXPECT_EQ(result.iterations, expected.iterations);
      EXPECT_EQ(result.cost, expected.cost);
      EXPECT_TRUE(SameBits(solver.states(), alone.states()));
      EXPECT_TRUE(SameBits(solver.actions(), alone.actions()));
    }
  }
}

TEST(IlqrSolver, AllocatesNothingPerSolve) {
  for (const auto& [problem, variant] : ReferenceCases()) {
    if (variant == "512") continue;
    const ReferenceCase c = MakeReferenceCase(problem, variant);
    for (const int threads : {1, 2}) {
      ThreadPool executor(threads);
      IlqrSolver solver(*c.trajectory, c.options, &executor);
      (void)solver.Solve(c.start, c.actions, c.states);
      EXPECT_EQ(
          testing::CountAllocations([&] { (void)solver.Solve(c.start, c.actions, c.states); }), 0)
          << problem << " " << variant << " " << threads;
    }
  }
}

TEST(IlqrSolver, NamesAStationaryStart) {
  ReferenceCase c = MakeReferenceCase("cartpole", "free");
  std::ranges::fill(c.actions, 0.0);  // hanging at rest: the gradient vanishes
  IlqrSolver solver(*c.trajectory, c.options);
  const IlqrResult result = solver.Solve(c.start, c.actions);
  EXPECT_EQ(result.status, IlqrStatus::kStationaryStart);
  EXPECT_EQ(result.iterations, 0);
  EXPECT_NEAR(result.cost, 2.0005e4, 1);
}

TEST(IlqrSolver, StopsWhenTheCallbackSaysSo) {
  const ReferenceCase c = MakeReferenceCase("acrobot", "free");
  IlqrSolver solver(*c.trajectory, c.options);
  solver.set_callback([](int iteration, const IlqrIteration&) { return iteration < 3; });
  const IlqrResult result = solver.Solve(c.start, c.actions);
  EXPECT_EQ(result.status, IlqrStatus::kStopped);
  EXPECT_EQ(result.iterations, 3);
}

TEST(IlqrSolver, BothRegularisationsReachTheMinimum) {
  ReferenceCase c = MakeReferenceCase("quadrotor", "bounded");
  c.options.regularisation = Regularisation::kStates;
  IlqrSolver solver(*c.trajectory, c.options);
  const IlqrResult result = solver.Solve(c.start, c.actions);
  EXPECT_EQ(result.status, IlqrStatus::kConverged);
  EXPECT_NEAR(result.cost, 2.181991481, 1e-6);
}

std::string Refusal(const Faulty& formula, const IlqrOptions& options = {},
                    std::vector<double> start = {1, 0}, size_t actions = 5, size_t states = 0) {
  try {
    const FormulaProblem<Faulty> problem(formula);
    IlqrSolver solver(problem, options);
    (void)solver.Solve(start, std::vector<double>(actions), std::vector<double>(states));
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(IlqrWrongInput, IsRefusedWithTheReason) {
  EXPECT_EQ(Refusal({}), "");
  EXPECT_EQ(Refusal({.horizon = 0}), "ilqr: horizon: found 0, expected at least 1");
  EXPECT_EQ(Refusal({.low = {1}, .high = {-1}}),
            "ilqr: bounds of action 0: found [1, -1], expected low <= high");
  EXPECT_EQ(Refusal({.low = {std::nan("")}, .high = {1}}),
            "ilqr: bounds of action 0: found [nan, 1], expected low <= high");
  EXPECT_EQ(Refusal({.low = {0, 0}, .high = {1, 1}}),
            "ilqr: lower bounds: found 2 numbers, expected 1");
  EXPECT_EQ(Refusal({}, {}, {1}), "ilqr: start state: found 1 numbers, expected 2");
  EXPECT_EQ(Refusal({}, {}, {1, 0}, 4), "ilqr: actions: found 4 numbers, expected 5");
  EXPECT_EQ(Refusal({}, {}, {1, 0}, 5, 11), "ilqr: states: found 11 numbers, expected 12");
  EXPECT_NE(Refusal({}, {.max_iterations = 0}).find("max_iterations"), std::string::npos);
  EXPECT_NE(Refusal({}, {.cost_tolerance = std::nan("")}).find("cost_tolerance"),
            std::string::npos);
}

TEST(IlqrWrongInput, EndsWithItsStatus) {
  const auto status = [](const Faulty& formula, std::vector<double> start, double action) {
    const FormulaProblem<Faulty> problem(formula);
    IlqrSolver solver(problem, {});
    return solver.Solve(start, std::vector<double>(5, action)).status;
  };
  EXPECT_EQ(status({}, {1, 0}, 0), IlqrStatus::kConverged);
  EXPECT_EQ(status({}, {std::nan(""), 0}, 0), IlqrStatus::kInvalidStart);
  EXPECT_EQ(status({}, {1, 0}, std::nan("")), IlqrStatus::kInvalidStart);
  EXPECT_EQ(status({.nan_beyond = -1}, {1, 0}, 0), IlqrStatus::kInvalidStart);
  // Concave in the action beyond what the largest regularisation can mend.
  EXPECT_EQ(status({.action_weight = -1e12}, {1, 0}, 0), IlqrStatus::kIndefinite);
  // Concave, regularised: runs off until no step helps or the limit is reached, but it ends.
  const IlqrStatus unbounded = status({.action_weight = -1}, {1, 0}, 0.1);
  EXPECT_TRUE(unbounded == IlqrStatus::kNoDescent || unbounded == IlqrStatus::kIterationLimit ||
              unbounded == IlqrStatus::kInvalidDerivatives)
      << Name(unbounded);
}

TEST(IlqrSolver, ShortensStepsIntoWhereTheModelFails) {
  // Steps beyond u = 0.5 give NaN; the optimum within is found.
  Faulty formula{.low = {-20}, .high = {20}, .nan_beyond = 0.5};
  formula.action_weight = 0.001;
  const FormulaProblem<Faulty> problem(formula);
  IlqrSolver solver(problem, {});
  const IlqrResult result = solver.Solve(std::vector<double>{-1, 0}, std::vector<double>(5, 0.0));
  EXPECT_TRUE(std::isfinite(result.cost));
  EXPECT_GE(result.iterations, 1);
  for (const double u : solver.actions()) EXPECT_LE(u, 0.5);
}

/// Largest |f(x_t, u_t) - x_{t+1}|.
double LargestGap(const TrajectoryProblem& problem, std::span<const double> xs,
                  std::span<const double> us) {
  const auto workspace = problem.MakeWorkspace();
  const auto nx = static_cast<size_t>(problem.state_dim());
  std::vector<double> next(nx);
  double largest = 0;
  for (int t = 0; t < problem.horizon(); ++t) {
    const double* x = xs.data() + static_cast<size_t>(t) * nx;
    (void)problem.Step(t, x, us.data() + t * problem.action_dim(), next.data(), *workspace);
    for (size_t i = 0; i < nx; ++i) largest = std::max(largest, std::abs(next[i] - x[nx + i]));
  }
  return largest;
}

TEST(IlqrSolver, OnAQuadraticProblemTheExpectedChangeComesTrueAndGapsCloseWithTheStep) {
  const ReferenceCase c = MakeReferenceCase("lqr_56x22", "8");
  std::vector<double> states(c.start.size() * 9);
  Random random(Key{3, 0});
  for (double& entry : states) entry = random.Normal();
  for (const bool infeasible : {false, true}) {
    for (const int refused : {0, 1, 2}) {
      SCOPED_TRACE(refused);
      Watched watched(*c.trajectory);
      Refuse(watched, 2, 1 + refused);
      // Without gaps, shorter steps change what is expected only if they are not regularised.
      const double mu = infeasible || refused == 0 ? 0.1 : 0;
      IlqrSolver solver(watched, {.initial_mu = mu});
      double gap = 0;
      solver.set_callback([&](int, const IlqrIteration&) {
        gap = LargestGap(*c.trajectory, solver.states(), solver.actions());
        return false;
      });
      const auto guess = infeasible ? std::span<const double>(states) : std::span<const double>();
      const IlqrResult result = solver.Solve(c.start, c.actions, guess);
      ASSERT_EQ(result.iterations, 1);
      const IlqrIteration& first = result.log[0];
      EXPECT_EQ(first.step, std::ldexp(1.0, -refused));  // the longest that is not refused
      EXPECT_EQ(first.mu, mu);
      // Rounding of costs of 1e4 and more.
      EXPECT_NEAR(first.actual_change, first.expected_change,
                  1e-9 * std::abs(first.expected_change));
      std::ranges::copy(c.start, states.begin());
      const double before = infeasible ? LargestGap(*c.trajectory, states, c.actions) : 0;
      EXPECT_NEAR(gap, (1 - first.step) * before, 1e-9 * (1 + before));
      EXPECT_NEAR(first.gap, gap, 1e-9 * (1 + before));
    }
  }
}

TEST(IlqrSolver, AcceptedStepsKeepTheirPromise) {
  for (const auto& [problem, variant] :
       {std::pair{"cartpole", "free"}, {"acrobot", "bounded"}, {"quadrotor", "bounded"}}) {
    ReferenceCase c = MakeReferenceCase(problem, variant);
    c.options.min_ratio = 0.3;
    c.options.max_ratio = 1.5;
    IlqrSolver solver(*c.trajectory, c.options);
    const IlqrResult result = solver.Solve(c.start, c.actions);
    ASSERT_GE(result.log.size(), 5U);
    for (size_t i = 0; i < result.log.size(); ++i) {
      const IlqrIteration& iteration = result.log[i];
      EXPECT_LT(iteration.expected_change, 0);
      const double ratio = iteration.actual_change / iteration.expected_change;
      EXPECT_GE(ratio, 0.3) << problem << " " << i;
      EXPECT_LE(ratio, 1.5) << problem << " " << i;
      if (i == 0) continue;
      EXPECT_NEAR(iteration.cost, result.log[i - 1].cost + iteration.actual_change,
                  1e-12 * result.log[i - 1].cost);
    }
  }
}

TEST(IlqrSolver, RegularisationFollowsItsSchedule) {
  const FormulaProblem<Faulty> problem({});
  const std::vector<double> start = {-1, 0};
  const std::vector<double> guess(5, 0.3);
  const double f = 1.6;
  {  // Every step is taken: mu shrinks by f, f^2, f^3, ...
    IlqrSolver solver(problem, {.cost_tolerance = 0, .initial_mu = 1, .mu_factor = f});
    const IlqrResult result = solver.Solve(start, guess);
    ASSERT_GE(result.log.size(), 4U);
    const double expected[] = {1, 1 / f, 1 / std::pow(f, 3), 1 / std::pow(f, 6)};
    for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(result.log[i].mu, expected[i], 1e-12) << i;
  }
  {  // Below min_mu it is 0.
    IlqrSolver solver(problem, {.initial_mu = 1, .min_mu = 0.7, .mu_factor = f});
    const IlqrResult result = solver.Solve(start, guess);
    EXPECT_EQ(result.log[1].mu, 0);
  }
  // Line searches of ten lengths, 1 ... 1/512, that are refused: it grows by f, f^2, f^3.
  for (const auto& [searches, mu] : {std::pair{1, f}, {2, std::pow(f, 3)}, {3, std::pow(f, 6)}}) {
    Watched watched(problem);
    Refuse(watched, 2, 1 + 10 * searches);
    IlqrSolver solver(watched, {.initial_mu = 1, .mu_factor = f});
    solver.set_max_iterations(1);
    const IlqrResult result = solver.Solve(start, guess);
    ASSERT_EQ(result.iterations, 1);
    EXPECT_NEAR(result.log[0].mu, mu, 1e-12 * mu);
    EXPECT_EQ(result.log[0].step, 1);
  }
}

TEST(IlqrSolver, ATrajectoryWithGapsIsNoSolution) {
  const FormulaProblem<Faulty> problem({});
  const std::vector<double> start = {1, 0};
  const std::vector<double> guess(5, 0.3);
  const std::vector<double> states(12, 1.0);
  // Any decrease is small enough for this tolerance.
  IlqrSolver solver(problem, {.cost_tolerance = 1});
  EXPECT_EQ(solver.Solve(start, guess).status, IlqrStatus::kStationaryStart);
  const IlqrResult result = solver.Solve(start, guess, states);
  EXPECT_EQ(result.status, IlqrStatus::kConverged);
  EXPECT_GE(result.iterations, 1);
  EXPECT_LE(result.gap, 1e-9);
}

TEST(IlqrSolver, TheGuessIsClampedToTheBounds) {
  // Beyond them the model fails.
  const FormulaProblem<Faulty> problem({.low = {-1}, .high = {1}, .nan_beyond = 1});
  IlqrSolver solver(problem, {});
  const IlqrResult result = solver.Solve(std::vector<double>{1, 0}, std::vector<double>(5, 7.0));
  EXPECT_EQ(result.status, IlqrStatus::kConverged) << Name(result.status);
}

// x' = x + 0.1 u, far to go: every action belongs at a bound, the last one too.
struct Rush {
  static constexpr int kStateDim = 1;
  static constexpr int kActionDim = 1;
  double goal = 0;
  int horizon = 6;
  std::vector<double> low = {-2}, high = {1};

  template <typename T>
  void Step(int /*t*/, const T* x, const T* u, T* next) const {
    next[0] = x[0] + 0.1 * u[0];
  }
  template <typename T>
  T StageCost(int /*t*/, const T* /*x*/, const T* u) const {
    return 1e-3 * (u[0] * u[0]);
  }
  template <typename T>
  T TerminalCost(const T* x) const {
    return 100.0 * ((x[0] - goal) * (x[0] - goal));
  }
};

TEST(IlqrSolver, TheBoxHoldsAtEveryKnotOfTheSolution) {
  for (const auto& [goal, bound] : {std::pair{10.0, 1.0}, {-10.0, -2.0}}) {
    const FormulaProblem<Rush> problem({.goal = goal});
    IlqrSolver solver(problem, {});
    const IlqrResult result = solver.Solve(std::vector<double>{0}, std::vector<double>(6, 0.1));
    EXPECT_EQ(result.status, IlqrStatus::kConverged) << Name(result.status);
    for (size_t t = 0; t < 6; ++t) {
      EXPECT_EQ(solver.actions()[t], bound) << t;
      EXPECT_EQ(solver.feedback(static_cast<int>(t))[0], 0) << t;  // a held action does not respond
    }
    EXPECT_EQ(result.gradient, 0);
  }
}

TEST(IlqrSolver, TimesAreThoseOfTheirPhases) {
  using std::chrono::milliseconds;
  const FormulaProblem<Faulty> problem({.horizon = 16});  // one part of an expansion
  Watched watched(problem);
  IlqrSolver solver(watched, {.cost_tolerance = 0});
  int rollouts = 0;
  int expansions = 0;
  watched.on_rollout = [&] {
    ++rollouts;
    std::this_thread::sleep_for(milliseconds(2));
  };
  watched.on_expansion = [&] {
    ++expansions;
    std::this_thread::sleep_for(milliseconds(5));
  };
  solver.set_callback([](int iteration, const IlqrIteration&) {
    std::this_thread::sleep_for(milliseconds(3));
    return iteration < 3;
  });
  const auto begin = std::chrono::steady_clock::now();
  const IlqrResult result = solver.Solve(std::vector<double>{-1, 0}, std::vector<double>(16, 0.3));
  const double wall =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  ASSERT_GE(result.iterations, 1);
  // A sleep lasts at least as long as it is told to, on a busy machine longer.
  EXPECT_GE(result.forward_seconds, 2e-3 * rollouts);
  EXPECT_GE(result.expansion_seconds, 5e-3 * expansions);
  EXPECT_GE(result.other_seconds, 3e-3 * result.iterations);
  EXPECT_GT(result.backward_seconds, 0);
  EXPECT_LE(result.seconds(), wall);
}

// The deadline passes during the rollout or the expansion of a given number; nothing of either kind
// may begin after it.
TEST(IlqrSolver, TheDeadlineEndsLineSearchesExpansionsAndBackwardPasses) {
  using Clock = std::chrono::steady_clock;
  struct Case {
    const char* what;
    Faulty formula;
    int late_rollout, late_expansion;  // 1, 2, ...; 0: none
    int rollouts, expansions;          // begun in all: 40 knots are three parts of an expansion
    int iterations;
  };
  // Beyond u = 0 the model fails: every trial of a line search is refused.
  const Faulty refusing{.horizon = 40, .action_weight = 1e-3, .nan_beyond = 0};
  for (const Case& c : {
           Case{"guess", {.horizon = 40}, 1, 0, 1, 0, 0},
           Case{"expansion", {.horizon = 40}, 0, 2, 1, 2, 0},
           Case{"expansion before passes", {.horizon = 40, .action_weight = -1e12}, 0, 3, 1, 3, 0},
           Case{"refused trial", refusing, 4, 0, 4, 3, 0},
           Case{"trial", {.horizon = 40}, 2, 0, 2, 3, 0},
       }) {
    SCOPED_TRACE(c.what);
    const FormulaProblem<Faulty> problem(c.formula);
    Watched watched(problem);
    IlqrSolver solver(watched, {.cost_tolerance = 0});
    int rollouts = 0;
    int expansions = 0;
    const auto pass = [&] { solver.set_cutoff(Deadline(Clock::now())); };
    watched.on_rollout = [&] {
      if (++rollouts == c.late_rollout) pass();
    };
    watched.on_expansion = [&] {
      if (++expansions == c.late_expansion) pass();
    };
    const IlqrResult result =
        solver.Solve(std::vector<double>{-1, 0}, std::vector<double>(40, -0.1));
    EXPECT_EQ(result.status, IlqrStatus::kDeadline) << Name(result.status);
    EXPECT_EQ(rollouts, c.rollouts);
    EXPECT_EQ(expansions, c.expansions);
    EXPECT_EQ(result.iterations, c.iterations);
    EXPECT_EQ(std::isfinite(result.cost),
              c.late_rollout != 1);  // the guess was followed to its end
  }
}

TEST(IlqrSolver, AGuessThatIsInvalidIsCalledSoHoweverLateItIs) {
  const FormulaProblem<Faulty> problem({.nan_beyond = -1});
  Watched watched(problem);
  IlqrSolver solver(watched, {});
  // The deadline passes within the guess's last step.
  watched.on_last_step = [&] { solver.set_cutoff(Deadline(std::chrono::steady_clock::now())); };
  EXPECT_EQ(solver.Solve(std::vector<double>{1, 0}, std::vector<double>(5)).status,
            IlqrStatus::kInvalidStart);
}
}  // namespace
}  // namespace foreplan
