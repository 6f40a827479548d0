#include "foreplan/planners/cem.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;
using testing::QuadraticReward;

class CemTest : public ::testing::Test {
 protected:
  const Plan& MakePlan(const CemOptions& options) {
    planner_ = std::make_unique<Cem>(options, PlanningProblem{dynamics_, reward_, spec_, pool_});
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
  SystemSpec spec_ = DoubleIntegratorSpec(8.0);
  ThreadPool pool_{1};
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
