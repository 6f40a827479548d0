#include "foreplan/planners/ilqr_planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

const std::vector<double> kRight = {1, 0};
const std::vector<double> kLeft = {-1, 0};

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;
using testing::OptimalReturn;
using testing::QuadraticReward;

TEST(IlqrPlanner, ReachesTheOptimumOfALinearQuadraticTask) {
  const DoubleIntegrator dynamics;
  const QuadraticReward reward;
  const EnvironmentSpec spec = DoubleIntegratorSpec(8.0);
  ThreadPool executor(1);
  IlqrPlannerOptions options;
  options.horizon = 20;
  IlqrPlanner planner(options, {testing::Borrowed(dynamics), testing::Borrowed(reward), spec,
                                testing::Borrowed(executor)});
  const Plan& plan = planner.MakePlan({.state = kRight, .step = 0, .key = Key{1, 0}, .budget = {}});
  EXPECT_EQ(plan.status, PlanStatus::kConverged);
  EXPECT_NEAR(plan.expected_return, OptimalReturn({1, 0}, 20), 1e-6);
  EXPECT_LE(planner.result().iterations, 6);
}

TEST(IlqrPlanner, KeepsToBoundsAndTrustRegion) {
  const DoubleIntegrator dynamics;
  const QuadraticReward reward;
  const EnvironmentSpec spec = DoubleIntegratorSpec(1.0);
  ThreadPool executor(1);
  IlqrPlannerOptions options;
  options.horizon = 10;
  options.trust_region = 0.1;
  for (const auto& [here, there] : {std::pair{kRight, kLeft}, {kLeft, kRight}}) {
    IlqrPlanner planner(options, {testing::Borrowed(dynamics), testing::Borrowed(reward), spec,
                                  testing::Borrowed(executor)});
    const std::vector<double> before =
        planner.MakePlan({.state = here, .step = 0, .key = Key{1, 0}, .budget = {}}).actions;
    // From the other side the best actions are the opposite ones; one decision may not jump there.
    const Plan& after =
        planner.MakePlan({.state = there, .step = 1, .key = Key{1, 1}, .budget = {}});
    for (size_t t = 0; t + 1 < before.size(); ++t) {
      EXPECT_LE(std::abs(before[t]), 1.0);
      EXPECT_LE(std::abs(after.actions[t] - before[t + 1]), 0.1 + 1e-12);
    }
  }
}

TEST(IlqrPlanner, GivesTheSameBitsWithAnyNumberOfThreadsAndAllocatesNothing) {
  const auto [task, config] = Task::Load("cartpole_closed_form");
  const auto system = task.MakeSystem();
  const TrueDynamics dynamics(*system);
  system->Reset(Key{1, 0});
  std::vector<double> state(4);
  system->GetState(state);
  IlqrPlannerOptions options;
  options.horizon = 25;
  options.first_iterations = 10;
  std::vector<double> expected;
  for (const int threads : {1, 2, 4}) {
    ThreadPool executor(threads);
    IlqrPlanner planner(options, {testing::Borrowed(dynamics), task.shared_planning_reward(),
                                  task.spec(), testing::Borrowed(executor)});
    (void)planner.MakePlan({.state = state, .step = 0, .key = Key{3, 0}, .budget = {}});
    const std::vector<double> actions =
        planner.MakePlan({.state = state, .step = 1, .key = Key{3, 1}, .budget = {}}).actions;
    if (expected.empty()) expected = actions;
    EXPECT_EQ(std::memcmp(actions.data(), expected.data(), actions.size() * sizeof(double)), 0);
    EXPECT_EQ(testing::CountAllocations([&] {
                (void)planner.MakePlan({.state = state, .step = 2, .key = Key{3, 2}, .budget = {}});
              }),
              0);
  }
}

TEST(IlqrPlanner, JudgesGuessesAsTheSolverDoes) {
  // Single rollouts of a stochastic model are not what the solver improves.
  struct MeanOnly final : DoubleIntegrator {
    [[nodiscard]] bool is_stochastic() const override { return true; }
    void Step(const StepBatch& batch, Workspace& /*workspace*/) const override {
      std::fill_n(batch.next_state, 2 * batch.rows, std::nan(""));
    }
    void StepMean(const StepBatch& batch, Workspace& workspace) const override {
      DoubleIntegrator::Step(batch, workspace);
    }
  } dynamics;
  const QuadraticReward reward;
  const EnvironmentSpec spec = DoubleIntegratorSpec(8.0);
  ThreadPool executor(1);
  const auto first_plan = [&](int guesses) {
    IlqrPlannerOptions options;
    options.horizon = 10;
    options.guesses = guesses;
    IlqrPlanner planner(options, {testing::Borrowed(dynamics), testing::Borrowed(reward), spec,
                                  testing::Borrowed(executor)});
    PlanRequest request{.state = kRight, .step = 0, .key = Key{1, 0}, .budget = {}};
    planner.MakePlan(request);
    return planner.result().log.front();
  };
  // The first step starts from the best guess; of many guesses the best costs less than of one.
  const IlqrIteration of_one = first_plan(1);
  const IlqrIteration of_many = first_plan(500);
  EXPECT_LT(of_many.cost - of_many.actual_change, of_one.cost - of_one.actual_change);
}

TEST(IlqrPlanner, AGuessThatEndsBeforeTheModelFailsIsNotInvalid) {
  // Beyond |p| = 0.9, where an episode ends, the model knows nothing. Rollouts end there; the
  // solver's does not.
  struct Edged final : DoubleIntegrator {
    void Step(const StepBatch& batch, Workspace& workspace) const override {
      DoubleIntegrator::Step(batch, workspace);
      for (int row = 0; row < batch.rows; ++row) {
        if (std::abs(batch.state[2 * row]) > 0.9) batch.next_state[2 * row] = std::nan("");
      }
    }
  } const dynamics;
  QuadraticReward reward;
  reward.limit = 0.9;
  const EnvironmentSpec spec = DoubleIntegratorSpec(1.0);
  ThreadPool executor(1);
  IlqrPlannerOptions options;
  options.horizon = 10;
  IlqrPlanner planner(options, {testing::Borrowed(dynamics), testing::Borrowed(reward), spec,
                                testing::Borrowed(executor)});
  const std::vector<double> outwards = {0.8, 3};  // nothing can hold it
  const Plan& plan =
      planner.MakePlan({.state = outwards, .step = 0, .key = Key{1, 0}, .budget = {}});
  EXPECT_TRUE(std::isfinite(plan.expected_return));
  EXPECT_NE(plan.status, PlanStatus::kAllInvalid);
  EXPECT_EQ(plan.best_return, plan.expected_return);
}

TEST(IlqrPlanner, RefusesRewardsWithoutDerivatives) {
  struct Opaque final : Reward {
    void Evaluate(const TransitionBatch& batch, double* reward,
                  uint8_t* terminated) const override {
      std::fill_n(reward, batch.rows, 0.0);
      std::fill_n(terminated, batch.rows, uint8_t{0});
    }
  };
  const DoubleIntegrator dynamics;
  const Opaque reward;
  const EnvironmentSpec spec = DoubleIntegratorSpec(8.0);
  ThreadPool executor(1);
  EXPECT_THROW(IlqrPlanner({}, {testing::Borrowed(dynamics), testing::Borrowed(reward), spec,
                                testing::Borrowed(executor)}),
               InputError);
}

/// Return of one episode under the planner on the true system.
double EpisodeReturn(const Task& task, IlqrPlanner& planner, int steps, uint64_t seed) {
  const auto system = task.MakeSystem();
  system->Reset(Key{seed, 0});
  planner.Reset();
  const SystemSpec& spec = system->spec();
  std::vector<double> state(static_cast<size_t>(spec.state_dim()));
  std::vector<double> observation(static_cast<size_t>(spec.observation_dim()));
  std::vector<double> next = observation;
  double sum = 0;
  for (int t = 0; t < steps; ++t) {
    system->GetState(state);
    system->Observe(observation);
    const Plan& plan = planner.MakePlan(
        {.state = state, .step = t, .key = Key{seed, static_cast<uint64_t>(t) + 1}, .budget = {}});
    const std::span<const double> action(plan.actions.data(), spec.action.size());
    EXPECT_EQ(system->Step(action), StepStatus::kOk);
    system->Observe(next);
    double reward = 0;
    uint8_t terminated = 0;
    task.reward().Evaluate({.rows = 1,
                            .observation = observation.data(),
                            .action = action.data(),
                            .next_observation = next.data()},
                           &reward, &terminated);
    sum += reward;
    if (terminated != 0) break;
  }
  return sum;
}

TEST(IlqrPlanner, SwingsTheCartPoleUpInClosedLoop) {
  const auto [task, config] = Task::Load("cartpole_closed_form");
  const TrueDynamics dynamics(*task.MakeSystem());
  ThreadPool executor(1);
  IlqrPlanner planner({}, {testing::Borrowed(dynamics), task.shared_planning_reward(), task.spec(),
                           testing::Borrowed(executor)});
  for (uint64_t seed = 0; seed < 3; ++seed) {
    // Random actions earn about 0; sampling planners on the true model about 178.
    EXPECT_GT(EpisodeReturn(task, planner, task.episode_length(), seed), 170) << seed;
  }
}

#ifdef FOREPLAN_HAVE_MUJOCO
TEST(IlqrPlanner, HoldsTheInvertedPendulumOfMujoco) {
  const auto [task, config] = Task::Load("gymnasium_inverted_pendulum");
  const TrueDynamics dynamics(*task.MakeSystem());
  ThreadPool executor(1);
  IlqrPlanner planner({}, {testing::Borrowed(dynamics), task.shared_planning_reward(), task.spec(),
                           testing::Borrowed(executor)});
  for (uint64_t seed = 0; seed < 3; ++seed) {
    EXPECT_EQ(EpisodeReturn(task, planner, 200, seed), 200) << seed;
  }
}

TEST(IlqrPlanner, SwingsTheCartPoleOfMujocoUpThroughFiniteDifferences) {
  const auto [task, config] = Task::Load("pets_cartpole");
  const TrueDynamics dynamics(*task.MakeSystem());
  ThreadPool executor(2);
  IlqrPlanner planner({}, {testing::Borrowed(dynamics), task.shared_planning_reward(), task.spec(),
                           testing::Borrowed(executor)});
  EXPECT_GT(EpisodeReturn(task, planner, task.episode_length(), 0), 170);
}

TEST(IlqrPlanner, PlansTheHalfCheetahThroughFiniteDifferencesAndContacts) {
  const auto [task, config] = Task::Load("pets_half_cheetah");
  const TrueDynamics dynamics(*task.MakeSystem());
  ThreadPool executor(2);
  IlqrPlanner::Options options;
  options.solver.initial_mu = 1;
  IlqrPlanner planner(options, {testing::Borrowed(dynamics), task.shared_planning_reward(),
                                task.spec(), testing::Borrowed(executor)});
  const auto system = task.MakeSystem();
  system->Reset(Key{0, 0});
  std::vector<double> state(static_cast<size_t>(system->spec().state_dim()));
  system->GetState(state);
  const Plan& plan = planner.MakePlan({.state = state, .step = 0, .key = Key{0, 1}, .budget = {}});
  // Standing earns 0 and the best of the random guesses about 1; a gallop of 40 steps earns tens.
  EXPECT_GT(plan.expected_return, 15);
  // Each iteration improved the plan.
  for (const IlqrIteration& iteration : planner.result().log) EXPECT_LT(iteration.actual_change, 0);
}
#endif

}  // namespace
}  // namespace foreplan
