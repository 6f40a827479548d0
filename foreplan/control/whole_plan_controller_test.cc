#include "foreplan/control/whole_plan_controller.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <stop_token>
#include <utility>
#include <vector>

#include "foreplan/control/episode.h"
#include "foreplan/core/error.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/planners/ilqr_planner.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

constexpr int kSteps = 150;

/// The return of an episode of the closed-form cart-pole of which every action is disturbed a
/// little, from a plan of the undisturbed model.
double ReturnUnderDisturbance(bool tracked, double disturbance, double& predicted) {
  const auto [task, config] = Task::Load("cartpole_closed_form");
  const auto system = task.MakeSystem();
  const TrueDynamics dynamics(*system);
  ThreadPool executor(1);
  const PlanningProblem problem{testing::Borrowed(dynamics), task.shared_planning_reward(),
                                task.spec(), testing::Borrowed(executor)};
  IlqrPlanner::Options options;
  options.horizon = kSteps;
  options.first_iterations = 300;
  options.guesses = 1024;
  IlqrPlanner planner(options, problem);
  using Controller = OracleOf<WholePlanController>;
  Controller controller(testing::Borrowed(planner), problem, testing::Borrowed(dynamics),
                        WholePlanControl{.track = tracked});

  struct Disturbed final : Policy, Oracle {
    explicit Disturbed(Controller& inner, double size) : inner(inner), size(size) {}
    void Reset(Key key) override { inner.Reset(key); }
    void See(std::span<const double> state) override { inner.See(state); }
    void Act(const Situation& situation, std::span<double> action) override {
      inner.Act(situation, action);
      if (inner.new_plan() != nullptr) predicted = inner.new_plan()->expected_return;
      Random random(situation.key.Fold(99));
      for (double& entry : action) entry += size * random.Normal();
    }
    Controller& inner;
    double size;
    double predicted = 0;
  } policy(controller, disturbance);
  const EpisodeResult result =
      RunEpisode(task, *system, policy, Key{3, 0}, kSteps, [](const EpisodeStep& /*step*/) {});
  predicted = policy.predicted;
  return result.episode_return;
}

// Answers with plans of which every action is unlike the others, and remembers what it was asked.
class CountingPlanner final : public Planner {
 public:
  std::vector<int64_t> steps;                             // of the requests
  std::vector<std::shared_ptr<const Dynamics>> dynamics;  // before each of them
  std::stop_token stop;                                   // of the last request
  int resets = 0;
  int missing = 0;  // actions that its plans lack

  [[nodiscard]] int horizon() const override { return 4; }
  void Reset() override { ++resets; }
  void set_model(const ModelVersion& version) override { dynamics.push_back(version.dynamics); }
  const Plan& MakePlan(const PlanRequest& request) override {
    steps.push_back(request.step);
    stop = request.stop;
    plan_.first_step = request.step;
    plan_.actions.clear();
    for (int i = 0; i < horizon() - missing; ++i) {
      plan_.actions.push_back(10.0 * static_cast<double>(request.step) + i);
    }
    return plan_;
  }

 private:
  Plan plan_;
};

class PlanningPeriod : public ::testing::Test {
 protected:
  /// The actions of an episode.
  std::vector<double> Play(const WholePlanControl& control, int steps) {
    WholePlanController controller(testing::Borrowed(planner_),
                                   {testing::Borrowed(dynamics_), testing::Borrowed(reward_), spec_,
                                    testing::Borrowed(executor_)},
                                   ModelSource([this] { return ModelVersion{present_}; }), control);
    controller.Reset(Key{});
    std::vector<double> actions;
    const std::vector<double> state = {0, 0};
    for (int t = 0; t < steps; ++t) {
      double action = 0;
      controller.Act({.observation = state, .time = t, .key = Key{}}, {&action, 1});
      actions.push_back(action);
      EXPECT_EQ(controller.new_plan() != nullptr, planner_.steps.back() == t) << t;
    }
    return actions;
  }

  CountingPlanner planner_;
  testing::DoubleIntegrator dynamics_;
  std::shared_ptr<const Dynamics> present_ = testing::Borrowed(dynamics_);
  testing::QuadraticReward reward_;
  EnvironmentSpec spec_ = testing::DoubleIntegratorSpec(1000);
  ThreadPool executor_{1};
};

TEST_F(PlanningPeriod, IsTheNumberOfStepsBetweenPlans) {
  EXPECT_EQ(Play({.period = 3}, 10), (std::vector<double>{0, 1, 2, 30, 31, 32, 60, 61, 62, 90}));
  EXPECT_EQ(planner_.steps, (std::vector<int64_t>{0, 3, 6, 9}));
}

TEST_F(PlanningPeriod, AnInterruptEndsThePlanThatIsBeingMade) {
  std::stop_source interrupt;
  Play({.period = 3, .stop = interrupt.get_token()}, 1);
  EXPECT_FALSE(planner_.stop.stop_requested());
  interrupt.request_stop();
  EXPECT_TRUE(planner_.stop.stop_requested());
}

TEST_F(PlanningPeriod, OfZeroUsesEachPlanUp) {
  EXPECT_EQ(Play({.period = 0}, 6), (std::vector<double>{0, 1, 2, 3, 40, 41}));
}

TEST_F(PlanningPeriod, BeyondThePlanEndsWithThePlan) {
  EXPECT_EQ(Play({.period = 9}, 6), (std::vector<double>{0, 1, 2, 3, 40, 41}));
}

TEST_F(PlanningPeriod, WarmStartsAreForgottenAtTheEpisodesStartOnly) {
  Play({.period = 2}, 8);
  EXPECT_EQ(planner_.resets, 1);
  Play({.period = 0}, 8);
  EXPECT_EQ(planner_.resets, 2);
}

TEST_F(PlanningPeriod, EveryPlanIsMadeWithTheModelThatIsThereThen) {
  Play({.polish = 1, .period = 2}, 3);
  const auto first = present_;
  EXPECT_EQ(planner_.dynamics, (std::vector{first, first}));
  present_ = std::make_shared<const testing::DoubleIntegrator>();
  Play({.polish = 1, .period = 2}, 1);
  EXPECT_EQ(planner_.dynamics.back(), present_);
}

TEST_F(PlanningPeriod, APlanOfAnotherLengthIsRefused) {
  planner_.missing = 1;
  try {
    Play({}, 1);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "planner: plan: found 3 numbers, expected 4: 4 steps of 1");
  }
}

TEST(WholePlanController, EarnsWhatThePlanPredictsWithoutDisturbance) {
  double predicted = 0;
  const double open_loop = ReturnUnderDisturbance(false, 0, predicted);
  EXPECT_GT(predicted, 60);  // swings up and balances for a while
  EXPECT_NEAR(open_loop, predicted, 1e-6);
}

TEST(WholePlanController, APolishedPlanExpectsWhatThePolishedActionsEarn) {
  const testing::DoubleIntegrator dynamics;
  const testing::QuadraticReward reward;
  const EnvironmentSpec spec = testing::DoubleIntegratorSpec(1000);
  ThreadPool executor(1);
  CountingPlanner planner;
  WholePlanController controller(
      testing::Borrowed(planner),
      {testing::Borrowed(dynamics), testing::Borrowed(reward), spec, testing::Borrowed(executor)},
      testing::Borrowed(dynamics), {.polish = 20});
  controller.Reset(Key{});
  const std::vector<double> state = {1, 0};
  double action = 0;
  controller.Act({.observation = state, .time = 0, .key = Key{}}, {&action, 1});
  ASSERT_NE(controller.new_plan(), nullptr);
  EXPECT_NEAR(controller.new_plan()->expected_return,
              testing::ReturnOf(controller.new_plan()->actions, state), 1e-12);
  EXPECT_NEAR(controller.new_plan()->expected_return, testing::OptimalReturn({1, 0}, 4), 1e-6);
}

TEST(WholePlanController, NeedsFeedbackToBalanceUnderDisturbance) {
  double predicted = 0;
  const double open_loop = ReturnUnderDisturbance(false, 0.05, predicted);
  const double tracked = ReturnUnderDisturbance(true, 0.05, predicted);
  EXPECT_LT(open_loop, 0.5 * predicted);  // upright, an error grows by a fifth per step
  EXPECT_GT(tracked, 0.97 * predicted);
}

}  // namespace
}  // namespace foreplan
