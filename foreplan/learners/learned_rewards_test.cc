// Loops that know no reward but what the environment pays.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/control/episode.h"
#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/learners/log_observer.h"
#include "foreplan/learners/mpc.h"
#include "foreplan/learners/testing/test_run.h"
#include "foreplan/systems/testing/paying_environment.h"

namespace foreplan {
namespace {

const std::vector<std::string> kSmallReward = {"model.reward.members=2", "model.reward.width=8",
                                               "model.reward.min_steps=5", "model.reward.epochs=0"};

/// A tiny run in an environment that pays, of a task without a reward.
struct PaidRun {
  explicit PaidRun(int episodes, const std::vector<std::string>& settings = {},
                   const std::string& algorithm = "mpc", int threads = 1)
      : loaded(Task::Load("cartpole_closed_form",
                          TestRun::Joined(TestRun::Joined(kTinyRun, kSmallReward), settings))),
        task(testing::PaidTask(loaded.first)),
        run(Episodes(episodes, algorithm)),
        learner(MakeLearner(run.algorithm, loaded.second,
                            {task, run, std::make_shared<ThreadPool>(threads)})) {
    learner->AddObserver(std::make_shared<LogObserver>(log, run, task.episode_length()));
  }

  std::pair<Task, Config> loaded;
  Task task;
  RunOptions run;
  RunLog log;
  std::unique_ptr<Learner> learner;
};

TEST(LearnedRewardRun, PlansWithoutAnyAccessToAReward) {
  for (const std::string algorithm : {"mpc", "aggregate", "fit_then_plan"}) {
    PaidRun paid(3, {}, algorithm);
    EXPECT_THROW(static_cast<void>(paid.task.reward()), InputError);
    EXPECT_THROW(static_cast<void>(paid.task.planning_reward()), InputError);
    paid.learner->Run();
    ASSERT_EQ(paid.log.episodes().size(), 3U) << algorithm;
    // The returns are those that the task would have counted.
    EXPECT_EQ(paid.log.episodes()[0].episode_return, [&] {
      TestRun known(Episodes(1, algorithm));
      known.learner->Run();
      return known.log.episodes()[0].episode_return;
    }()) << algorithm;
    EXPECT_NE(paid.log.MetricsCsv().find("fit.reward.rmse"), std::string::npos) << algorithm;
    EXPECT_NE(paid.log.MetricsCsv().find("model.reward.rmse"), std::string::npos) << algorithm;
    EXPECT_NO_THROW(static_cast<void>(RunEpisode(paid.task, *paid.task.MakeEnvironment(),
                                                 paid.learner->controller(), Key{5, 0}, 5, {})));
  }
}

TEST(LearnedRewardRun, RestoredStateContinuesBitForBit) {
  PaidRun whole(4);
  whole.learner->Run();
  PaidRun first(2);
  first.learner->Run();
  TensorFile state;
  first.learner->Save(state);
  PaidRun second(4);
  second.learner->Restore(state, first.learner->data());
  second.learner->Run();
  ASSERT_EQ(second.log.episodes().size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(second.log.episodes()[i].episode_return, whole.log.episodes()[i + 2].episode_return);
  }
}

TEST(LearnedRewardRun, ThreadsChangeNoBit) {
  std::vector<std::string> csv;
  for (const int threads : {1, 2, 8}) {
    PaidRun paid(3, {}, "mpc", threads);
    paid.learner->Run();
    csv.push_back(paid.log.EpisodesCsv());
  }
  EXPECT_EQ(csv[0], csv[1]);
  EXPECT_EQ(csv[0], csv[2]);
}

TEST(LearnedRewardRun, BeforeTheFirstFitEveryPlanIsWorthNothing) {
  PaidRun paid(1);
  const MpcLearner& mpc = dynamic_cast<MpcLearner&>(*paid.learner);
  static_cast<void>(mpc);
  std::vector<double> action(1);
  auto& controller = dynamic_cast<PlanningPolicy&>(paid.learner->controller());
  controller.Reset(Key{1, 0});
  controller.Act({.observation = std::vector<double>{0, 0.1, 0, 0}, .key = Key{1, 0}}, action);
  EXPECT_EQ(controller.new_plan()->expected_return, 0);
}

TEST(LearnedRewardRun, PoliciesAreTrainedForTheLearnedReward) {
  const TestTask pilco = {
      .name = "pilco_cartpole",
      .settings = {"planning_reward=learned", "episode_length=12", "model.width=8",
                   "model.members=2", "fit.min_steps=5", "fit.max_steps=5",
                   "policy_backprop.policy.width=8", "policy_backprop.training.horizon=5",
                   "policy_backprop.training.steps=6", "policy_backprop.training.restarts=0"}};
  RunOptions run = Episodes(3, "policy_backprop");
  TestRun learned(run, 1, kSmallReward, pilco);
  learned.learner->Run();
  const std::vector<double> values = learned.Values("policy.imagined_return");
  ASSERT_EQ(values.size(), 3U);
  for (const double value : values) EXPECT_NE(value, 0);
  TestTask known = pilco;
  known.settings.erase(known.settings.begin());
  TestRun shipped(run, 1, {}, known);
  shipped.learner->Run();
  EXPECT_NE(values, shipped.Values("policy.imagined_return"));
  EXPECT_EQ(
      MessageOf([&] {
        const TestRun refused(run, 1, {"policy_backprop.true_model=true"}, pilco);
      }).find("planning_reward: found one that is learned beside a model") != std::string::npos,
      true);
}

TEST(LearnedRewardRun, LocalModelsSayThatTheyNeedAReward) {
  const TestTask task = {.name = "cartpole_closed_form", .settings = {"planning_reward=learned"}};
  EXPECT_EQ(
      MessageOf([&] {
        const TestRun refused(Episodes(1, "local_models"), 1, {}, task);
      }).find("planning_reward: found one that is learned beside a model") != std::string::npos,
      true);
}

}  // namespace
}  // namespace foreplan
