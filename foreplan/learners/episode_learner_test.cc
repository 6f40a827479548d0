// Learners of programs: what they share, and by name.
#include "foreplan/learners/episode_learner.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/testing/message_of.h"
#include "foreplan/learners/model_learner.h"
#include "foreplan/learners/testing/test_run.h"
#include "foreplan/planners/planner_registry.h"
#include "foreplan/planners/random_shooting.h"
#include "foreplan/systems/testing/scripted_environment.h"

namespace foreplan {
namespace {

using testing::Paid;
using testing::ScriptedEnvironment;

constexpr int kLength = 25;  // steps of an episode, see kTinyRun

/// Pushes by a number that changes from episode to episode.
class Pusher final : public EpisodeLearner {
 public:
  struct Options {
    double most = 1;  // [N]
    void Visit(OptionsVisitor& visitor) { visitor.Field("most", most, {0, 3}, "[N]"); }
  };

  explicit Pusher(const LearnerContext& context) : EpisodeLearner(context) {}
  Pusher(Config& config, const LearnerContext& context)
      : EpisodeLearner(config, context), options_(ReadOptions<Options>(config, "pusher")) {}

  bool Step() override {
    if (Done()) return false;
    policy_.push += options_.most * Random(EpisodeKey().Fold(7)).Uniform(-1, 1);
    PlayEpisode("push", policy_);
    Checkpoint();
    return true;
  }
  void Save(TensorFile& state) const override {
    EpisodeLearner::Save(state);
    state.tensors["push"] = {{1}, std::vector<double>{policy_.push}};
  }
  void Restore(const TensorFile& state, Dataset data) override {
    EpisodeLearner::Restore(state, std::move(data));
    policy_.push = state.Doubles("push", std::array<int64_t, 1>{1})[0];
  }
  Policy& controller() override { return policy_; }

 private:
  struct Constant final : Policy {
    void Act(const Situation& /*situation*/, std::span<double> action) override {
      action[0] = push;
    }
    double push = 0;
  };

  Options options_;
  Constant policy_;
};

/// A loop over a model that only ever fits it.
class Fitter final : public ModelLearner {
 public:
  Fitter(Config& config, const LearnerContext& context)
      : ModelLearner(context, ReadModelLearnerParts(config, context, false), "zero") {}
  bool Step() override {
    if (Done()) return false;
    PlayBaseEpisode();
    Refit();
    return true;
  }
  Policy& controller() override { throw RunError("has none"); }
};

void MakeKnown() {
  static const bool once = [] {
    RegisterLearner("pusher", LearnerEntryOf<Pusher>());
    RegisterLearner("fitter", LearnerEntryOf<Fitter>());
    RegisterPlanner("shoots", PlannerEntryOf<RandomShooting>());
    return true;
  }();
  (void)once;
}

std::vector<double> Returns(const RunLog& log) {
  std::vector<double> returns;
  for (const EpisodeRow& row : log.episodes()) returns.push_back(row.episode_return);
  return returns;
}

// --- by name

TEST(RegisteredLearner, RunsWithTheOptionsOfItsSection) {
  MakeKnown();
  TestRun run(Episodes(3, "pusher"), 1, {"pusher.most=0"});
  run.learner->Run();
  EXPECT_EQ(run.log.episodes().size(), 3U);
  EXPECT_EQ(run.log.episodes()[2].controller, "push");
  EXPECT_EQ(run.learner->data().size(), 3 * kLength);
  EXPECT_EQ(run.learner->data().action(0)[0], 0);
  EXPECT_FALSE(LearnerPlans("pusher"));
}

TEST(RegisteredLearner, WritesItsSectionsAsTheyAreInEffect) {
  MakeKnown();
  Config config = Config::FromString("pusher.most = 2\nenvironment.reconnect_seconds = 3", "test");
  ConfigWriter pusher;
  WriteLearnerOptions("pusher", {}, config, pusher);
  EXPECT_NE(pusher.text().find("[pusher]\n"), std::string::npos) << pusher.text();
  EXPECT_NE(pusher.text().find("most = 2"), std::string::npos) << pusher.text();
  EXPECT_NE(pusher.text().find("reconnect_seconds = 3"), std::string::npos) << pusher.text();
  ConfigWriter fitter;
  WriteLearnerOptions("fitter", {}, config, fitter);
  for (const char* section : {"[environment]", "[model]", "[fit]", "[planner.icem]"}) {
    EXPECT_NE(fitter.text().find(section), std::string::npos) << section;
  }
}

TEST(RegisteredLearner, MayBeALoopOverAModel) {
  MakeKnown();
  TestRun run(Episodes(2, "fitter"));
  run.learner->Run();
  EXPECT_EQ(run.Count("fit.seconds"), 2);
}

TEST(RegisteredLearner, NeedsANameThatIsFreeAndFunctions) {
  MakeKnown();
  EXPECT_EQ(MessageOf([] { RegisterLearner("mpc", LearnerEntryOf<Pusher>()); }),
            "algorithm: found the name 'mpc' again, expected one that is free");
  EXPECT_EQ(MessageOf([] { RegisterLearner("half", {.write = LearnerEntryOf<Pusher>().write}); }),
            "algorithm 'half': found no function, expected make and write");
  EXPECT_NE(MessageOf([] { TestRun(Episodes(1, "pushr")); }).find("did you mean 'pusher'?"),
            std::string::npos);
}

TEST(RegisteredPlanner, IsWhatARunPlansWith) {
  MakeKnown();
  RunOptions run = Episodes(2);
  run.planner = "shoots";
  // The library's own under another name: to the bit what it is under its own.
  const std::vector<std::string> small = {
      "planner.shoots.population=20", "planner.shoots.horizon=4",
      "planner.random_shooting.population=20", "planner.random_shooting.horizon=4"};
  TestRun named(run, 1, small);
  named.learner->Run();
  run.planner = "random_shooting";
  TestRun own(run, 1, small);
  own.learner->Run();
  EXPECT_EQ(Returns(named.log), Returns(own.log));
  EXPECT_EQ(named.Count("planning.ms_per_decision"), 1);
}

TEST(Learners, TakeTheNameTheyAreMadeByForTheAlgorithm) {
  MakeKnown();
  auto [task, config] = Task::Load("cartpole_closed_form", kTinyRun);
  // The options say mpc, as they do by default; a loop that does not plan has no planner.
  EXPECT_NO_THROW(MakeLearner("policy_backprop", config, {task, {.episodes = 1}}));
  RegisterLearner("says_its_name",
                  {.make = [](Config&, const LearnerContext& context) -> std::unique_ptr<Learner> {
                     throw InputError(context.run.algorithm);
                   },
                   .write = [](const std::string&, const RunOptions&, Config&, ConfigWriter&) {}});
  EXPECT_EQ(MessageOf([&config, &task = task] {
              MakeLearner("says_its_name", config, {task, {.episodes = 1}});
            }),
            "says_its_name");
  EXPECT_EQ(MessageOf([&config, &task = task] {
              MakeLearner("mpc", config, {.task = task, .run = {}, .executor = nullptr});
            }),
            "learner: executor: found null, expected one");
}

// --- what they share

TEST(EpisodeLearner, RestoredItGoesOnBitForBit) {
  MakeKnown();
  TestRun whole(Episodes(4, "pusher"));
  whole.learner->Run();
  TestRun begun(Episodes(2, "pusher"));
  begun.learner->Run();
  TensorFile state;
  begun.learner->Save(state);
  TestRun resumed(Episodes(4, "pusher"));
  resumed.learner->Restore(state, begun.learner->data());
  resumed.learner->Run();
  const std::vector<double> all = Returns(whole.log);
  EXPECT_EQ(Returns(resumed.log), (std::vector<double>{all[2], all[3]}));
  EXPECT_EQ(resumed.log.episodes()[1].episode, 4);
  EXPECT_EQ(resumed.log.episodes()[1].total_steps, 4 * kLength);
  EXPECT_EQ(resumed.learner->data().size(), 4 * kLength);
  EXPECT_EQ(resumed.learner->data().next_episode(), 5);
}

TEST(EpisodeLearner, EveryEpisodeBeginsElsewhere) {
  MakeKnown();
  TestRun run(Episodes(2, "pusher"));
  run.learner->Run();
  const Dataset& data = run.learner->data();
  EXPECT_NE(data.observation(0)[0], data.observation(kLength)[0]);
}

TEST(EpisodeLearner, KeepsToTheBoundOfSteps) {
  MakeKnown();
  RunOptions options = Episodes(0, "pusher");
  options.steps = kLength + 3;
  TestRun run(options);
  run.learner->Run();
  ASSERT_EQ(run.log.episodes().size(), 2U);
  EXPECT_EQ(run.log.episodes()[1].steps, 3);
  EXPECT_EQ(run.log.episodes()[1].end, EpisodeEnd::kCutOff);
  EXPECT_EQ(run.learner->data().end(kLength + 2), StepEnd::kTruncated);
}

TEST(EpisodeLearner, StopsWhenAsked) {
  MakeKnown();
  TestRun run(Episodes(3, "pusher"));
  run.stop.request_stop();
  EXPECT_THROW(run.learner->Run(), Interrupted);
}

TEST(EpisodeLearner, TakesDataOfOthers) {
  MakeKnown();
  TestRun run(Episodes(1, "pusher"));
  run.learner->Run();
  run.learner->AddData(Dataset(run.learner->data()));
  EXPECT_EQ(run.learner->data().size(), 2 * kLength);
  EXPECT_EQ(run.learner->data().episode(kLength), 2);
}

TEST(EpisodeLearner, RefusesAStateThatCannotBe) {
  MakeKnown();
  TestRun run(Episodes(1, "pusher"));
  TensorFile state;
  run.learner->Save(state);
  state.tensors["learner.episodes"] = {{2}, std::vector<int32_t>{-1, 0}};
  EXPECT_NE(
      MessageOf([&] { run.learner->Restore(state, run.learner->data()); }).find("learner.episodes"),
      std::string::npos);
}

TEST(EpisodeLearner, TheModelIsTheStateUnlessItSaysOtherwise) {
  MakeKnown();
  TestRun run(Episodes(1, "pusher"));
  run.learner->Run();
  EXPECT_EQ(run.learner->Model().tensors.count("push"), 1U);
}

// --- environments that end, or say nothing, at once

/// A cart-pole one of whose sensors is broken from the first observation on.
class Broken final : public Environment {
 public:
  explicit Broken(const Task& task) : inner_(task, [](int) { return StepOutcome(); }) {}
  const EnvironmentSpec& spec() const override { return inner_.spec(); }
  void Reset(Key key) override { inner_.Reset(key); }
  StepOutcome Step(std::span<const double> action) override { return inner_.Step(action); }
  void Observe(std::span<double> observation) const override {
    inner_.Observe(observation);
    observation[1] = std::numeric_limits<double>::quiet_NaN();
  }

 private:
  ScriptedEnvironment inner_;
};

/// A tiny run of the cart-pole in an environment.
struct OwnRun {
  using Make = std::function<std::shared_ptr<Environment>(const Task& task)>;

  OwnRun(const std::string& algorithm, const Make& make, RunOptions options)
      : loaded(Task::Load("cartpole_closed_form",
                          TestRun::Joined(kTinyRun, {"policy_backprop.policy.width=8",
                                                     "policy_backprop.training.steps=3",
                                                     "policy_backprop.training.starts=2"}))),
        run(std::move(options)) {
    run.algorithm = algorithm;
    const Task task({.name = "own",
                     .environment = make(loaded.first),
                     .reward = loaded.first.shared_planning_reward(),
                     .episode_length = kLength,
                     .encoding = loaded.first.encoding()});
    learner = MakeLearner(algorithm, loaded.second, {task, run});
    learner->AddObserver(std::make_shared<LogObserver>(log));
  }

  std::pair<Task, Config> loaded;
  RunOptions run;
  RunLog log;
  std::unique_ptr<Learner> learner;
};

class EndsAtOnce : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Loops, EndsAtOnce,
                         ::testing::Values("mpc", "fit_then_plan", "aggregate", "policy_backprop",
                                           "pusher"));

TEST_P(EndsAtOnce, EpisodesOfOneStepAreEpisodes) {
  MakeKnown();
  const auto ends = [](const Task& task) {
    return std::make_shared<ScriptedEnvironment>(task,
                                                 [](int) { return Paid(0, StepEnd::kTerminated); });
  };
  OwnRun by_episodes(GetParam(), ends, {.episodes = 4});
  by_episodes.learner->Run();
  ASSERT_EQ(by_episodes.log.episodes().size(), 4U);
  EXPECT_EQ(by_episodes.log.episodes()[3].end, EpisodeEnd::kTerminated);
  EXPECT_EQ(by_episodes.learner->data().size(), 4);
  EXPECT_EQ(by_episodes.learner->data().end(3), StepEnd::kTerminated);
  OwnRun by_steps(GetParam(), ends, {.steps = 5});
  by_steps.learner->Run();
  EXPECT_EQ(by_steps.log.episodes().size(), 5U);
}

TEST_P(EndsAtOnce, AnObservationThatIsNoNumberAtTheStartEndsTheRunAndIsNamed) {
  MakeKnown();
  const auto broken = [](const Task& task) { return std::make_shared<Broken>(task); };
  OwnRun run(GetParam(), broken, {.episodes = 4});
  EXPECT_EQ(MessageOf<RunError>([&] { run.learner->Run(); }),
            "episode 1 diverged before its first step was done: start: observation 'hinge' is nan");
  EXPECT_EQ(run.log.episodes().size(), 1U);  // it is told
}

}  // namespace
}  // namespace foreplan
