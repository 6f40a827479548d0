#include "foreplan/planners/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/planners/testing/slow_dynamics.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;
using testing::QuadraticReward;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class PopulationTest : public ::testing::Test {
 protected:
  // One-step candidates from rest at 0: the return falls with the size of the action.
  PopulationTest()
      : population_({testing::Borrowed(dynamics_), testing::Borrowed(reward_), spec_,
                     testing::Borrowed(executor_)},
                    {.horizon = 1}, 8) {}

  std::vector<int> Elites(const std::vector<double>& actions, int wanted) {
    for (size_t c = 0; c < actions.size(); ++c) {
      population_.candidate(static_cast<int>(c))[0] = actions[c];
    }
    population_.Evaluate(std::vector<double>{0, 0}, 0, static_cast<int>(actions.size()), Key{});
    const auto elites = population_.Elites(wanted);
    return {elites.begin(), elites.end()};
  }

  DoubleIntegrator dynamics_;
  QuadraticReward reward_;
  EnvironmentSpec spec_ = DoubleIntegratorSpec(2.0);
  ThreadPool executor_{2};
  Population population_;
};

TEST_F(PopulationTest, ElitesAreTheBestInOrder) {
  EXPECT_EQ(Elites({0.5, 2.0, 0.1, -0.3, 1.0}, 3), (std::vector{2, 3, 0}));
}

TEST_F(PopulationTest, EqualReturnsAreOrderedByIndex) {
  EXPECT_EQ(Elites({1, 1, 0.5, 1, -1, 0.5}, 4), (std::vector{2, 5, 0, 1}));
}

TEST_F(PopulationTest, CandidatesThatAreNotFiniteAreNeverElite) {
  EXPECT_EQ(Elites({kNan, 2.0, kNan, 1.0}, 4), (std::vector{3, 1}));
  EXPECT_TRUE(Elites({kNan, kNan}, 2).empty());
}

TEST_F(PopulationTest, CandidatesImaginedInPartsEarnTheSame) {
  Elites({1.0, 0.5, kNan, 0.2}, 4);
  std::vector<double> together;
  for (int c = 0; c < 4; ++c) together.push_back(population_.returns(c));
  EXPECT_TRUE(population_.Evaluate(std::vector<double>{0, 0}, 0, 1, Key{}));
  EXPECT_EQ(population_.Elites(4).size(), 1U);  // the others do not count yet
  EXPECT_TRUE(population_.Evaluate(std::vector<double>{0, 0}, 1, 4, Key{}));
  for (int c = 0; c < 4; ++c) EXPECT_EQ(population_.returns(c), together[static_cast<size_t>(c)]);
}

TEST_F(PopulationTest, CandidatesAfterTheDeadlineDoNotCount) {
  Elites({1.0, 0.5}, 2);
  EXPECT_FALSE(population_.Evaluate(std::vector<double>{0, 0}, 1, 2, Key{},
                                    Deadline(std::chrono::steady_clock::now())));
  EXPECT_EQ(population_.evaluated(), 1);
}

TEST_F(PopulationTest, WithADeadlineFarAwayExploringDrawsTheSame) {
  Population population({testing::Borrowed(dynamics_), testing::Borrowed(reward_), spec_,
                         testing::Borrowed(executor_)},
                        {.horizon = 3}, 100);
  const auto draw = [](Random& random, int, std::span<double> sequence) {
    random.FillNormal(sequence);
  };
  const auto explore = [&](const Deadline& deadline) {
    std::vector<double> all;
    EXPECT_TRUE(population.Explore(std::vector<double>{0, 0}, 0, 100, Key{1, 0}, deadline, draw));
    EXPECT_EQ(population.evaluated(), 100);
    for (int c = 0; c < 100; ++c) {
      all.push_back(population.returns(c));
      all.push_back(population.candidate(c)[2]);
    }
    return all;
  };
  EXPECT_EQ(explore({}), explore(std::chrono::steady_clock::now() + std::chrono::hours(1)));
}

// The comparison's time is kept back: when the decision is cut there is enough for it.
TEST(SamplingDecision, ThatIsCutExecutesTheBestOfWarmStartCandidatesAndAnswer) {
  using std::chrono::milliseconds;
  testing::SlowDynamics dynamics;
  const QuadraticReward reward;
  const EnvironmentSpec spec = DoubleIntegratorSpec(2.0);
  ThreadPool executor(1);
  Population population(
      {testing::Borrowed(dynamics), testing::Borrowed(reward), spec, testing::Borrowed(executor)},
      {.horizon = 1}, 2);
  const std::vector<double> rest = {0, 0};
  for (const double candidate : {0.5, 0.05}) {
    Plan plan;
    plan.actions = {0.1};
    const auto start = std::chrono::steady_clock::now();
    const PlanRequest request{.state = rest,
                              .step = 0,
                              .key = Key{1, 0},
                              .budget = {.deadline = start + milliseconds(500)}};
    dynamics.row_time = milliseconds(20);  // three rows: 60 ms are kept back
    SamplingDecision decision(population, request, plan);
    dynamics.row_time = milliseconds(0);
    decision.Explore(0, 1, Key{1, 1},
                     [&](Random&, int, std::span<double> sequence) { sequence[0] = candidate; });
    std::this_thread::sleep_until(start + milliseconds(450));
    EXPECT_FALSE(decision.NextIteration(10));
    const Plan& found = decision.Conclude(std::vector<double>{1.0});
    EXPECT_EQ(found.status, PlanStatus::kDeadline);
    EXPECT_EQ(found.actions[0], std::min(candidate, 0.1));  // the smallest action earns most
  }
}

TEST_F(PopulationTest, MomentsDivideByTheNumberOfMembers) {
  Elites({1.0, 4.0, 2.0}, 1);
  double mean = 0;
  double variance = 0;
  population_.Moments(std::vector<int>{0, 2}, {&mean, 1}, {&variance, 1});
  EXPECT_DOUBLE_EQ(mean, 1.5);
  EXPECT_DOUBLE_EQ(variance, 0.25);
}

TEST_F(PopulationTest, DrawsDependOnTheCandidateAloneAndAreClamped) {
  const auto draw = [](Random& random, int, std::span<double> sequence) {
    sequence[0] = 3.0 * random.Normal();
  };
  population_.Draw(0, 8, Key{.seed = 1, .stream = 0}, draw);
  std::vector<double> all;
  for (int c = 0; c < 8; ++c) all.push_back(population_.candidate(c)[0]);
  for (const double action : all) EXPECT_LE(std::abs(action), 2.0);
  for (int c = 0; c < 8; ++c) population_.candidate(c)[0] = 0;
  population_.Draw(5, 7, Key{.seed = 1, .stream = 0}, draw);
  for (int c = 0; c < 8; ++c) {
    EXPECT_EQ(population_.candidate(c)[0], c == 5 || c == 6 ? all[static_cast<size_t>(c)] : 0.0);
  }
}

TEST_F(PopulationTest, RejectsBoundsThatAreNoBox) {
  const auto message = [this](double low, double high) -> std::string {
    EnvironmentSpec spec = spec_;
    spec.action_low = {low};
    spec.action_high = {high};
    try {
      const Population population({testing::Borrowed(dynamics_), testing::Borrowed(reward_), spec,
                                   testing::Borrowed(executor_)},
                                  {}, 8);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message(1, 1),
            "planner: action bounds of component 0: found [1, 1], expected finite low < high");
  EXPECT_NE(message(-1, std::numeric_limits<double>::infinity()), "");
  EXPECT_NE(message(kNan, 1), "");
  EXPECT_EQ(message(-1, 1), "");
}

TEST(ShiftSequence, DropsTheFirstActionsAndRepeatsTheLast) {
  const auto shifted = [](int steps) {
    std::vector<double> sequence = {1, 2, 3, 4, 5, 6, 7, 8};
    ShiftSequence(sequence, 2, steps);
    return sequence;
  };
  EXPECT_EQ(shifted(0), (std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(shifted(1), (std::vector<double>{3, 4, 5, 6, 7, 8, 7, 8}));
  EXPECT_EQ(shifted(2), (std::vector<double>{5, 6, 7, 8, 7, 8, 7, 8}));
  EXPECT_EQ(shifted(4), (std::vector<double>{7, 8, 7, 8, 7, 8, 7, 8}));
}

}  // namespace
}  // namespace foreplan
