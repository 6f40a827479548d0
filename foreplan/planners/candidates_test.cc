// What a planner says it liked best besides its plan.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "foreplan/core/executor.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/planners/planner.h"

namespace foreplan {
namespace {

constexpr size_t kHorizon = 6;
const std::vector<double> kStart = {1.0, 0.0};

std::unique_ptr<Planner> Make(const std::string& name) {
  Config config = Config::FromString("[planner." + name + "]\nhorizon = 6\npopulation = 40\n" +
                                         (name.ends_with("cem") ? "elites = 6\n" : ""),
                                     "test");
  return MakePlanner(name, config,
                     {std::make_shared<const testing::DoubleIntegrator>(),
                      std::make_shared<const testing::QuadraticReward>(),
                      testing::DoubleIntegratorSpec(2.0), std::make_shared<SerialExecutor>()});
}

class Candidates : public ::testing::TestWithParam<std::string> {};

TEST_P(Candidates, AreThoseOfTheLastIterationTheBestFirst) {
  const std::unique_ptr<Planner> planner = Make(GetParam());
  for (int step = 0; step < 3; ++step) {
    const Plan& plan = planner->MakePlan(
        {.state = kStart, .step = step, .key = Key{1, static_cast<uint64_t>(step)}, .budget = {}});
    std::vector<double> sequences(5 * kHorizon);
    ASSERT_EQ(planner->CopyCandidates(sequences), 5);
    std::vector<double> returns;
    for (size_t i = 0; i < 5; ++i) {
      returns.push_back(
          testing::ReturnOf(std::span(sequences).subspan(i * kHorizon, kHorizon), kStart));
    }
    EXPECT_NEAR(returns[0], plan.best_return, 1e-12);  // a sum of six in another order
    EXPECT_TRUE(std::ranges::is_sorted(returns, std::greater<>()));
    EXPECT_GT(returns[0], returns[4]);
  }
}

TEST_P(Candidates, AreNoMoreThanThereAre) {
  const std::unique_ptr<Planner> planner = Make(GetParam());
  planner->MakePlan({.state = kStart, .step = 0, .key = Key{1, 1}, .budget = {}});
  std::vector<double> sequences(100 * kHorizon, 7.0);
  const int count = planner->CopyCandidates(sequences);
  EXPECT_GE(count, 10);
  EXPECT_LE(count, 45);
  EXPECT_LE(sequences[static_cast<size_t>(count) * kHorizon - 1], 2.0);
  EXPECT_EQ(sequences[static_cast<size_t>(count) * kHorizon], 7.0);
}

TEST_P(Candidates, AreNotThoseOfADecisionBefore) {
  const std::unique_ptr<Planner> planner = Make(GetParam());
  planner->MakePlan({.state = kStart, .step = 0, .key = Key{1, 1}, .budget = {}});
  std::stop_source stop;
  stop.request_stop();
  planner->MakePlan(
      {.state = kStart, .step = 1, .key = Key{1, 2}, .budget = {}, .stop = stop.get_token()});
  std::vector<double> sequences(5 * kHorizon);
  EXPECT_EQ(planner->CopyCandidates(sequences), 0);
}

INSTANTIATE_TEST_SUITE_P(Planners, Candidates,
                         ::testing::Values("random_shooting", "cem", "icem", "mppi"),
                         [](const auto& info) { return info.param; });

TEST(IlqrPlanner, HasNoCandidates) {
  Config config = Config::FromString("[planner.ilqr]\nhorizon = 6\n", "test");
  const auto planner =
      MakePlanner("ilqr", config,
                  {std::make_shared<const testing::DoubleIntegrator>(),
                   std::make_shared<const testing::QuadraticReward>(),
                   testing::DoubleIntegratorSpec(2.0), std::make_shared<SerialExecutor>()});
  planner->MakePlan({.state = kStart, .step = 0, .key = Key{1, 1}, .budget = {}});
  std::vector<double> sequences(5 * kHorizon);
  EXPECT_EQ(planner->CopyCandidates(sequences), 0);
}

}  // namespace
}  // namespace foreplan
