// Fields of an MJCF identified from one random episode, and planned by.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "foreplan/learners/testing/test_run.h"

namespace foreplan {
namespace {

TEST(MujocoPhysicsGate, SwingsTheCartPoleOfPetsUpAfter200Steps) {
  for (const int seed : {20, 21}) {
    RunOptions run = Episodes(2, "fit_then_plan");
    run.seed = seed;
    const TestTask task{.name = "pets_cartpole",
                        .settings = {"model.kind=physics", "fit_then_plan.execution=replanned"}};
    TestRun test(run, 2, {}, task);
    test.learner->Run();
    EXPECT_EQ(test.log.episodes()[0].controller, "uniform");
    EXPECT_GE(test.log.episodes()[1].episode_return, 175) << seed;  // on the true model: 179
  }
}

}  // namespace
}  // namespace foreplan
