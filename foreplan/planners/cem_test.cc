#include "foreplan/planners/cem.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
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

class CemTest : public ::testing::Test {
 protected:
  const Plan& MakePlan(const CemOptions& options) {
    planner_ = std::make_unique<Cem>(
        options, PlanningProblem{testing::Borrowed(dynamics_), testing::Borrowed(reward_), spec_,
                                 testing::Borrowed(executor_)});
    return planner_->MakePlan(
        {.state = start_, .step = 0, .key = {.seed = 2, .stream = 0}, .budget = {}});
  }
  std::string Message(const CemOptions& options) {
    try {
      MakePlan(options);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

  const std::vector<double> start_ = {1, 0};
  DoubleIntegrator dynamics_;
  QuadraticReward reward_;
  EnvironmentSpec spec_ = DoubleIntegratorSpec(8.0);
  ThreadPool executor_{1};
  std::unique_ptr<Cem> planner_;
};

TEST_F(CemTest, StopsWhenTheVarianceIsSmall) {
  CemOptions options;
  options.horizon = 3;
  options.iterations = 100;
  const Plan& plan = MakePlan(options);
  EXPECT_EQ(plan.status, PlanStatus::kConverged);
  EXPECT_GT(plan.iterations, 2);
  EXPECT_LT(plan.iterations, 100);
  EXPECT_EQ(plan.rollouts, 400 * plan.iterations);
}

TEST_F(CemTest, OneIterationWithoutMomentumGivesTheElitesMean) {
  // A single elite of many: the plan is that candidate, so its return is the predicted one.
  CemOptions options;
  options.horizon = 4;
  options.iterations = 1;
  options.elites = 1;
  options.momentum = 0;
  const Plan& plan = MakePlan(options);
  double p = 1;
  double v = 0;
  double sum = 0;
  for (const double u : plan.actions) {
    p += 0.1 * v;
    v += 0.1 * u;
    sum -= p * p + 0.1 * v * v + 0.01 * u * u;
  }
  EXPECT_NEAR(plan.best_return, sum, 1e-12);  // rounding
}

TEST_F(CemTest, TheNewActionOfAShiftedPlanIsTheMiddleOfTheBounds) {
  spec_.action_low = {0};
  spec_.action_high = {6};
  CemOptions options;
  options.horizon = 4;
  const std::vector<double> last = MakePlan(options).actions;
  ASSERT_GT(std::abs(last.back() - 3), 0.1);
  dynamics_.nan_above = -100;  // nothing is found any more
  const Plan& plan = planner_->MakePlan(
      {.state = start_, .step = 2, .key = {.seed = 2, .stream = 1}, .budget = {}});
  EXPECT_EQ(plan.actions, (std::vector<double>{last[2], last[3], 3, 3}));
}

TEST_F(CemTest, MomentumKeepsItsShareOfMeanAndVariance) {
  const RecordingReward reward;
  spec_.action_low = {-3};
  spec_.action_high = {5};
  CemOptions options;
  options.horizon = 1;
  options.population = 10;
  options.elites = 4;
  options.iterations = 2;
  options.momentum = 0.5;
  Cem planner(options, {testing::Borrowed(dynamics_), testing::Borrowed(reward), spec_,
                        testing::Borrowed(executor_)});
  const Key key{.seed = 5, .stream = 0};
  planner.MakePlan({.state = start_, .step = 0, .key = key, .budget = {}});
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
  const double next_mean = 0.5 * 1 + 0.5 * mean;                   // from the middle of -3 ... 5
  const double next_variance = 0.5 * 8 * 8 / 16 + 0.5 * variance;  // from (high - low)^2 / 16
  const double deviation =
      std::min({std::sqrt(next_variance), 0.5 * (next_mean + 3), 0.5 * (5 - next_mean)});
  for (uint64_t c = 0; c < 10; ++c) {
    std::vector<double> noise(1);
    Random(key.Fold(1).Fold(0).Fold(c)).FillTruncatedNormal(noise);
    EXPECT_NEAR(reward.actions[10 + c], next_mean + deviation * noise[0], 1e-12) << c;  // rounding
  }
}

TEST_F(CemTest, RejectsOptionsThatContradict) {
  CemOptions options;
  options.elites = 500;
  EXPECT_EQ(Message(options), "planner.cem: elites: found 500, expected at most population = 400");
  options = {};
  spec_ = DoubleIntegratorSpec(0.02);
  EXPECT_EQ(Message(options),
            "planner.cem: epsilon: found 0.001, expected below 0.0001, the initial variance "
            "(high - low)^2 / 16");
}

}  // namespace
}  // namespace foreplan
