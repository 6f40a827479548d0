#include "foreplan/planners/imagined_mpc.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <span>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/planners/icem.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;
using testing::OptimalReturn;
using testing::QuadraticReward;
using testing::ReturnOf;

constexpr int kSteps = 60;
constexpr Key kKey{.seed = 4, .stream = 0};
const std::vector<double> kStart = {1.0, 0.0};

class ImaginedMpcTest : public ::testing::Test {
 protected:
  PlanningProblem problem() {
    return {testing::Borrowed(dynamics_), testing::Borrowed(reward_), spec_,
            testing::Borrowed(executor_)};
  }

  Plan Make() {
    IcemOptions options;
    options.horizon = 12;
    return ImaginedMpc(std::make_shared<Icem>(options, problem()), problem(), kSteps)
        .MakePlan({.state = kStart, .step = 0, .key = kKey, .budget = {}});
  }

  DoubleIntegrator dynamics_;
  QuadraticReward reward_;
  EnvironmentSpec spec_ = DoubleIntegratorSpec(8.0);
  ThreadPool executor_{2};
};

TEST_F(ImaginedMpcTest, PlansFarBeyondTheOtherPlannersHorizon) {
  const Plan plan = Make();
  ASSERT_EQ(plan.actions.size(), kSteps);
  EXPECT_NEAR(plan.expected_return, ReturnOf(plan.actions, kStart),
              1e-9);  // sums in the same order
  const double best = OptimalReturn({kStart[0], kStart[1]}, kSteps);
  EXPECT_GT(plan.expected_return, 1.1 * best);  // both negative
  EXPECT_EQ(plan.status, PlanStatus::kOk);
}

TEST_F(ImaginedMpcTest, EqualKeysGiveEqualPlans) { EXPECT_EQ(Make().actions, Make().actions); }

TEST_F(ImaginedMpcTest, ForgetsTheOtherPlannersWarmStart) {
  IcemOptions options;
  options.horizon = 12;
  ImaginedMpc planner(std::make_shared<Icem>(options, problem()), problem(), kSteps);
  const PlanRequest request{.state = kStart, .step = 0, .key = kKey, .budget = {}};
  const std::vector<double> first = planner.MakePlan(request).actions;
  EXPECT_EQ(planner.MakePlan(request).actions, first);
}

TEST_F(ImaginedMpcTest, EarnsNothingPastAPredictedTermination) {
  reward_.limit = 0.9;  // |p'| is 1 after the first step
  const Plan plan = Make();
  EXPECT_EQ(plan.expected_return, ReturnOf(std::span(plan.actions).first(1), kStart));
  for (const double action : plan.actions) EXPECT_EQ(action, plan.actions[0]);
}

TEST_F(ImaginedMpcTest, APredictionThatIsNotFiniteIsNoPlan) {
  dynamics_.nan_above = -INFINITY;
  const Plan plan = Make();
  EXPECT_EQ(plan.status, PlanStatus::kAllInvalid);
  EXPECT_EQ(plan.expected_return, -INFINITY);
  for (const double action : plan.actions) EXPECT_TRUE(std::isfinite(action));
}

TEST_F(ImaginedMpcTest, ControlsTheVersionOfTheModelThatItIsGiven) {
  const auto knows_nothing = std::make_shared<DoubleIntegrator>();
  knows_nothing->nan_above = -INFINITY;
  PlanningProblem of_nothing = problem();
  of_nothing.dynamics = knows_nothing;
  // It imagines the steps between two plans itself, with what the other planner does not see.
  ImaginedMpc planner(std::make_shared<Icem>(IcemOptions(), problem()), of_nothing, 3);
  const PlanRequest request{.state = kStart, .step = 0, .key = kKey, .budget = {}};
  EXPECT_EQ(planner.MakePlan(request).status, PlanStatus::kAllInvalid);
  planner.set_model({testing::Borrowed(dynamics_)});
  EXPECT_EQ(planner.MakePlan(request).status, PlanStatus::kOk);
}

TEST_F(ImaginedMpcTest, EarnsTheRewardOfTheVersionThatItIsGiven) {
  ImaginedMpc planner(std::make_shared<Icem>(IcemOptions(), problem()), problem(), kSteps);
  const PlanRequest request{.state = kStart, .step = 0, .key = kKey, .budget = {}};
  const auto short_lived = std::make_shared<QuadraticReward>();
  short_lived->limit = 0.9;  // |p'| is 1 after the first step
  planner.set_model({testing::Borrowed(dynamics_), short_lived});
  const Plan plan = planner.MakePlan(request);
  EXPECT_EQ(plan.expected_return, ReturnOf(std::span(plan.actions).first(1), kStart));
}

TEST_F(ImaginedMpcTest, NoStepsAreTheUsersError) {
  const auto icem = std::make_shared<Icem>(IcemOptions(), problem());
  EXPECT_THROW(ImaginedMpc(icem, problem(), 0), InputError);
}

}  // namespace
}  // namespace foreplan
