#include "foreplan/learners/mpc.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "foreplan/control/mpc_controller.h"
#include "foreplan/core/error.h"
#include "foreplan/learners/testing/test_run.h"

namespace foreplan {
namespace {

TEST(MpcLearner, BeginsWithTheBasePolicyAndPlansAfterwards) {
  TestRun test(Episodes(3));
  test.learner->Run();
  ASSERT_EQ(test.log.episodes().size(), 3u);
  EXPECT_EQ(test.log.episodes()[0].controller, "uniform");
  EXPECT_EQ(test.log.episodes()[1].controller, "mpc");
  EXPECT_EQ(test.log.episodes()[2].total_steps, 75);
  EXPECT_EQ(test.Count("planning.ms_per_decision"), 2);
}

TEST(MpcLearner, RefitsEveryNStepsAndAtTheEndOfEachEpisode) {
  TestRun test(Episodes(3));
  test.learner->Run();
  // After episode 1; then at steps 10 and 20 and at the end of each of two episodes of 25 steps.
  EXPECT_EQ(test.Count("fit.seconds"), 1 + 2 * 3);
  EXPECT_EQ(test.Count("model.one_step_rmse"), 2 * 3);  // all fits but the first judge new rows
}

TEST(MpcLearner, RefitsPerEpisodeWhenAsked) {
  TestRun test(Episodes(3), 1, {"mpc.refit_every=0"});
  test.learner->Run();
  EXPECT_EQ(test.Count("fit.seconds"), 3);
}

TEST(MpcLearner, StopsAtTheStepBoundWithinAnEpisode) {
  RunOptions run;
  run.steps = 40;
  TestRun test(run);
  test.learner->Run();
  EXPECT_EQ(test.log.episodes().back().total_steps, 40);
  EXPECT_EQ(test.log.episodes().back().steps, 15);
}

TEST(MpcLearner, ThreadsChangeNoBit) {
  std::vector<std::string> csv;
  for (const int threads : {1, 2, 8}) {
    TestRun test(Episodes(3), threads);
    test.learner->Run();
    csv.push_back(test.log.EpisodesCsv());
  }
  EXPECT_EQ(csv[0], csv[1]);
  EXPECT_EQ(csv[0], csv[2]);
}

TEST(MpcLearner, SeedsDiffer) {
  RunOptions other = Episodes(2);
  other.seed = 1;
  TestRun a(Episodes(2));
  TestRun b(other);
  a.learner->Run();
  b.learner->Run();
  EXPECT_NE(a.log.EpisodesCsv(), b.log.EpisodesCsv());
}

TEST(MpcLearner, RestoredStateContinuesBitForBit) {
  TestRun whole(Episodes(4));
  whole.learner->Run();
  TestRun first(Episodes(2));
  first.learner->Run();
  TensorFile state;
  first.learner->Save(state);
  TestRun second(Episodes(4));
  second.learner->Restore(state, first.learner->data());
  second.learner->Run();
  ASSERT_EQ(second.log.episodes().size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(second.log.episodes()[i].episode_return, whole.log.episodes()[i + 2].episode_return);
  }
}

TEST(MpcLearner, StopsWhenAsked) {
  TestRun test(Episodes(3));
  test.stop.request_stop();
  EXPECT_THROW(test.learner->Run(), Interrupted);
}

TEST(MpcLearner, WritesItsOptionsAsTheyAreInEffect) {
  TestRun test(Episodes(2));
  ConfigWriter writer;
  WriteLearnerOptions("mpc", test.run, test.loaded.second, writer);
  for (const char* line : {"[mpc]", "[model]", "[fit]", "[planner.icem]", "width = 8"}) {
    EXPECT_NE(writer.text().find(line), std::string::npos) << line;
  }
}

TEST(MpcLearner, UnknownAlgorithmIsTheUsersErrorWithTheNearestName) {
  RunOptions run = Episodes(2);
  run.algorithm = "mcp";
  try {
    const TestRun test(run);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("mpc"), std::string::npos) << error.what();
  }
}

TEST(MpcLearner, ExecutesSeveralStepsOfAPlan) {
  TestRun test(Episodes(2), 1, {"mpc.period=3"});
  test.learner->Run();
  auto& controller = dynamic_cast<PlanningPolicy&>(test.learner->controller());
  controller.Reset(Key{});
  const std::vector<double> observation = {0.1, 3, 0, 0.2};
  for (int time = 0; time < 5; ++time) {
    double action = 0;
    controller.Act({.observation = observation, .time = time, .key = Key{1, 1}}, {&action, 1});
    EXPECT_EQ(controller.new_plan() != nullptr, time % 3 == 0) << time;
  }
}

}  // namespace
}  // namespace foreplan
