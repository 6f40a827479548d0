// What the v1.5 loop must learn, on the shipped settings of each task. Slow.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "foreplan/control/episode.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/learners/log_observer.h"
#include "foreplan/learners/mpc.h"
#include "foreplan/models/true_dynamics.h"

namespace foreplan {
namespace {

constexpr int kThreads = 2;

class GateRun {
 public:
  GateRun(const std::string& task, int seed)
      : loaded_(Task::Load(task)), executor_(std::make_shared<ThreadPool>(kThreads)) {
    loaded_.second.Read("run", run_);
    run_.seed = seed;
    learner_ = MakeLearner(run_.algorithm, loaded_.second, {loaded_.first, run_, executor_});
    learner_->AddObserver(
        std::make_shared<LogObserver>(log_, run_, loaded_.first.episode_length()));
    learner_->Run();
  }

  [[nodiscard]] const std::vector<EpisodeRow>& episodes() const { return log_.episodes(); }

  // Mean return of episodes first ... last, counted from 1.
  [[nodiscard]] double Mean(int first, int last) const {
    double sum = 0;
    for (int i = first; i <= last; ++i) {
      sum += episodes()[static_cast<size_t>(i) - 1].episode_return;
    }
    return sum / (last - first + 1);
  }

  // Mean return of the learned controller over fresh starts, without learning.
  double Evaluate(int starts) {
    const auto system = loaded_.first.MakeSystem();
    double sum = 0;
    for (int start = 0; start < starts; ++start) {
      const Key key = Key{99, 1}.Fold(static_cast<uint64_t>(start));
      sum += RunEpisode(loaded_.first, *system, learner_->controller(), key,
                        loaded_.first.episode_length(), {})
                 .episode_return;
    }
    return sum / starts;
  }

 private:
  std::pair<Task, Config> loaded_;
  RunOptions run_;
  std::shared_ptr<ThreadPool> executor_;
  RunLog log_;
  std::unique_ptr<Learner> learner_;
};

TEST(MpcGate, LearnsTheCartPoleSwingUpInClosedForm) {
  const GateRun run("cartpole_closed_form", 20);
  EXPECT_GE(run.Mean(8, 12), 170);  // the bound for a single seed; planning on the truth gives 178
}

TEST(MpcGate, LearnsThePendulumIn1500Steps) {
  GateRun run("pendulum", 20);
  EXPECT_EQ(run.episodes().back().total_steps, 1500);
  EXPECT_GE(run.Evaluate(20), -200);
}

#ifdef FOREPLAN_HAVE_MUJOCO
TEST(MpcGate, LearnsThePetsCartPoleSwingUp) {
  const GateRun run("pets_cartpole", 20);
  EXPECT_GE(run.Mean(8, 12), 170);  // as above
}

TEST(MpcGate, HoldsTheInvertedPendulumForAWholeEpisodeWithin2000Steps) {
  const GateRun run("gymnasium_inverted_pendulum", 20);
  EXPECT_LE(run.episodes().back().total_steps, 2000);
  EXPECT_EQ(std::ranges::max(run.episodes(), {}, &EpisodeRow::episode_return).episode_return, 1000);
}

// Planning on the simulator itself, without model error.
double TrueModelReturn(const std::string& planner_name, const std::vector<std::string>& settings,
                       int starts) {
  auto [task, config] = Task::Load("pets_cartpole", settings);
  ThreadPool executor(kThreads);
  const auto system = task.MakeSystem();
  const TrueDynamics dynamics(*system);
  OracleOf<MpcController> controller(
      MakePlanner(planner_name, config,
                  {testing::Borrowed(dynamics), task.shared_planning_reward(), task.spec(),
                   testing::Borrowed(executor)}),
      testing::Borrowed(dynamics));
  double sum = 0;
  for (int start = 0; start < starts; ++start) {
    sum += RunEpisode(task, *system, controller, Key{77, 1}.Fold(static_cast<uint64_t>(start)),
                      task.episode_length(), {})
               .episode_return;
  }
  return sum / starts;
}

// 40 + 32 + 25 sampled rollouts, besides the kept elites. sigma0, keep_fraction and momentum were
// chosen in closed form on other starts.
TEST(TrueModelGate, IcemSwingsUpThePetsCartPoleWith97RolloutsPerStep) {
  const std::vector<std::string> settings = {
      "planner.icem.population=40",    "planner.icem.decay=1.25",
      "planner.icem.iterations=3",     "planner.icem.noise_beta=2.0",
      "planner.icem.horizon=30",       "planner.icem.sigma0=0.65",
      "planner.icem.momentum=0.0",     "planner.icem.execute=\"mean\"",
      "planner.icem.keep_fraction=0.7"};
  EXPECT_GE(TrueModelReturn("icem", settings, 10), 175);
}

TEST(TrueModelGate, CemSwingsUpThePetsCartPoleWithThePublishedSettings) {
  EXPECT_GE(TrueModelReturn("cem", {"planner.cem.horizon=25"}, 1), 177);
}
#endif

}  // namespace
}  // namespace foreplan
