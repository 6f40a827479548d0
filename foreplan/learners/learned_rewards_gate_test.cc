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
    EXPECT_THROW(static_cast<void>(task_.reward()), InputError);
    EXPECT_THROW(static_cast<void>(task_.planning_reward()), InputError);
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
  PaidGateRun run("pets_cartpole", 20, 2000);
  EXPECT_EQ(run.episodes().back().total_steps, 2000);
  EXPECT_GE(run.Evaluate(3), 170);
  EXPECT_LT(run.Last("fit.reward.rmse"), 0.05);  // of rewards between -0.1 and 1
}

TEST(LearnedRewardsGate, TheInvertedPendulumStandsForWhatItPays) {
  PaidGateRun run("gymnasium_inverted_pendulum", 20, 2000);
  EXPECT_GE(run.Evaluate(2), 950);
}
#endif

}  // namespace
}  // namespace foreplan
