#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "foreplan/learners/testing/test_run.h"

namespace foreplan {
namespace {

const TestTask kPlanarArm{"planar_arm", {}};

TEST(PlanarArm, IsReachedWhenTheTipIsNear) {
  const auto [task, config] = Task::Load("planar_arm");
  ASSERT_EQ(task.condition_count(), 4);
  EXPECT_EQ(task.unseen_count(), 12);
  EXPECT_TRUE(task.goal().Reached(std::vector<double>{0, 0, 0, 0, 0.3, 0.4, 0.012, -0.015}));
  EXPECT_FALSE(task.goal().Reached(std::vector<double>{0, 0, 0, 0, 0.3, 0.4, 0.016, -0.013}));
}

TEST(PlanarArm, StartsStretchedAndKnowsWhereItsGoalIs) {
  const auto [task, config] = Task::Load("planar_arm");
  for (int condition = 0; condition < 4; ++condition) {
    const std::unique_ptr<System> system = task.MakeSystem(condition);
    system->Reset(Key{1, 0});
    std::vector<double> x(8);
    system->Observe(x);
    EXPECT_NEAR(std::hypot(x[4], x[5]), 0.7, 1e-3);
    // tip - goal; the tip is at (0.9, 0).
    EXPECT_NEAR(x[6], 0.9 - x[4], 1e-12);
    EXPECT_NEAR(x[7], -x[5], 1e-12);
  }
}

// Two of the eight components never change within a condition. The goals in front of the arm are
// reached within six of the ten iterations.
TEST(PlanarArm, LocalModelsReachTheGoalsInFront) {
  TestRun test(Episodes(120, "local_models"), 1, {}, kPlanarArm);
  test.learner->Run();
  const nlohmann::ordered_json results = test.learner->Results();
  for (const int condition : {1, 2}) {
    const auto& found = results.at("conditions").at(static_cast<size_t>(condition));
    EXPECT_TRUE(found.at("reached_clean")) << found.dump();
  }
}

}  // namespace
}  // namespace foreplan
