// What the v1.5 loop must learn from nothing but what the environment pays. Slow.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/control/episode.h"
#include "foreplan/core/error.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/learners/log_observer.h"
#include "foreplan/learners/mpc.h"
#include "foreplan/systems/testing/paying_environment.h"

namespace foreplan {
namespace {

constexpr int kThreads = 2;

/// A run of a task without a reward, for planning neither: who asks for one is thrown at.
class PaidGateRun {
 public:
  PaidGateRun(const std::string& name, int seed, int steps,
              const std::vector<std::string>& settings = {})
      : loaded_(Task::Load(name, settings)), task_(testing::PaidTask(loaded_.first)) {
    EXPECT_THROW(static_cast<void>(task_.reward()), InputError);
    EXPECT_THROW(static_cast<void>(task_.planning_reward()), InputError);
    loaded_.second.Read("run", run_);
    run_.seed = seed;
    run_.episodes = 0;
    run_.steps = steps;
    learner_ = MakeLearner(run_.algorithm, loaded_.second,
                           {task_, run_, std::make_shared<ThreadPool>(kThreads)});
    learner_->AddObserver(std::make_shared<LogObserver>(log_, run_, task_.episode_length()));
    learner_->Run();
  }

  [[nodiscard]] const std::vector<EpisodeRow>& episodes() const { return log_.episodes(); }
  [[nodiscard]] double Last(const std::string& metric) const {
    double last = -1;
    for (const MetricRow& row : log_.metrics()) {
      if (row.name == metric) last = row.value;
    }
    return last;
  }
  /// Mean return of the learned controller over fresh starts, without learning.
  double Evaluate(int starts) {
    const auto environment = task_.MakeEnvironment();
    double sum = 0;
    for (int start = 0; start < starts; ++start) {
      sum += RunEpisode(task_, *environment, learner_->controller(),
                        Key{99, 1}.Fold(static_cast<uint64_t>(start)), task_.episode_length(), {})
                 .episode_return;
    }
    return sum / starts;
  }

 private:
  std::pair<Task, Config> loaded_;
  Task task_;
  RunOptions run_;
  RunLog log_;
  std::unique_ptr<Learner> learner_;
};

#ifdef FOREPLAN_HAVE_MUJOCO
TEST(LearnedRewardsGate, ThePetsCartPoleIsSwungUpIn2000StepsForWhatItPays) {
  PaidGateRun run("pets_cartpole", 2, 2000);
  EXPECT_EQ(run.episodes().back().total_steps, 2000);
  EXPECT_GE(run.Evaluate(2), 170);
  EXPECT_LT(run.Last("fit.reward.rmse"), 0.02);  // of rewards between -0.1 and 1
}

// Settings of docs/results/learned_rewards.md, as long as it takes to stand once.
TEST(LearnedRewardsGate, TheInvertedPendulumStandsForAWholeEpisodeForWhatItPays) {
  const PaidGateRun run(
      "gymnasium_inverted_pendulum", 1, 1700,
      {"run.algorithm=policy_backprop", "model.probabilistic=false", "model.width=128",
       "model.reward.weight_decay=0.01", "fit.min_steps=2000", "fit.max_steps=2000",
       "policy_backprop.base_episodes=30", "policy_backprop.train_every=300",
       "policy_backprop.training.horizon=120", "policy_backprop.training.starts=20",
       "policy_backprop.training.steps=300", "policy_backprop.training.learning_rate=0.005",
       "policy_backprop.training.adjoint_clip=10"});
  EXPECT_GE(std::ranges::max(run.episodes(), {}, &EpisodeRow::episode_return).episode_return, 950);
  EXPECT_LE(run.Last("fit.termination.missed"), 0.5);
  EXPECT_LE(run.Last("fit.termination.false"), 0.05);
}
#endif

}  // namespace
}  // namespace foreplan
