// Actions that are held and filtered, and what the observation tells of decisions.
#include "foreplan/systems/decisions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/systems/component_names.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;
using Strings = std::vector<std::string>;
using ::testing::HasSubstr;

constexpr double kDt = 0.04;  // control period of the cart-pole [s]
constexpr int kRepeat = 4;

/// The cart-pole: slider, hinge and their velocities, one action "slide" within +-3.
Task CartPole(const std::string& top, const std::string& more = "") {
  Config config = Config::FromString("name = 't'\nepisode_length = 20\n" + top +
                                         "\n[system]\ntype = 'cartpole'\n[system.reset]\n"
                                         "position = 0.3\nvelocity = 0.2\n" +
                                         more,
                                     "t.toml");
  Task task = Task::FromConfig(config, ".");
  config.ThrowOnUnknownKeys();
  return task;
}

Numbers ObservationOf(const Environment& environment) {
  Numbers observation(environment.spec().observation.size());
  environment.Observe(observation);
  return observation;
}
Numbers StateOf(const System& system) {
  Numbers state(system.spec().state.size());
  system.GetState(state);
  return state;
}

double RewardOf(const Task& task, const Numbers& observation, const Numbers& action,
                const Numbers& next) {
  double reward = 0;
  uint8_t terminated = 0;
  task.reward().Evaluate({1, observation.data(), action.data(), next.data()}, &reward, &terminated);
  return reward;
}

TEST(Decisions, ARepeatedActionEarnsTheSumOfItsControlPeriods) {
  const std::string reward = "reward = 'cos(hinge) - 0.01 * square(u[0])'\n";
  const Task plain = CartPole(reward);
  const Task repeated = CartPole(reward + "action_repeat = 4");
  EXPECT_DOUBLE_EQ(repeated.spec().dt, kRepeat * kDt);
  EXPECT_EQ(Names(repeated.spec().observation), Names(plain.spec().observation));
  EXPECT_TRUE(repeated.environment_pays());
  EXPECT_EQ(repeated.termination(), nullptr);
  const auto one = plain.MakeSystem();
  const auto many = repeated.MakeEnvironment();
  one->Reset(Key{1, 0});
  many->Reset(Key{1, 0});
  for (const double u : {2.0, -1.0, 0.5}) {
    double sum = 0;
    for (int period = 0; period < kRepeat; ++period) {
      const Numbers before = ObservationOf(*one);
      ASSERT_EQ(one->Step(Numbers{u}), StepStatus::kOk);
      sum += RewardOf(plain, before, {u}, ObservationOf(*one));
    }
    const StepOutcome outcome = many->Step(Numbers{u});
    ASSERT_EQ(outcome.status, StepStatus::kOk);
    EXPECT_EQ(outcome.reward, sum);
    EXPECT_EQ(outcome.end, StepEnd::kContinues);
    EXPECT_EQ(ObservationOf(*many), ObservationOf(*one));
  }
}

TEST(Decisions, AnEndWithinADecisionEndsItAndIsTheLastThatIsPaid) {
  const Task task = CartPole("reward = '1 + time'\ntermination = 'time > 0.25'\naction_repeat = 4");
  const auto environment = task.MakeEnvironment();
  environment->Reset(Key{1, 0});
  const StepOutcome first = environment->Step(Numbers{0});
  EXPECT_EQ(first.end, StepEnd::kContinues);
  EXPECT_NEAR(*first.reward, 4 + kDt * (1 + 2 + 3 + 4), 1e-12);
  const StepOutcome last = environment->Step(Numbers{0});
  EXPECT_EQ(last.end, StepEnd::kTerminated);  // at 0.28 s
  EXPECT_NEAR(*last.reward, 3 + kDt * (5 + 6 + 7), 1e-12);
  EXPECT_NEAR(ObservationOf(*environment)[4], 7 * kDt, 1e-12);
}

TEST(Decisions, PlannersExpectOfADecisionWhatItsEndIsWorthForEveryControlPeriod) {
  const std::string reward = "reward = 'cos(hinge) * slider'\n";
  const Task plain = CartPole(reward);
  const Task repeated = CartPole(reward + "action_repeat = 4");
  const Numbers before{0.1, 0.2, 0.3, 0.4};
  const Numbers after{0.5, 0.6, 0.7, 0.8};
  const Numbers action{0.3};
  const Reward& once = plain.planning_reward();
  const Reward& often = repeated.planning_reward();
  Numbers values(2);
  uint8_t terminated = 0;
  const TransitionBatch batch{1, before.data(), action.data(), after.data()};
  once.Evaluate(batch, &values[0], &terminated);
  often.Evaluate(batch, &values[1], &terminated);
  EXPECT_EQ(values[1], 4 * values[0]);
  Numbers gradient(9);
  Numbers other(9);
  Numbers hessian(81);
  Numbers other_hessian(81);
  once.Expand(before.data(), action.data(), after.data(), gradient.data(), hessian.data());
  EXPECT_EQ(
      often.Expand(before.data(), action.data(), after.data(), other.data(), other_hessian.data()),
      values[1]);
  for (size_t i = 0; i < 9; ++i) EXPECT_EQ(other[i], 4 * gradient[i]);
  for (size_t i = 0; i < 81; ++i) EXPECT_EQ(other_hessian[i], 4 * hessian[i]);
  often.Gradient(batch, other.data());
  for (size_t i = 0; i < 9; ++i) EXPECT_EQ(other[i], 4 * gradient[i]);
  EXPECT_THAT(MessageOf([&] { (void)repeated.reward(); }),
              HasSubstr("found no reward of a whole step, as it earns the sum of its 4 control"));
}

// f = (1 - a) sum_i a^(n - i) u_i with a = exp(-dt / time constant)
TEST(Decisions, AFilteredActionIsAFirstOrderLowPassThatIsObserved) {
  constexpr double kTimeConstant = 0.1;
  const Task plain = CartPole("reward = '0'");
  const Task filtered = CartPole("reward = '0'\naction_filter = 0.1");
  EXPECT_EQ(Names(filtered.spec().observation).back(), "filtered_slide");
  EXPECT_DOUBLE_EQ(filtered.spec().dt, kDt);
  const auto reference = plain.MakeSystem();
  const auto system = filtered.MakeSystem();
  reference->Reset(Key{1, 0});
  system->Reset(Key{1, 0});
  EXPECT_EQ(ObservationOf(*system).back(), 0);
  const double a = std::exp(-kDt / kTimeConstant);
  const Numbers decisions{2, 2, -1, 9};  // 9 is cut to 3
  for (size_t n = 0; n < decisions.size(); ++n) {
    double f = 0;
    for (size_t i = 0; i <= n; ++i) {
      f += (1 - a) * std::pow(a, static_cast<double>(n - i)) * std::min(decisions[i], 3.0);
    }
    ASSERT_EQ(system->Step(Numbers{decisions[n]}), StepStatus::kOk);
    ASSERT_EQ(reference->Step(Numbers{f}), StepStatus::kOk);
    const Numbers observed = ObservationOf(*system);
    EXPECT_NEAR(observed.back(), f, 1e-14);
    const Numbers wanted = ObservationOf(*reference);
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(observed[i], wanted[i], 1e-12);
  }
}

TEST(Decisions, RewardsKnowTheTimeThePhaseAndTheActionBefore) {
  const Task task = CartPole(
      "reward = 'time + 10 * previous.time + 100 * previous.u[0] + "
      "1000 * previous.slide + sin(phase(0.5)) + late'",
      "[quantities]\nlate = 'if(time > 0.1, 0.5, 0)'\n");
  EXPECT_EQ(Names(task.spec().observation),
            (Strings{"slider", "hinge", "slider_velocity", "hinge_velocity", "episode_time",
                     "previous_slide"}));
  EXPECT_EQ(task.spec().observation[4].unit, "s");
  const auto system = task.MakeSystem();
  system->Reset(Key{1, 0});
  double before = 0;
  Numbers observation = ObservationOf(*system);
  const Numbers decisions{1, -2, 0.5, 7};
  for (size_t n = 0; n < decisions.size(); ++n) {
    ASSERT_EQ(system->Step(Numbers{decisions[n]}), StepStatus::kOk);
    const Numbers next = ObservationOf(*system);
    const double time = kDt * static_cast<double>(n + 1);
    const double expected = time + 10 * (time - kDt) + 1100 * before +
                            std::sin(2 * std::numbers::pi * time / 0.5) + (time > 0.1 ? 0.5 : 0);
    EXPECT_NEAR(RewardOf(task, observation, {decisions[n]}, next), expected, 1e-9) << n;
    before = std::min(decisions[n], 3.0);
    observation = next;
  }
  EXPECT_EQ(observation[5], 3);
}

TEST(Decisions, TheActionBeforeIsThatOfTheDecisionBeforeInAllItsControlPeriods) {
  const Task task = CartPole("reward = 'square(u[0] - previous.u[0])'\naction_repeat = 4");
  const auto environment = task.MakeEnvironment();
  environment->Reset(Key{1, 0});
  EXPECT_EQ(environment->Step(Numbers{2}).reward, 4 * 4.0);
  EXPECT_EQ(environment->Step(Numbers{1}).reward, 4 * 1.0);
  EXPECT_EQ(environment->Step(Numbers{1}).reward, 0);
}

TEST(Decisions, WhatIsAddedMovesAsIsKnown) {
  const Task task =
      CartPole("reward = 'time + previous.u[0]'\naction_repeat = 3\naction_filter = 0.07");
  const std::vector<KnownMotion>& known = task.encoding().known;
  ASSERT_EQ(known.size(), 3U);
  const auto system = task.MakeSystem();
  system->Reset(Key{1, 0});
  for (const double u : {2.0, -1.0, 0.3}) {
    const Numbers before = ObservationOf(*system);
    const Numbers action{u};
    ASSERT_EQ(system->Step(action).status, StepStatus::kOk);
    const Numbers after = ObservationOf(*system);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(known[i].component, 4 + static_cast<int>(i));
      EXPECT_NEAR(known[i].Next(before.data(), action.data()), after[4 + i], 1e-15);
    }
  }
  // Time and the action before say nothing of the motion; what acts does.
  EXPECT_EQ(task.encoding().omit, (Strings{"episode_time", "previous_slide"}));
}

TEST(Decisions, RowsAreWholeDecisionsAndStatesGoOn) {
  const Task task = CartPole(
      "reward = 'time'\ntermination = 'time > 0.1'\naction_repeat = 3\naction_filter = 0.07");
  const auto system = task.MakeSystem();
  system->Reset(Key{1, 0});
  const Numbers state = StateOf(*system);
  ASSERT_EQ(system->Step(Numbers{1}).end, StepEnd::kTerminated);
  Numbers next(state.size());
  Numbers observation(system->spec().observation.size());
  const auto rows = task.MakeSystem();
  const Numbers action{1};
  rows->StepRows({1, state.data(), action.data(), next.data(), observation.data()});
  EXPECT_EQ(next, StateOf(*system));  // ended with the last control period
  EXPECT_EQ(observation, ObservationOf(*system));
  const auto clone = system->Clone();
  ASSERT_EQ(clone->Step(Numbers{-2}).status, StepStatus::kOk);
  rows->SetState(next);
  ASSERT_EQ(rows->Step(Numbers{-2}).status, StepStatus::kOk);
  EXPECT_EQ(StateOf(*rows), StateOf(*clone));
}

// Central differences of steps of 1e-6: 1e-8.
TEST(Decisions, DerivativesAreThoseOfWholeDecisions) {
  const Task task =
      CartPole("reward = 'time + previous.u[0]'\naction_repeat = 3\naction_filter = 0.07");
  const auto system = task.MakeSystem();
  system->Reset(Key{1, 0});
  ASSERT_EQ(system->Step(Numbers{1.5}).status, StepStatus::kOk);
  const Numbers state = StateOf(*system);
  for (const double u : {0.7, 5.0}) {  // inside, beyond the bounds
    const Numbers action{u};
    const size_t n = state.size();
    Numbers A(n * n), B(n), expected_A(n * n), expected_B(n);
    system->Linearize({state.data(), action.data(), A.data(), B.data()});
    system->System::Linearize({state.data(), action.data(), expected_A.data(), expected_B.data()});
    for (size_t i = 0; i < A.size(); ++i) EXPECT_NEAR(A[i], expected_A[i], 1e-7) << i;
    for (size_t i = 0; i < B.size(); ++i) EXPECT_NEAR(B[i], expected_B[i], 1e-7) << i;
  }
  const size_t n = state.size();
  Numbers jacobian(n * n), expected(n * n);
  system->ObservationJacobian(state, jacobian);
  system->System::ObservationJacobian(state, expected);
  for (size_t i = 0; i < n * n; ++i) EXPECT_NEAR(jacobian[i], expected[i], 1e-8) << i;
}

TEST(Decisions, DerivativesAllocateNothing) {
  const Task task = CartPole("reward = 'time'\naction_repeat = 3\naction_filter = 0.07");
  const auto system = task.MakeSystem();
  system->Reset(Key{1, 0});
  const Numbers state = StateOf(*system);
  const Numbers action{0.7};
  Numbers A(state.size() * state.size());
  Numbers B(state.size());
  EXPECT_EQ(testing::CountAllocations([&] {
              system->Linearize({state.data(), action.data(), A.data(), B.data()});
            }),
            0);
}

TEST(Decisions, RewardsThatSayNoSizesAreScaledWithTheirDerivatives) {
  class Square final : public Reward {  // o'^2
   public:
    void Evaluate(const TransitionBatch& batch, double* reward,
                  uint8_t* terminated) const override {
      *terminated = 0;
      *reward = *batch.next_observation * *batch.next_observation;
    }
    double Expand(const double* /*observation*/, const double* /*action*/, const double* next,
                  double* gradient, double* hessian) const override {
      std::fill_n(gradient, 3, 0.0);
      std::fill_n(hessian, 9, 0.0);
      gradient[2] = 2 * *next;
      hessian[8] = 2;
      return *next * *next;
    }
  };
  const auto reward = OfPeriods(std::make_shared<const Square>(), 3, {1, 1});
  const double next = 5;
  Numbers gradient(3);
  Numbers hessian(9);
  EXPECT_EQ(reward->Expand(&next, &next, &next, gradient.data(), hessian.data()), 75);
  EXPECT_EQ(gradient, (Numbers{0, 0, 30}));
  EXPECT_EQ(hessian, (Numbers{0, 0, 0, 0, 0, 0, 0, 0, 6}));
}

TEST(Decisions, AnEnvironmentThatShowsNoStateActsOnThemToo) {
  // Pays the number of its steps.
  class Counting final : public Environment {
   public:
    Counting() {
      spec_.dt = 0.5;
      spec_.observation = {{"x", ""}};
      spec_.action = {{"push", ""}};
      spec_.action_low = {1};
      spec_.action_high = {2};
    }
    const EnvironmentSpec& spec() const override { return spec_; }
    void Reset(Key /*key*/) override { steps_ = 0; }
    StepOutcome Step(std::span<const double> action) override {
      last_ = action[0];
      StepOutcome outcome;
      outcome.reward = ++steps_;
      if (steps_ == 5) outcome.end = StepEnd::kTerminated;
      return outcome;
    }
    void Observe(std::span<double> observation) const override { observation[0] = last_; }

   private:
    EnvironmentSpec spec_;
    int steps_ = 0;
    double last_ = 0;
  };
  TaskDefinition definition{.name = "t",
                            .make_environment = [] { return std::make_unique<Counting>(); },
                            .planning_reward = ExpressionText{"planning", "time + previous.push"},
                            .episode_length = 5,
                            .action_repeat = 3,
                            .action_filter = 0.5};
  const Task task(definition);
  EXPECT_EQ(Names(task.spec().observation),
            (Strings{"x", "episode_time", "filtered_push", "previous_push"}));
  const auto environment = task.MakeEnvironment();
  environment->Reset(Key{1, 0});
  EXPECT_EQ(ObservationOf(*environment), (Numbers{0, 0, 1, 1}));  // the bound next to 0
  StepOutcome outcome = environment->Step(Numbers{2});
  EXPECT_EQ(outcome.reward, 1 + 2 + 3);
  const double filtered = 2 - std::exp(-3.0);
  EXPECT_NEAR(ObservationOf(*environment)[0], filtered, 1e-15);
  EXPECT_NEAR(ObservationOf(*environment)[2], filtered, 1e-15);
  outcome = environment->Step(Numbers{2});
  EXPECT_EQ(outcome.reward, 4 + 5);
  EXPECT_EQ(outcome.end, StepEnd::kTerminated);
}

TEST(Decisions, NamesThatATaskHasItselfMeanWhatTheyMeant) {
  const Task task = CartPole("reward = 'time * phase'", "[constants]\ntime = 3\nphase = 2\n");
  EXPECT_EQ(task.spec().observation.size(), 4U);
  EXPECT_EQ(RewardOf(task, Numbers(4), {0}, Numbers(4)), 6);
}

TEST(Decisions, AFileKeepsThem) {
  const Task task = CartPole("reward = '0'\naction_repeat = 3\naction_filter = 0.25");
  ConfigWriter writer;
  task.Save(writer, ::testing::TempDir());
  EXPECT_THAT(writer.text(), HasSubstr("action_repeat = 3"));
  Config config = Config::FromString(writer.text(), "again");
  EXPECT_EQ(Names(Task::FromConfig(config, ::testing::TempDir()).spec().observation),
            Names(task.spec().observation));
}

TEST(Decisions, WhatCannotBeIsRefused) {
  const auto error = [](const std::string& top) { return MessageOf([&] { (void)CartPole(top); }); };
  EXPECT_THAT(error("reward = '0'\naction_repeat = 0"), HasSubstr("action_repeat"));
  EXPECT_THAT(error("reward = '0'\naction_filter = -1.0"), HasSubstr("action_filter"));
  EXPECT_THAT(error("reward = 'phase(slider)'"),
              HasSubstr("expected phase(period) with a constant"));
  EXPECT_THAT(error("reward = 'phase(-1)'"), HasSubstr("expected phase(period) with a constant"));
  EXPECT_THAT(error("reward = 'pets_cartpole'\naction_filter = 0.1"),
              HasSubstr("'pets_cartpole' found 5 observation and 1 action components"));
  EXPECT_THAT(error("reward = 'previous.vu'"), HasSubstr("unknown observation component"));
}

}  // namespace
}  // namespace foreplan
