#include "foreplan/planners/icem.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;
using testing::QuadraticReward;
using testing::RecordingReward;
using testing::ReturnOf;

constexpr Key kKey{.seed = 4, .stream = 0};
const std::vector<double> kStart = {1.0, 0.0};

class IcemTest : public ::testing::Test {
 protected:
  Icem Make(const IcemOptions& options) {
    return {options,
            {testing::Borrowed(dynamics_), testing::Borrowed(reward_), spec_,
             testing::Borrowed(executor_)}};
  }

  static PlanRequest At(int64_t step, const std::vector<double>& state = kStart) {
    return {
        .state = state, .step = step, .key = kKey.Fold(static_cast<uint64_t>(step)), .budget = {}};
  }

  DoubleIntegrator dynamics_;
  QuadraticReward reward_;
  EnvironmentSpec spec_ = DoubleIntegratorSpec(8.0);
  ThreadPool executor_{1};
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

TEST_F(IcemTest, TheBestElitesAndTheLastMeanCompeteAgain) {
  const RecordingReward reward;
  IcemOptions options;
  options.horizon = 1;
  options.population = 20;
  options.decay = 1;
  options.momentum = 0;
  Icem planner(options, {testing::Borrowed(dynamics_), testing::Borrowed(reward), spec_,
                         testing::Borrowed(executor_)});
  const double last_mean = planner.MakePlan(At(0)).actions[0];
  PlanRequest again = At(1);
  again.step = 0;  // nothing is shifted
  planner.MakePlan(again);
  // Two decisions of three iterations; three kept elites join in all but the very first. After
  // each decision its answer.
  ASSERT_EQ(reward.actions.size(), 20U + 5U * 23U + 2U);

  const auto iteration = [&](size_t index) {
    const size_t begin = index == 0 ? 0 : 20 + 23 * (index - 1) + (index < 3 ? 0 : 1);
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

// A model that predicts one sequence of actions only.
class PickyDynamics final : public DoubleIntegrator {
 public:
  std::vector<double> only;  // [horizon]; empty: any

  void Step(const StepBatch& batch, Workspace& workspace) const override {
    DoubleIntegrator::Step(batch, workspace);
    if (only.empty()) return;
    for (int row = 0; row < batch.rows; ++row) {
      if (batch.action[row] == only[static_cast<size_t>(batch.time)]) continue;
      batch.next_state[2 * row] = std::numeric_limits<double>::quiet_NaN();
    }
  }
};

TEST_F(IcemTest, ElitesOfTheLastDecisionCompeteShiftedByTheStepsThatPassed) {
  for (const double keep_fraction : {0.0, 1.0}) {
    for (const int64_t passed : {0, 1, 2}) {
      PickyDynamics dynamics;
      IcemOptions options;
      options.horizon = 5;
      options.iterations = 1;
      options.elites = 1;
      options.keep_fraction = keep_fraction;
      options.momentum = 1;  // the mean stays in the middle, and is what is executed
      Icem planner(options, {testing::Borrowed(dynamics), testing::Borrowed(reward_), spec_,
                             testing::Borrowed(executor_)});
      planner.MakePlan(At(0));
      options.execute = IcemExecute::kBest;  // tells the best sequence of the same decision
      const std::vector<double> best =
          Icem(options, {testing::Borrowed(dynamics), testing::Borrowed(reward_), spec_,
                         testing::Borrowed(executor_)})
              .MakePlan(At(0))
              .actions;
      // The best sequence, shifted, its last action repeated.
      for (size_t t = 0; t < 5; ++t) {
        dynamics.only.push_back(best[std::min<size_t>(t + static_cast<size_t>(passed), 4)]);
      }
      PlanRequest request = At(passed);
      request.key = Key{99, 0};  // draws other sequences
      const Plan& plan = planner.MakePlan(request);
      EXPECT_EQ(plan.status, keep_fraction > 0 ? PlanStatus::kOk : PlanStatus::kAllInvalid);
      EXPECT_EQ(std::isfinite(plan.best_return), keep_fraction > 0) << passed;
    }
  }
}

TEST_F(IcemTest, TheShiftedMeanCompetes) {
  PickyDynamics dynamics;
  IcemOptions options;
  options.horizon = 5;
  options.iterations = 1;
  options.elites = 1;
  options.keep_fraction = 0;
  options.momentum = 0;
  Icem planner(options, {testing::Borrowed(dynamics), testing::Borrowed(reward_), spec_,
                         testing::Borrowed(executor_)});
  const std::vector<double> mean = planner.MakePlan(At(0)).actions;
  dynamics.only = {mean[2], mean[3], mean[4], mean[4], mean[4]};
  EXPECT_EQ(planner.MakePlan(At(2)).status, PlanStatus::kOk);
}

TEST_F(IcemTest, MomentumKeepsItsShareOfMeanAndDeviation) {
  const RecordingReward reward;
  spec_.action_low = {-3};
  spec_.action_high = {5};
  IcemOptions options;
  options.horizon = 1;
  options.population = 10;
  options.decay = 1;
  options.elites = 4;
  options.keep_fraction = 0;
  options.iterations = 3;  // the mean joins the last one only
  options.momentum = 0.5;
  Icem planner(options, {testing::Borrowed(dynamics_), testing::Borrowed(reward), spec_,
                         testing::Borrowed(executor_)});
  planner.MakePlan(At(0));
  ASSERT_GE(reward.actions.size(), 20U);
  // Over a single step the smallest action is best.
  std::vector<double> elites(reward.actions.begin(), reward.actions.begin() + 10);
  std::sort(elites.begin(), elites.end(),
            [](double a, double b) { return std::abs(a) < std::abs(b); });
  elites.resize(4);
  double mean = 0;
  double variance = 0;
  for (const double u : elites) mean += u / 4;
  for (const double u : elites) variance += (u - mean) * (u - mean) / 4;
  const double next_mean = 0.5 * 1 + 0.5 * mean;  // from the middle of -3 ... 5
  const double deviation = 0.5 * 0.5 * 4 + 0.5 * std::sqrt(variance);  // from sigma0 half ranges
  for (uint64_t c = 0; c < 10; ++c) {
    std::vector<double> noise(1);  // over a single step the noise is white
    Random(kKey.Fold(0).Fold(1).Fold(0).Fold(c)).FillNormal(noise);
    EXPECT_NEAR(reward.actions[10 + c], std::clamp(next_mean + deviation * noise[0], -3.0, 5.0),
                1e-12)  // rounding
        << c;
  }
}

TEST_F(IcemTest, SharesThatAreWholeNumbersAreNotCutByRounding) {
  IcemOptions options;
  options.horizon = 2;
  options.population = 121;
  options.decay = 1.1;
  options.iterations = 3;
  options.elites = 50;
  options.keep_fraction = 0.58;  // 0.58 * 50 is 28.999999999999996
  Icem planner = Make(options);
  // 121 / 1.1 = 110 and 121 / 1.1^2 = 100 candidates.
  EXPECT_EQ(planner.MakePlan(At(0)).rollouts, 121 + (110 + 29) + (100 + 29));
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
