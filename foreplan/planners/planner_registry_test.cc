// Planners that a program makes known.
#include "foreplan/planners/planner_registry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/testing/message_of.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/planners/random_shooting.h"

namespace foreplan {
namespace {

using testing::DoubleIntegrator;
using testing::DoubleIntegratorSpec;
using testing::QuadraticReward;

struct PushOptions {
  int horizon = 3;
  double share = 0.5;  // of the upper bound
  void Visit(OptionsVisitor& visitor) {
    visitor.Field("horizon", horizon, {1, 100}, "steps");
    visitor.Field("share", share, {0, 1}, "of the upper bound");
  }
};

/// Always pushes by the same.
class Push final : public Planner {
 public:
  using Options = PushOptions;
  Push(const Options& options, const PlanningProblem& problem) {
    plan_.actions.assign(static_cast<size_t>(options.horizon),
                         options.share * problem.bounds.high[0]);
  }
  int horizon() const override { return static_cast<int>(plan_.actions.size()); }
  void Reset() override {}
  void set_model(const ModelVersion& /*version*/) override {}
  const Plan& MakePlan(const PlanRequest& request) override {
    plan_.first_step = request.step;
    return plan_;
  }

 private:
  Plan plan_;
};

void MakeKnown() {
  static const bool once = [] {
    RegisterPlanner("push", PlannerEntryOf<Push>());
    RegisterPlanner("makes_nothing",
                    {.make = [](const std::string&, Config&, const PlanningProblem&,
                                std::optional<int>) { return nullptr; },
                     .write = [](const std::string&, Config&, ConfigWriter&) {}});
    return true;
  }();
  (void)once;
}

PlanningProblem Problem() {
  return {std::make_shared<const DoubleIntegrator>(), std::make_shared<const QuadraticReward>(),
          DoubleIntegratorSpec(2.0)};
}

TEST(RegisteredPlanner, IsMadeFromItsSection) {
  MakeKnown();
  Config config = Config::FromString("planner.push.share = 0.25", "test.toml");
  const auto planner = MakePlanner("push", config, Problem());
  const std::vector<double> state = {0, 0};
  EXPECT_EQ(planner->MakePlan({.state = state, .step = 4, .key = {}, .budget = {}}).actions,
            (std::vector<double>{0.5, 0.5, 0.5}));
  EXPECT_EQ(MakePlanner("push", config, Problem(), 7)->horizon(), 7);
  config.ThrowOnUnknownKeys();
  const std::vector<std::string> names = PlannerNames();
  EXPECT_TRUE(std::ranges::count(names, "push"));
}

TEST(RegisteredPlanner, WritesItsOptionsAsTheyAreInEffect) {
  MakeKnown();
  Config config = Config::FromString("planner.push.share = 0.25", "test.toml");
  ConfigWriter writer;
  WritePlannerOptions("push", config, writer);
  EXPECT_NE(writer.text().find("[planner.push]"), std::string::npos) << writer.text();
  EXPECT_NE(writer.text().find("horizon = 3"), std::string::npos) << writer.text();
  EXPECT_NE(writer.text().find("share = 0.25"), std::string::npos) << writer.text();
}

TEST(RegisteredPlanner, HasOptionsThatAreChecked) {
  MakeKnown();
  Config wrong = Config::FromString("planner.push.share = 2", "test.toml");
  EXPECT_NE(MessageOf([&] { MakePlanner("push", wrong, Problem()); }).find("planner.push.share"),
            std::string::npos);
  Config none;
  EXPECT_NE(MessageOf([&] { MakePlanner("psh", none, Problem()); }).find("did you mean 'push'?"),
            std::string::npos);
}

TEST(RegisteredPlanner, NeedsANameThatIsFreeAndMakesSomething) {
  MakeKnown();
  Config config;
  EXPECT_EQ(MessageOf([] { RegisterPlanner("icem", PlannerEntryOf<Push>()); }),
            "planner: found the name 'icem' again, expected one that is free");
  EXPECT_EQ(MessageOf([] { RegisterPlanner("half", {.make = PlannerEntryOf<Push>().make}); }),
            "planner 'half': found no function, expected make and write");
  EXPECT_EQ(MessageOf([&] { MakePlanner("makes_nothing", config, Problem()); }),
            "planner 'makes_nothing': found null, expected what it makes");
}

/// A reward for a model of three observed numbers.
class OfThree final : public Reward {
 public:
  std::optional<TransitionSizes> sizes() const override { return TransitionSizes{3, 1}; }
  void Evaluate(const TransitionBatch& /*batch*/, double* /*reward*/,
                uint8_t* /*terminated*/) const override {
    ADD_FAILURE();
  }
  double Expand(const double* /*observation*/, const double* /*action*/, const double* /*next*/,
                double* /*gradient*/, double* /*hessian*/) const override {
    ADD_FAILURE();
    return 0;
  }
};

TEST(PlanningProblems, WithoutAModelOrARewardOrWithOneOfOtherSizesAreRefused) {
  MakeKnown();
  PlanningProblem no_model = Problem();
  no_model.dynamics = nullptr;
  PlanningProblem no_reward = Problem();
  no_reward.reward = nullptr;
  PlanningProblem of_three = Problem();
  of_three.reward = std::make_shared<const OfThree>();
  for (const std::string& name : PlannerNames()) {
    Config config;
    EXPECT_EQ(MessageOf([&] { MakePlanner(name, config, no_model); }),
              "planner: dynamics: found null, expected a model");
    EXPECT_EQ(MessageOf([&] { MakePlanner(name, config, no_reward); }),
              "planner: reward: found null, expected one");
    EXPECT_EQ(MessageOf([&] { MakePlanner(name, config, of_three); }),
              "planner: reward: found one for 3 observation and 1 action components, expected 2 "
              "and 1");
  }
  EXPECT_EQ(MessageOf([&] { RandomShooting(RandomShootingOptions(), no_model); }),
            "planner: dynamics: found null, expected a model");
  PlanningProblem no_executor = Problem();
  no_executor.executor = nullptr;
  EXPECT_EQ(MessageOf([&] { RandomShooting(RandomShootingOptions(), no_executor); }),
            "imagination: executor: found null, expected one");
}

}  // namespace
}  // namespace foreplan
