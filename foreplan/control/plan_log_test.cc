#include "foreplan/control/plan_log.h"

#include <gtest/gtest.h>

#include <limits>

namespace foreplan {
namespace {

Plan PlanOf(int steps, double expected) {
  Plan plan;
  plan.actions.resize(static_cast<size_t>(2 * steps));  // nu = 2
  plan.expected_return = expected;
  plan.seconds = 0.5;
  return plan;
}

TEST(PlanLog, ComparesPlansWithTheStepsThatTheyWereMadeFor) {
  PlanLog log;
  const Plan first = PlanOf(2, 10);
  const Plan second = PlanOf(3, 20);
  const Plan unfinished = PlanOf(2, 1000);
  log.AddStep(&first, 2, 1);
  log.AddStep(&second, 2, 2);
  log.AddStep(nullptr, 2, 4);
  log.AddStep(&unfinished, 2, 8);
  EXPECT_EQ(log.plans(), 3);
  EXPECT_EQ(log.seconds(), 1.5);
  EXPECT_EQ(log.MeanOutcome().imagined, (10 + 20) / 2.0);
  EXPECT_EQ(log.MeanOutcome().realised, ((1 + 2) + (2 + 4 + 8)) / 2.0);
}

TEST(PlanLog, APlanWhoseReturnNobodyKnowsIsNotCompared) {
  PlanLog log;
  const Plan unknown = PlanOf(1, -std::numeric_limits<double>::infinity());
  const Plan known = PlanOf(1, 10);
  log.AddStep(&unknown, 2, 1);
  log.AddStep(&known, 2, 2);
  EXPECT_EQ(log.plans(), 2);
  EXPECT_EQ(log.MeanOutcome().imagined, 10);
  EXPECT_EQ(log.MeanOutcome().realised, 2);
}

TEST(PlanLog, ComparesWhatIsExecutedNotTheBestCandidate) {
  PlanLog log;
  Plan plan = PlanOf(1, 10);
  plan.best_return = 99;
  log.AddStep(&plan, 2, 1);
  EXPECT_EQ(log.MeanOutcome().imagined, 10);
}

TEST(PlanLog, WithoutFinishedPlansThereIsNoOutcome) {
  PlanLog log;
  const Plan plan = PlanOf(2, 10);
  log.AddStep(&plan, 2, 1);
  EXPECT_EQ(log.MeanOutcome().imagined, 0);
  EXPECT_EQ(log.MeanOutcome().realised, 0);
}

}  // namespace
}  // namespace foreplan
