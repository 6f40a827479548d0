#include "foreplan/control/mpc_controller.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stop_token>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/models/testing/double_integrator.h"
#include "foreplan/models/true_dynamics.h"
#include "foreplan/systems/closed_form/cartpole.h"

namespace foreplan {
namespace {

// Answers with a fixed plan and remembers what it was asked.
class FakePlanner final : public Planner {
 public:
  std::vector<double> state;
  int64_t step = -1;
  Budget budget;
  std::stop_token stop;
  Key key;
  int resets = 0;
  int plans = 0;
  bool wants_feedback = false;
  std::shared_ptr<const Dynamics> dynamics;
  std::shared_ptr<const Reward> reward;

  FakePlanner() { plan_.actions = {0.25, 0.5, 0.75}; }
  [[nodiscard]] int horizon() const override { return 3; }
  void Reset() override { ++resets; }
  void set_model(const ModelVersion& version) override {
    dynamics = version.dynamics;
    reward = version.reward;
  }
  const Plan& MakePlan(const PlanRequest& request) override {
    state.assign(request.state.begin(), request.state.end());
    step = request.step;
    budget = request.budget;
    stop = request.stop;
    key = request.key;
    wants_feedback = request.feedback;
    plan_.first_step = request.step;
    ++plans;
    return plan_;
  }

 private:
  Plan plan_;
};

const std::vector<double> kObservation = {1, 2};
const std::vector<double> kState = {3, 4, 5};
const auto kModel = std::make_shared<const testing::DoubleIntegrator>();
constexpr Key kKey{.seed = 1, .stream = 2};

TEST(MpcController, ExecutesTheFirstActionOfThePlan) {
  FakePlanner planner;
  MpcController controller(testing::Borrowed(planner), kModel);
  controller.Reset(Key{});
  EXPECT_EQ(planner.resets, 1);
  double action = 0;
  controller.Act({.observation = kObservation, .time = 7, .key = kKey}, {&action, 1});
  EXPECT_EQ(action, 0.25);
  EXPECT_EQ(planner.step, 7);
  EXPECT_EQ(planner.key, kKey);
  EXPECT_EQ(controller.new_plan()->actions.size(), 3U);
}

TEST(MpcController, GivesEachDecisionItsTime) {
  FakePlanner planner;
  double action = 0;
  const Situation situation{.observation = kObservation, .time = 0, .key = kKey};
  MpcController(testing::Borrowed(planner), kModel).Act(situation, {&action, 1});
  EXPECT_FALSE(planner.budget.deadline.has_value());
  MpcController timed(testing::Borrowed(planner), kModel, {.deadline = DecisionTime(2000)});
  for (int decision = 0; decision < 2; ++decision) {
    const auto before = std::chrono::steady_clock::now();
    timed.Act(situation, {&action, 1});
    const auto after = std::chrono::steady_clock::now();
    EXPECT_GE(planner.budget.deadline, before + std::chrono::seconds(2));
    EXPECT_LE(planner.budget.deadline, after + std::chrono::seconds(2));
  }
}

TEST(MpcController, AnInterruptEndsTheDecisionThatIsBeingMade) {
  FakePlanner planner;
  double action = 0;
  const Situation situation{.observation = kObservation, .time = 0, .key = kKey};
  std::stop_source interrupt;
  MpcController controller(testing::Borrowed(planner), kModel, {.stop = interrupt.get_token()});
  controller.Act(situation, {&action, 1});
  EXPECT_FALSE(planner.stop.stop_requested());
  interrupt.request_stop();
  EXPECT_TRUE(planner.stop.stop_requested());
  EXPECT_THROW(controller.Act(situation, {&action, 1}), Interrupted);
}

TEST(MpcController, NoTimeForADecisionIsNoLimit) {
  EXPECT_FALSE(DecisionTime(0).has_value());
  EXPECT_EQ(DecisionTime(0.5), std::chrono::microseconds(500));
}

TEST(MpcController, PlansFromWhatTheModelCallsItsState) {
  FakePlanner planner;
  double action = 0;
  const Situation situation{.observation = kObservation, .time = 0, .key = kKey};
  MpcController(testing::Borrowed(planner), kModel).Act(situation, {&action, 1});
  EXPECT_EQ(planner.state, kObservation);
  const auto true_model = std::make_shared<const TrueDynamics>(CartPole());
  OracleOf<MpcController> oracle(testing::Borrowed(planner), true_model);
  oracle.See(kState);
  oracle.Act(situation, {&action, 1});
  EXPECT_EQ(planner.state, kState);
  // Nobody plans from what its model does not know.
  EXPECT_EQ(MessageOf([&] {
              MpcController(testing::Borrowed(planner), true_model).Act(situation, {&action, 1});
            }),
            "controller: model: found one of the full state, expected one of observations, or an "
            "oracle (OracleOf) to see that state");
  EXPECT_EQ(MessageOf([&] {
              OracleOf<MpcController> other(testing::Borrowed(planner), kModel);
              other.Act(situation, {&action, 1});
            }),
            "controller: model: found one of observations, expected one of the full state, which "
            "an oracle sees");
}

TEST(MpcController, TakesTheModelThatIsThereAtEveryDecision) {
  FakePlanner planner;
  std::shared_ptr<const Dynamics> present = kModel;
  MpcController controller(testing::Borrowed(planner),
                           ModelSource([&] { return ModelVersion{present}; }));
  double action = 0;
  Situation situation{.observation = kObservation, .time = 0, .key = kKey};
  controller.Act(situation, {&action, 1});
  EXPECT_EQ(planner.dynamics, kModel);
  present = std::make_shared<const testing::DoubleIntegrator>();
  situation.time = 1;
  controller.Act(situation, {&action, 1});
  EXPECT_EQ(planner.dynamics, present);
  EXPECT_EQ(planner.reward, nullptr);
}

TEST(MpcController, HandsOnTheRewardThatWasLearnedWithTheModel) {
  FakePlanner planner;
  const auto reward = std::make_shared<const testing::QuadraticReward>();
  MpcController controller(testing::Borrowed(planner), ModelSource([&] {
                             return ModelVersion{kModel, reward};
                           }));
  double action = 0;
  const Situation situation{.observation = kObservation, .time = 0, .key = kKey};
  controller.Act(situation, {&action, 1});
  EXPECT_EQ(planner.reward, reward);
}

TEST(MpcController, TellsWhatTheLastPlanWasMadeOf) {
  FakePlanner planner;
  std::shared_ptr<const Dynamics> present = kModel;
  MpcController controller(testing::Borrowed(planner),
                           ModelSource([&] { return ModelVersion{present}; }),
                           {.deadline = {}, .period = 2});
  controller.Reset(Key{});
  double action = 0;
  std::vector<double> observation = kObservation;
  for (int time = 0; time < 2; ++time) {
    const Situation situation{.observation = observation, .time = time, .key = kKey};
    controller.Act(situation, {&action, 1});
    // What comes later is no matter of the plan.
    observation[0] = 9;
    present = std::make_shared<const testing::DoubleIntegrator>();
    const MadePlan made = controller.made_plan();
    EXPECT_EQ(made.plan.first_step, 0);
    EXPECT_EQ(made.plan.actions.size(), 3U);
    EXPECT_EQ(&made.planner, &planner);
    EXPECT_EQ(std::vector(made.state.begin(), made.state.end()), kObservation);
    EXPECT_EQ(made.model.dynamics, kModel);
    EXPECT_EQ(controller.new_plan() != nullptr, time == 0);
  }
}

class MpcPeriod : public ::testing::Test {
 protected:
  /// The actions of steps 0 ... steps - 1.
  std::vector<double> Play(int period, int steps) {
    MpcController controller(testing::Borrowed(planner_), kModel,
                             {.deadline = {}, .period = period});
    controller.Reset(Key{});
    std::vector<double> actions;
    for (int time = 0; time < steps; ++time) {
      const int before = planner_.plans;
      double action = 0;
      controller.Act({.observation = kObservation, .time = time, .key = kKey}, {&action, 1});
      EXPECT_EQ(controller.new_plan() != nullptr, planner_.plans != before) << time;
      actions.push_back(action);
    }
    return actions;
  }
  FakePlanner planner_;
};

TEST_F(MpcPeriod, IsTheNumberOfStepsOfEachPlan) {
  EXPECT_EQ(Play(1, 3), (std::vector<double>{0.25, 0.25, 0.25}));
  EXPECT_FALSE(planner_.wants_feedback);
  planner_.step = -1;
  EXPECT_EQ(Play(2, 5), (std::vector<double>{0.25, 0.5, 0.25, 0.5, 0.25}));
  EXPECT_EQ(planner_.step, 4);
  EXPECT_TRUE(planner_.wants_feedback);
}

TEST_F(MpcPeriod, BeyondThePlanEndsWithThePlan) {
  EXPECT_EQ(Play(9, 5), (std::vector<double>{0.25, 0.5, 0.75, 0.25, 0.5}));
  EXPECT_EQ(planner_.step, 3);
}

TEST_F(MpcPeriod, BeginsAnewWithEveryEpisode) {
  Play(3, 2);
  EXPECT_EQ(Play(3, 2), (std::vector<double>{0.25, 0.5}));
  EXPECT_EQ(planner_.resets, 2);
}

TEST_F(MpcPeriod, OfNoStepsIsTheUsersError) {
  try {
    Play(0, 1);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "mpc: period: found 0, expected at least 1");
  }
}

TEST(MpcController, NeedsAPlanner) {
  try {
    const MpcController controller(nullptr, std::make_shared<const testing::DoubleIntegrator>());
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "mpc: planner: found null, expected one");
  }
}

}  // namespace
}  // namespace foreplan
