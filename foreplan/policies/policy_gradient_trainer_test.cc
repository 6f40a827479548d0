#include "foreplan/policies/policy_gradient_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/testing/observed_state.h"

namespace foreplan {
namespace {

/// x' = x + gain u.
class Integrator final : public testing::ObservedState<1, 1> {
 public:
  double gain = 1;

  void Step(const StepBatch& batch, Workspace& /*workspace*/) const override {
    for (int row = 0; row < batch.rows; ++row) {
      batch.next_state[row] = batch.next_observation[row] =
          batch.state[row] + gain * batch.action[row];
    }
  }
  void Linearize(const LinearizeBatch& batch, Workspace& /*workspace*/) const override {
    for (int row = 0; row < batch.rows; ++row) {
      batch.A[row] = 1;
      batch.B[row] = gain;
    }
  }
};

/// r = -weight (x' - 1)^2 / 2.
class Nearness final : public Reward {
 public:
  explicit Nearness(double weight) : weight_(weight) {}
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    for (int row = 0; row < batch.rows; ++row) {
      reward[row] = -0.5 * weight_ * std::pow(batch.next_observation[row] - 1, 2);
      terminated[row] = 0;
    }
  }
  void Gradient(const TransitionBatch& batch, double* gradient) const override {
    for (int row = 0; row < batch.rows; ++row) {
      gradient[3 * row] = gradient[3 * row + 1] = 0;
      gradient[3 * row + 2] = -weight_ * (batch.next_observation[row] - 1);
    }
  }

 private:
  double weight_;
};

/// Every rollout begins at the same place, whatever the key: values can be computed again.
void StartAtZero(Key /*key*/, std::span<double> starts) { std::ranges::fill(starts, 0.0); }
void NeverStop() {}

struct Setting {
  explicit Setting(PolicyGradientOptions options, double weight = 1)
      : policy(1, kLow, kHigh, {.width = 8, .output = PolicyOutput::kTanh}, Key{1, 0}),
        reward(weight),
        options(options),
        trainer(policy, testing::Borrowed(dynamics), testing::Borrowed(reward), options, 3,
                testing::Borrowed(executor)) {}

  PolicyGradientReport Train() { return trainer.Train(StartAtZero, Key{2, 0}, NeverStop); }
  /// The imagined return of the policy as it is.
  double Value() {
    const std::vector<double> starts(static_cast<size_t>(options.starts));
    ImaginedReturn imagined(policy, testing::Borrowed(dynamics), testing::Borrowed(reward),
                            {.horizon = 3, .starts = options.starts}, testing::Borrowed(executor));
    return imagined.Evaluate(starts, Key{3, 0}).value;
  }
  double Deviation() const { return std::sqrt(policy.covariance()(0, 0)); }
  std::vector<float> Parameters() const {
    const std::span<const float> parameters = policy.parameters();
    return {parameters.begin(), parameters.end()};
  }

  static constexpr std::array kLow = {-1.0};
  static constexpr std::array kHigh = {1.0};
  ThreadPool executor{1};
  Integrator dynamics;
  NetworkPolicy policy;
  Nearness reward;
  PolicyGradientOptions options;
  PolicyGradientTrainer trainer;
};

TEST(PolicyGradientTrainer, AscendsToTheBestReturn) {
  Setting s({.starts = 2, .steps = 300, .learning_rate = 0.01});
  const double before = s.Value();
  const PolicyGradientReport report = s.Train();
  EXPECT_EQ(report.first_value, before);
  EXPECT_LT(before, -0.5);
  // Going to 1 at once and staying there loses nothing; tanh comes close to 1, not to it.
  EXPECT_GT(report.value, -0.01);
  EXPECT_EQ(report.steps, 300);
  EXPECT_EQ(report.invalid_gradients, 0);
}

TEST(PolicyGradientTrainer, TrainsThroughTheVersionOfTheModelThatItIsGiven) {
  PolicyGradientOptions options;
  options.steps = 20;
  const auto weaker = std::make_shared<Integrator>();
  weaker->gain = 0.3;
  Setting given(options);
  given.trainer.set_model({weaker});
  Setting made(options);
  made.dynamics.gain = 0.3;
  const PolicyGradientReport expected = made.Train();
  const PolicyGradientReport report = given.Train();
  EXPECT_EQ(report.first_value, expected.first_value);
  EXPECT_EQ(report.value, expected.value);
  EXPECT_NE(report.value, Setting(options).Train().value);
}

TEST(PolicyGradientTrainer, TrainsForTheRewardOfTheVersionThatItIsGiven) {
  PolicyGradientOptions options;
  options.steps = 20;
  Setting given(options);
  given.trainer.set_model(
      {testing::Borrowed(given.dynamics), std::make_shared<const Nearness>(3.0)});
  Setting made(options, 3);
  EXPECT_EQ(given.Train().value, made.Train().value);
}

TEST(PolicyGradientTrainer, LeavesTheBestPolicyThatItChecked) {
  // Steps of size 1 leap about; the rate does not fall.
  const PolicyGradientOptions leaps = {
      .starts = 2, .steps = 9, .learning_rate = 1, .final_rate = 1, .checks = 9};
  Setting best(leaps);
  const PolicyGradientReport report = best.Train();
  EXPECT_EQ(report.value, best.Value());
  EXPECT_GE(report.value, report.first_value);
  PolicyGradientOptions last = leaps;
  last.checks = 0;
  Setting unchecked(last);
  const double reported = unchecked.Train().value;
  EXPECT_EQ(reported, unchecked.Value());
  EXPECT_LT(unchecked.Value(), best.Value() - 1e-3) << "the last weights must not be the best ones";
}

TEST(PolicyGradientTrainer, AGainBelowWhatTheModelIsWrongByChangesNothing) {
  const PolicyGradientOptions options = {
      .starts = 2, .steps = 40, .doubt = 0.5, .gaussian = true, .entropy = 0.01};
  Setting sure(options);
  const PolicyGradientReport gained = sure.Train();  // nothing is known of what is earned
  EXPECT_FALSE(gained.doubted);
  const double gain = gained.value - gained.first_value;
  ASSERT_GT(gain, 0);
  const double entropy = 0.01 * 3 * std::log(0.2);  // of three steps, at first
  for (const double sign : {-1.0, 1.0}) {
    for (const double share : {0.99, 1.01}) {  // of the error at which the gain is as large as half
      Setting s(options);
      const std::vector<float> parameters = s.Parameters();
      const double deviation = s.Deviation();
      const double realised = gained.first_value - entropy + sign * share * 2 * gain;
      const PolicyGradientReport report =
          s.trainer.Train(StartAtZero, Key{2, 0}, NeverStop, realised);
      EXPECT_EQ(report.doubted, share > 1);
      EXPECT_EQ(report.value, share > 1 ? gained.first_value : gained.value);
      EXPECT_EQ(s.Parameters(), share > 1 ? parameters : sure.Parameters());
      EXPECT_EQ(s.Deviation(), share > 1 ? deviation : sure.Deviation());
    }
  }
}

TEST(PolicyGradientTrainer, EntropyAloneWidensTheActionsByEveryRate) {
  // Nothing is earned, so the gradient by the log deviation is the entropy's, the same at every
  // step, and Adam moves by the whole rate (1 - 1e-8 / gradient):
  //   log s grows by the sum over steps i = 1 ... n of rate (1 - (1 - final_rate) i / n)
  const PolicyGradientOptions options = {.starts = 2,
                                         .steps = 20,
                                         .learning_rate = 0.01,
                                         .final_rate = 0.5,
                                         .checks = 0,
                                         .gaussian = true,
                                         .deviation = 0.2,
                                         .entropy = 0.3};
  Setting s(options, 0);
  EXPECT_NEAR(s.Deviation(), 0.2, 1e-12);
  const std::vector<float> before = s.Parameters();
  s.Train();
  const double growth = 0.01 * (20 - 0.5 * (20.0 * 21.0 / 2) / 20);
  EXPECT_NEAR(std::log(s.Deviation() / 0.2), growth, 1e-5);  // log s is in float
  EXPECT_EQ(s.Parameters(), before);
}

TEST(PolicyGradientTrainer, ValuesHoldTheEntropyOfAllSteps) {
  const PolicyGradientOptions options = {
      .starts = 2, .steps = 5, .checks = 0, .gaussian = true, .deviation = 0.2, .entropy = 0.3};
  Setting s(options, 0);
  const PolicyGradientReport report = s.Train();
  // weight x horizon x log s
  EXPECT_NEAR(report.first_value, 0.3 * 3 * std::log(0.2), 1e-9);
  EXPECT_NEAR(report.value, 0.3 * 3 * std::log(s.Deviation()), 1e-9);
}

TEST(PolicyGradientTrainer, ADeviationThatCostsShrinksToItsFloor) {
  PolicyGradientOptions options = {
      .starts = 4, .steps = 400, .learning_rate = 0.05, .gaussian = true, .deviation = 0.2};
  Setting wide(options, 10);
  wide.Train();
  EXPECT_LT(wide.Deviation(), 0.05);
  options.checks = 0;  // the last one, not the best
  options.deviation = 2e-3;
  Setting narrow(options, 10);
  narrow.Train();
  EXPECT_NEAR(narrow.Deviation(), 1e-3, 1e-9);  // log s is in float
}

TEST(PolicyGradientTrainer, EveryTrainingBeginsWithMomentsOfZero) {
  const PolicyGradientOptions options = {.starts = 2, .steps = 5, .checks = 0};
  Setting trained(options);
  trained.Train();
  Setting fresh(options);
  std::ranges::copy(trained.Parameters(), fresh.policy.parameters().begin());
  trained.Train();
  fresh.Train();
  EXPECT_EQ(trained.Parameters(), fresh.Parameters());
}

TEST(PolicyGradientTrainer, SaysHowOftenItClipped) {
  for (const double clip : {0.0, 1e-6, 1e6}) {
    Setting s({.starts = 2, .steps = 4, .gradient_clip = clip}, 1);
    const PolicyGradientReport report = s.Train();
    EXPECT_EQ(report.clipped_share, clip == 1e-6 ? 1 : 0) << clip;
    EXPECT_GT(report.gradient_norm, 1e-3) << clip;  // before clipping
  }
}

TEST(PolicyGradientTrainer, AFreshPolicyTakesOverWhereItIsBetter) {
  const PolicyGradientOptions options = {.starts = 2,
                                         .steps = 1,
                                         .learning_rate = 1e-9,
                                         .restarts = 2,
                                         .restart_steps = 40,
                                         .restart_trainings = 1};
  // At the wrong bound, where tanh has no slope: only a fresh one can do better.
  Setting stuck(options);
  std::ranges::fill(stuck.policy.parameters(), 0.0F);
  stuck.policy.parameters().back() = -30;  // the bias of the output
  const double before = stuck.Value();
  const PolicyGradientReport report = stuck.Train();
  EXPECT_TRUE(report.restarted);
  EXPECT_GT(stuck.Value(), before + 1);
  EXPECT_EQ(report.steps, 3 * 40 + 1);
  EXPECT_EQ(stuck.Train().steps, 1);  // only the first training tries fresh ones
}

TEST(PolicyGradientTrainer, APolicyThatIsBetterThanFreshOnesStays) {
  // It has been trained long, fresh ones are tried for one step.
  Setting s({.starts = 2,
             .steps = 200,
             .learning_rate = 0.01,
             .restarts = 3,
             .restart_steps = 1,
             .restart_trainings = 5});
  s.Train();
  const double trained = s.Value();
  const PolicyGradientReport report = s.Train();
  EXPECT_FALSE(report.restarted);
  EXPECT_GE(report.value, trained);
}

TEST(PolicyGradientTrainer, ChecksAreSpreadEvenlyAndEndWithTheLastStep) {
  for (const auto& [steps, checks] : {std::pair{300, 10}, std::pair{7, 3}, std::pair{5, 100}}) {
    std::vector<int> due;
    for (int step = 1; step <= steps; ++step) {
      if (PolicyGradientTrainer::IsCheckDue(step, steps, checks)) due.push_back(step);
    }
    ASSERT_EQ(due.size(), static_cast<size_t>(std::min(steps, checks)));
    EXPECT_EQ(due.back(), steps);
    int longest = due.front();
    for (size_t i = 1; i < due.size(); ++i) longest = std::max(longest, due[i] - due[i - 1]);
    EXPECT_LE(longest, steps / checks + 1);
  }
  EXPECT_FALSE(PolicyGradientTrainer::IsCheckDue(3, 10, 0));
}

TEST(PolicyGradientTrainer, CountsChecksBeyondTheRangeOfAnInt) {
  // The largest options there may be: one check in 100 steps.
  EXPECT_TRUE(PolicyGradientTrainer::IsCheckDue(100'000'000, 100'000'000, 1'000'000));
  EXPECT_TRUE(PolicyGradientTrainer::IsCheckDue(99'999'900, 100'000'000, 1'000'000));
  EXPECT_FALSE(PolicyGradientTrainer::IsCheckDue(99'999'950, 100'000'000, 1'000'000));
}

TEST(PolicyGradientTrainer, ADeviationBeyondAllNumbersIsARunThatCannotGoOn) {
  // log s grows by 10 at every step; exp(2 log s) is infinite from 355 on.
  Setting s({.starts = 1,
             .steps = 100,
             .learning_rate = 10,
             .final_rate = 1,
             .gaussian = true,
             .entropy = 1},
            0);
  EXPECT_THROW(s.Train(), RunError);
}

TEST(PolicyGradientTrainer, RefusesAFileWhoseNumbersCannotBe) {
  const PolicyGradientOptions options = {.starts = 1, .gaussian = true};
  Setting s(options);
  TensorFile file;
  file.source = "state.safetensors";
  s.trainer.Save(file);
  const auto message = [&](const std::string& name, Tensor tensor) -> std::string {
    TensorFile wrong = file;
    wrong.tensors.at(name) = std::move(tensor);
    try {
      s.trainer.Restore(wrong);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message("policy_trainer.trainings", {{1}, std::vector<int32_t>{-1}}),
            "state.safetensors: tensor 'policy_trainer.trainings', element 0: found -1, expected a "
            "count from 0 to 1000000000");
  EXPECT_EQ(message("policy_trainer.log_deviation",
                    {{1}, std::vector<double>{std::numeric_limits<double>::quiet_NaN()}}),
            "state.safetensors: tensor 'policy_trainer.log_deviation', element 0: found nan, "
            "expected a finite number");
  s.trainer.Restore(file);
}

}  // namespace
}  // namespace foreplan
