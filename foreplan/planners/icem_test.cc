#include "foreplan/planners/icem.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;
using testing::QuadraticReward;
using testing::ReturnOf;

constexpr Key kKey{.seed = 4, .stream = 0};
const std::vector<double> kStart = {1.0, 0.0};

class IcemTest : public ::testing::Test {
 protected:
  Icem Make(const IcemOptions& options) { return {options, {dynamics_, reward_, spec_, pool_}}; }

  static PlanRequest At(int64_t step, const std::vector<double>& state = kStart) {
    return {
        .state = state, .step = step, .key = kKey.Fold(static_cast<uint64_t>(step)), .budget = {}};
  }

  DoubleIntegrator dynamics_;
  QuadraticReward reward_;
  SystemSpec spec_ = DoubleIntegratorSpec(8.0);
  ThreadPool pool_{1};
};

TEST_F(IcemTest, ThePopulationShrinksAndKeptElitesComeOnTop) {
  IcemOptions options;
  options.population = 40;
  Icem planner = Make(options);
  EXPECT_EQ(planner.MakePlan(At(0)).rollouts, 40 + (32 + 3) + (25 + 3));
  // And at the next step the elites of the last one compete from the start.
  EXPECT_EQ(planner.MakePlan(At(1)).rollouts, (40 + 3) + (32 + 3) + (25 + 3));
  options.elites = 15;  // but never below twice the elites
  Icem wide = Make(options);
  EXPECT_EQ(wide.MakePlan(At(0)).rollouts, 40 + (32 + 4) + (30 + 4));
}

TEST_F(IcemTest, ExecutesTheBestCandidateWhenAsked) {
  IcemOptions options;
  options.execute = IcemExecute::kBest;
  Icem planner = Make(options);
  for (int64_t step = 0; step < 3; ++step) {
    const Plan& plan = planner.MakePlan(At(step));
    EXPECT_NEAR(ReturnOf(plan.actions, kStart), plan.best_return, 1e-9);  // rounding
  }
}

// Writes down the actions it is asked about, in order if there is one thread.
class RecordingReward final : public Reward {
 public:
  mutable std::vector<double> actions;

  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    actions.insert(actions.end(), batch.action, batch.action + batch.rows);
    QuadraticReward().Evaluate(batch, reward, terminated);
  }
};

TEST_F(IcemTest, TheBestElitesAndTheLastMeanCompeteAgain) {
  const RecordingReward reward;
  IcemOptions options;
  options.horizon = 1;
  options.population = 20;
  options.decay = 1;
  options.momentum = 0;
  Icem planner(options, {dynamics_, reward, spec_, pool_});
  const double last_mean = planner.MakePlan(At(0)).actions[0];
  PlanRequest again = At(1);
  again.step = 0;  // nothing is shifted
  planner.MakePlan(again);
  // Two decisions of three iterations; three kept elites join in all but the very first. After
  // each decision three finalists.
  ASSERT_EQ(reward.actions.size(), 20U + 5U * 23U + 2U * 3U);

  const auto iteration = [&](size_t index) {
    const size_t begin = index == 0 ? 0 : 20 + 23 * (index - 1) + (index < 3 ? 0 : 3);
    const auto first = reward.actions.begin() + static_cast<std::ptrdiff_t>(begin);
    return std::vector<double>(first, first + (index == 0 ? 20 : 23));
  };
  // Over a single step the smallest action is best, so the elites are known.
  const auto elites = [&](size_t index) {
    auto actions = iteration(index);
    std::sort(actions.begin(), actions.end(),
              [](double a, double b) { return std::abs(a) < std::abs(b); });
    return std::vector<double>(actions.begin(), actions.begin() + 10);
  };
  const auto mean = [](const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  };
  for (size_t i = 1; i < 6; ++i) {
    for (size_t kept = 0; kept < 3; ++kept) EXPECT_EQ(iteration(i)[kept], elites(i - 1)[kept]) << i;
  }
  EXPECT_NEAR(iteration(2)[3], mean(elites(1)), 1e-12);  // rounding
  EXPECT_NEAR(last_mean, mean(elites(2)), 1e-12);        // rounding
}

TEST_F(IcemTest, ElitesOfTheLastDecisionCompeteShifted) {
  // At rest at the goal nothing is better than zeros, which only the very first mean is.
  IcemOptions options;
  options.iterations = 1;
  const std::vector<double> goal = {0, 0};
  for (const double keep_fraction : {0.0, 0.3}) {
    options.keep_fraction = keep_fraction;
    Icem planner = Make(options);
    EXPECT_EQ(planner.MakePlan(At(0, goal)).best_return, 0.0);
    const double second = planner.MakePlan(At(1, goal)).best_return;
    EXPECT_EQ(second == 0.0, keep_fraction > 0);
  }
}

TEST_F(IcemTest, RejectsMoreElitesThanCandidates) {
  IcemOptions options;
  options.elites = 65;
  try {
    Make(options);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "planner.icem: elites: found 65, expected at most population = 64");
  }
}

}  // namespace
}  // namespace foreplan
