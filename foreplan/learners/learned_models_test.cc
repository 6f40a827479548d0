// Every kind of learned model in every loop that learns one model, under every planner.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "foreplan/learners/testing/test_run.h"
#include "foreplan/planners/planner.h"

namespace foreplan {
namespace {

std::vector<std::string> Kind(const std::string& kind) { return {"model.kind=" + kind}; }

TEST(LearnedModels, EveryLoopTakesEveryKind) {
  for (const char* kind : {"ensemble", "physics", "residual"}) {
    for (const char* algorithm : {"mpc", "fit_then_plan", "aggregate", "policy_backprop"}) {
      SCOPED_TRACE(std::string(kind) + " " + algorithm);
      std::vector<std::string> settings = Kind(kind);
      for (const char* small :
           {"policy_backprop.training.steps=2", "policy_backprop.training.starts=2",
            "policy_backprop.training.horizon=3", "policy_backprop.training.restarts=0"}) {
        settings.emplace_back(small);
      }
      TestRun test(Episodes(2, algorithm), 1, settings);
      test.learner->Run();
      EXPECT_EQ(test.log.episodes().size(), 2U);
      // mpc fits within its planned episode, too, whenever ten steps are new; v0.5 fits once.
      const std::map<std::string, int> fits = {
          {"mpc", 1 + 3}, {"fit_then_plan", 1}, {"aggregate", 2}, {"policy_backprop", 2}};
      EXPECT_EQ(test.Count("fit.seconds"), fits.at(algorithm));
    }
  }
}

TEST(LearnedModels, EveryPlannerPlansOnPhysicsAndResidual) {
  for (const char* kind : {"physics", "residual"}) {
    for (const std::string& planner : PlannerNames()) {
      SCOPED_TRACE(kind + (" " + planner));
      std::vector<std::string> settings = Kind(kind);
      settings.push_back("planner." + planner + ".horizon=4");
      RunOptions run = Episodes(2);
      run.planner = planner;
      TestRun test(run, 1, settings);
      test.learner->Run();
      EXPECT_EQ(test.log.episodes().back().controller, "mpc");
    }
  }
}

// The equations are the task's and nothing is noisy: one fit finds them, and what is predicted
// from then on comes true.
TEST(LearnedModels, PhysicsIsFoundAfterOneEpisode) {
  TestRun test(Episodes(3), 1, {"model.kind=physics", "episode_length=60"});
  test.learner->Run();
  const std::vector<double> errors = test.Values("model.one_step_rmse");
  ASSERT_FALSE(errors.empty());
  // In deviations of the one-step changes; Levenberg-Marquardt ends at rounding.
  for (const double error : errors) EXPECT_LT(error, 1e-6);
  EXPECT_NEAR(test.Values("fit.hinge_damping").back(), 1, 1e-3);
  EXPECT_EQ(test.learner->Results()["model"]["not_identifiable"].size(), 1U);  // masses and length
}

TEST(LearnedModels, ThreadsChangeNoBitAndRestoredStateContinues) {
  for (const char* kind : {"physics", "residual"}) {
    SCOPED_TRACE(kind);
    TestRun whole(Episodes(4), 1, Kind(kind));
    whole.learner->Run();
    TestRun threaded(Episodes(4), 2, Kind(kind));
    threaded.learner->Run();
    EXPECT_EQ(whole.log.EpisodesCsv(), threaded.log.EpisodesCsv());
    TestRun first(Episodes(2), 1, Kind(kind));
    first.learner->Run();
    TensorFile state;
    first.learner->Save(state);
    TestRun second(Episodes(4), 1, Kind(kind));
    second.learner->Restore(state, first.learner->data());
    second.learner->Run();
    ASSERT_EQ(whole.log.episodes().size(), 4U);
    ASSERT_EQ(second.log.episodes().size(), 2U);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(second.log.episodes()[i].episode_return,
                whole.log.episodes()[i + 2].episode_return);
    }
  }
}

}  // namespace
}  // namespace foreplan
