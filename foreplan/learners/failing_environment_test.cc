// Runs in an environment whose state cannot be seen and that fails in between.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/learners/testing/test_run.h"
#include "foreplan/systems/testing/scripted_environment.h"

namespace foreplan {
namespace {

using testing::ScriptedEnvironment;

constexpr int kLength = 25;  // steps of an episode, see kTinyRun

/// A cart-pole that pays nothing, fails at one of all its steps and does not begin an episode
/// before it was asked to `refusals` times.
class FlakyEnvironment final : public Environment {
 public:
  FlakyEnvironment(const Task& task, int fails_at, int refusals)
      : inner_(task, [this](int) { return Next(); }), fails_at_(fails_at), refusals_(refusals) {}

  const EnvironmentSpec& spec() const override { return inner_.spec(); }
  void Reset(Key key) override {
    if (failed_ && refusals_-- > 0) throw EnvironmentFailure("connection refused");
    inner_.Reset(key);
  }
  StepOutcome Step(std::span<const double> action) override { return inner_.Step(action); }
  void Observe(std::span<double> observation) const override { inner_.Observe(observation); }

 private:
  StepOutcome Next() {
    if (steps_++ != fails_at_) return {};
    failed_ = true;
    throw EnvironmentFailure("connection lost");
  }

  ScriptedEnvironment inner_;
  int fails_at_;
  int refusals_;
  int steps_ = 0;
  bool failed_ = false;
};

/// A tiny run of a task whose environment may fail.
struct FlakyRun {
  explicit FlakyRun(int fails_at, int refusals, const std::string& algorithm = "mpc",
                    const std::string& reconnect_seconds = "60")
      : loaded(Task::Load(
            "cartpole_closed_form",
            TestRun::Joined(kTinyRun,
                            {"environment.reconnect_seconds=" + reconnect_seconds,
                             "policy_backprop.policy.width=8", "policy_backprop.training.steps=3",
                             "policy_backprop.training.starts=2"}))),
        task({.name = "flaky",
              .environment = std::make_shared<FlakyEnvironment>(loaded.first, fails_at, refusals),
              .reward = loaded.first.shared_planning_reward(),
              .episode_length = kLength}),
        run(Episodes(3, algorithm)),
        learner(MakeLearner(algorithm, loaded.second, {task, run})) {
    learner->AddObserver(std::make_shared<LogObserver>(log, run, kLength));
  }

  std::pair<Task, Config> loaded;
  Task task;
  RunOptions run;
  RunLog log;
  std::unique_ptr<Learner> learner;
};

constexpr int kNever = -1;

/// The sixth step of the second episode, of all the environment's steps: whole plans begin with
/// an episode that only measures the model.
int SixthStepOfTheSecondEpisode(const std::string& algorithm) {
  const bool measures = algorithm == "fit_then_plan" || algorithm == "aggregate";
  return (measures ? 2 : 1) * kLength + 5;
}

class LearnersOfEnvironments : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Loops, LearnersOfEnvironments,
                         ::testing::Values("mpc", "fit_then_plan", "aggregate", "policy_backprop"));

TEST_P(LearnersOfEnvironments, KeepTheEpisodeThatFailedAndGoOnWhenItIsBack) {
  FlakyRun test(SixthStepOfTheSecondEpisode(GetParam()), 2, GetParam());
  test.learner->Run();
  const std::vector<EpisodeRow> rows(test.log.episodes().begin(), test.log.episodes().end());
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].end, EpisodeEnd::kLength);
  EXPECT_EQ(rows[1].end, EpisodeEnd::kFailed);
  EXPECT_EQ(rows[1].steps, 5);
  EXPECT_EQ(rows[1].note, "step 5: connection lost");
  EXPECT_EQ(rows[2].end, EpisodeEnd::kLength);
  const Dataset& data = test.learner->data();
  ASSERT_EQ(data.size(), 2 * kLength + 5);
  EXPECT_EQ(data.end(kLength + 3), StepEnd::kContinues);
  EXPECT_EQ(data.end(kLength + 4), StepEnd::kTruncated);  // no termination
  EXPECT_EQ(data.episode(kLength + 4), 2);
  EXPECT_EQ(data.episode(kLength + 5), 3);
}

class StateKeeper final : public RunObserver {
 public:
  void OnStateComplete(const Learner& learner) override {
    state = {};
    learner.Save(state);
    data = std::make_unique<Dataset>(learner.data());
  }
  TensorFile state;
  std::unique_ptr<Dataset> data;
};

TEST_P(LearnersOfEnvironments, EndWhenItDoesNotComeBackAndGoOnFromThere) {
  FlakyRun test(SixthStepOfTheSecondEpisode(GetParam()), 1'000'000, GetParam(), "0.01");
  const auto kept = std::make_shared<StateKeeper>();
  test.learner->AddObserver(kept);
  EXPECT_EQ(MessageOf<RunError>([&] { test.learner->Run(); }),
            "the environment could not be reached for 0.01 s (environment.reconnect_seconds): "
            "connection refused");
  EXPECT_EQ(kept->data->size(), kLength + 5);
  FlakyRun resumed(kNever, 0, GetParam());
  resumed.learner->Restore(kept->state, *kept->data);
  resumed.learner->Run();
  ASSERT_EQ(resumed.log.episodes().size(), 1U);
  EXPECT_EQ(resumed.log.episodes()[0].episode, 3);
  EXPECT_EQ(resumed.learner->data().size(), 2 * kLength + 5);
}

TEST(LocalModels, SaysThatItNeedsASystem) {
  EXPECT_NE(MessageOf([] { FlakyRun(kNever, 0, "local_models"); }).find("task 'flaky'"),
            std::string::npos);
}

}  // namespace
}  // namespace foreplan
