// Tasks in code whose parts are wrong: one line says who says what.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/testing/message_of.h"
#include "foreplan/systems/task.h"
#include "foreplan/systems/testing/scripted_environment.h"

namespace foreplan {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Says what it is, and does nothing.
class Idle final : public Environment {
 public:
  explicit Idle(EnvironmentSpec spec) : spec_(std::move(spec)) {}
  const EnvironmentSpec& spec() const override { return spec_; }
  void Reset(Key /*key*/) override {}
  StepOutcome Step(std::span<const double> /*action*/) override { return {}; }
  void Observe(std::span<double> observation) const override { observation[0] = 0; }

 private:
  EnvironmentSpec spec_;
};

EnvironmentSpec TankSpec() {
  EnvironmentSpec spec;
  spec.dt = 0.5;
  spec.observation = {{"level", "m"}};
  spec.action = {{"valve", ""}, {"pump", "W"}};
  spec.action_low = {0, -1};
  spec.action_high = {1, 1};
  return spec;
}

TaskDefinition TankTask(EnvironmentSpec spec = TankSpec()) {
  return {.name = "tank",
          .environment = std::make_shared<Idle>(std::move(spec)),
          .reward = ExpressionText{.where = "", .text = "-level"},
          .episode_length = 10};
}

std::string WrongTask(const TaskDefinition& definition) {
  return MessageOf([&] { const Task task(definition); });
}

struct WrongSpec {
  std::string name;
  std::function<void(EnvironmentSpec&)> spoil;
  std::string message;
};

class EnvironmentSpecs : public ::testing::TestWithParam<WrongSpec> {};

TEST_P(EnvironmentSpecs, ThatAreWrongAreRefusedByTheTask) {
  EnvironmentSpec spec = TankSpec();
  GetParam().spoil(spec);
  EXPECT_EQ(WrongTask(TankTask(spec)), "task 'tank': environment: " + GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, EnvironmentSpecs,
    ::testing::Values(
        WrongSpec{"NoTime", [](EnvironmentSpec& spec) { spec.dt = 0; },
                  "dt: found 0, expected a time above 0 [s]"},
        WrongSpec{"NegativeTime", [](EnvironmentSpec& spec) { spec.dt = -0.5; },
                  "dt: found -0.5, expected a time above 0 [s]"},
        WrongSpec{"NanTime", [](EnvironmentSpec& spec) { spec.dt = kNan; },
                  "dt: found nan, expected a time above 0 [s]"},
        WrongSpec{"NanBound", [](EnvironmentSpec& spec) { spec.action_low[1] = kNan; },
                  "action 'pump': found the bounds nan and 1, expected two finite numbers, the "
                  "lower one first"},
        WrongSpec{"InfiniteBound", [](EnvironmentSpec& spec) { spec.action_high[0] = kInfinity; },
                  "action 'valve': found the bounds 0 and inf, expected two finite numbers, the "
                  "lower one first"},
        WrongSpec{"ReversedBounds",
                  [](EnvironmentSpec& spec) { std::swap(spec.action_low, spec.action_high); },
                  "action 'valve': found the bounds 1 and 0, expected two finite numbers, the "
                  "lower one first"},
        WrongSpec{"EqualBounds", [](EnvironmentSpec& spec) { spec.action_low[0] = 1; },
                  "action 'valve': found the bounds 1 and 1, expected two finite numbers, the "
                  "lower one first"},
        WrongSpec{"FewLowerBounds", [](EnvironmentSpec& spec) { spec.action_low = {0}; },
                  "action_low: found 1 numbers, expected 2, one per action"},
        WrongSpec{"ManyUpperBounds",
                  [](EnvironmentSpec& spec) {
                    spec.action_high = {1, 1, 1};
                  },
                  "action_high: found 3 numbers, expected 2, one per action"},
        WrongSpec{"NothingObserved", [](EnvironmentSpec& spec) { spec.observation = {}; },
                  "observation: found none, expected one at least"},
        WrongSpec{"NoActions", [](EnvironmentSpec& spec) { spec.action = {}; },
                  "action: found none, expected one at least"},
        WrongSpec{"NoName", [](EnvironmentSpec& spec) { spec.observation[0].name = ""; },
                  "observation: found no name of component 1 of 1, expected one"},
        WrongSpec{"NameTwice", [](EnvironmentSpec& spec) { spec.action[1].name = "valve"; },
                  "action: found the name 'valve' twice, expected another for each"}),
    [](const auto& info) { return info.param.name; });

/// Pays nothing and says, or does not say, for whom it is written.
class SizedReward final : public Reward {
 public:
  explicit SizedReward(std::optional<TransitionSizes> sizes) : sizes_(sizes) {}
  std::optional<TransitionSizes> sizes() const override { return sizes_; }
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    std::fill_n(reward, batch.rows, 0.0);
    std::fill_n(terminated, batch.rows, uint8_t{0});
  }

 private:
  std::optional<TransitionSizes> sizes_;
};

RewardSource OfSizes(std::optional<TransitionSizes> sizes) {
  return std::make_shared<const SizedReward>(sizes);
}

TEST(TaskInCode, RefusesARewardOfOtherSizes) {
  TaskDefinition definition = TankTask();
  definition.reward = OfSizes(TransitionSizes{4, 2});
  EXPECT_EQ(WrongTask(definition),
            "task 'tank': reward: found one for 4 observation and 2 action components, expected 1 "
            "and 2");
  definition.reward = OfSizes(TransitionSizes{1, 2});
  definition.planning_reward = OfSizes(TransitionSizes{1, 3});
  EXPECT_EQ(WrongTask(definition),
            "task 'tank': planning_reward: found one for 1 observation and 3 action components, "
            "expected 1 and 2");
  definition.planning_reward = OfSizes({});  // of any
  EXPECT_EQ(WrongTask(definition), "");
}

TEST(TaskInCode, EveryRewardOfTheLibrarySaysItsSizes) {
  const auto shipped = MakeReward("pendulum", 3, 1);
  EXPECT_EQ(shipped->sizes(), (TransitionSizes{3, 1}));
  const Task task(TankTask());
  EXPECT_EQ(task.reward().sizes(), (TransitionSizes{1, 2}));
}

TEST(TaskInCode, RefusesWhatIsNull) {
  const auto with = [](const std::function<void(TaskDefinition&)>& spoil) {
    TaskDefinition definition = TankTask();
    spoil(definition);
    return WrongTask(definition);
  };
  const std::shared_ptr<const Reward> none;
  EXPECT_EQ(with([&](TaskDefinition& task) { task.reward = none; }),
            "task 'tank': reward: found null, expected a function");
  EXPECT_EQ(with([&](TaskDefinition& task) { task.planning_reward = none; }),
            "task 'tank': planning_reward: found null, expected a function");
  EXPECT_EQ(with([&](TaskDefinition& task) { task.reward = LearnedFromData{}; }),
            "task 'tank': reward: found one that is learned, which only planning_reward can be, "
            "expected an expression, the name of a reward, a function, or what the environment "
            "pays");
  EXPECT_EQ(with([](TaskDefinition& task) { task.environment = nullptr; }),
            "task 'tank': found none of system, environment and make_environment, expected one");
  EXPECT_EQ(with([](TaskDefinition& task) {
              task.environment = nullptr;
              task.make_environment = [] { return nullptr; };
            }),
            "task 'tank': make_environment: found null, expected an environment");
  EXPECT_EQ(with([](TaskDefinition& task) { task.conditions = {nullptr}; }),
            "task 'tank': conditions: found null, expected a system");
}

TEST(TaskInCode, LooksAtEveryEnvironmentThatAFactoryMakes) {
  const auto made = std::make_shared<int>(0);
  TaskDefinition definition = TankTask();
  definition.environment = nullptr;
  definition.make_environment = [made]() -> std::unique_ptr<Environment> {
    EnvironmentSpec spec = TankSpec();
    if (++*made == 2) spec.dt = 0.25;
    return *made < 3 ? std::make_unique<Idle>(spec) : nullptr;
  };
  const Task task(definition);
  EXPECT_EQ(MessageOf([&] { (void)task.MakeEnvironment(); }),
            "task 'tank': make_environment: found a system of 1 observed components, 2 actions, "
            "0.25 s per step, expected those of the first it made: 1, 2, 0.5 s");
  EXPECT_EQ(MessageOf([&] { (void)task.MakeEnvironment(); }),
            "task 'tank': make_environment: found null, expected an environment");
}

TEST(TaskInCode, AFactoryThatThrowsIsNamedAndAFailureMayPass) {
  TaskDefinition definition = TankTask();
  definition.environment = nullptr;
  definition.make_environment = []() -> std::unique_ptr<Environment> {
    throw std::out_of_range("no port");
  };
  EXPECT_EQ(WrongTask(definition), "task 'tank': make_environment throws: no port");
  definition.make_environment = []() -> std::unique_ptr<Environment> {
    throw EnvironmentFailure("busy");
  };
  EXPECT_THROW(Task{definition}, EnvironmentFailure);
}

TEST(TaskInCode, ItsFileSaysThatOnlyItsProgramKnowsIt) {
  ConfigWriter writer;
  Task(TankTask()).Save(writer, ".");
  Config config = Config::FromString(writer.text(), "run/config.toml");
  EXPECT_EQ(MessageOf([&] { (void)Task::FromConfig(config, "."); }),
            "run/config.toml: found a task made in code, expected one of a file: only the program "
            "that made it can go on with it");
}

TEST(TaskInCode, SaysWhoNeedsASystem) {
  const Task task(TankTask());
  EXPECT_FALSE(task.has_system());
  EXPECT_NE(MessageOf([&] { (void)task.MakeSystem(); }).find("task 'tank': found an environment"),
            std::string::npos);
}

}  // namespace
}  // namespace foreplan
