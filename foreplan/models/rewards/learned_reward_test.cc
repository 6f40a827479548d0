// Learned rewards as functions: values, derivatives, files. What they learn:
// reward_trainer_test.cc.
#include "foreplan/models/rewards/learned_reward.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/models/rewards/testing/toy_rewards.h"
#include "foreplan/nets/testing/evaluate_in_double.h"

namespace foreplan {
namespace {

using testing::PaidRow;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int kVariables = 7;

// Ends where x' > 1.
StepEnd EndsFar(const PaidRow& z) { return z[4] > 1 ? StepEnd::kTerminated : StepEnd::kContinues; }

double PaysLessAtTheEnd(const PaidRow& z) { return testing::TrueReward(z) - (z[4] > 1 ? 4 : 0); }

std::shared_ptr<const LearnedReward> Fitted() {
  static const std::shared_ptr<const LearnedReward> kReward =
      testing::FitReward(testing::PaidData(600, 1, PaysLessAtTheEnd, EndsFar),
                         testing::SmallReward(150))
          .state.reward;
  return kReward;
}

/// The formulas of the class in double, member by member.
struct InDouble {
  double reward = 0;
  double end_probability = 0;
};

InDouble EvaluateInDouble(const LearnedReward& reward, const PaidRow& z) {
  const LearnedReward::Fitted& fitted = reward.fitted();
  std::vector<double> input(static_cast<size_t>(reward.features().inputs()));
  reward.features().Input(&z[0], &z[3], &z[4], input.data());
  for (size_t i = 0; i < input.size(); ++i) {
    input[i] = (input[i] - fitted.input.mean[i]) / fitted.input.scale[i];
  }
  double continued = fitted.reward.mean[0];
  double terminated = fitted.reward.mean[1];
  double p = 0;
  const int members = reward.options().members;
  const auto size = static_cast<ptrdiff_t>(reward.mlp().parameters());
  for (int member = 0; member < members; ++member) {
    const auto begin = fitted.parameters.begin() + member * size;
    const std::vector<double> y =
        EvaluateInDouble(reward.mlp(), std::vector<double>(begin, begin + size), input);
    continued += fitted.reward.scale[0] * y[0] / members;
    terminated += fitted.reward.scale[1] * y[1] / members;
    p += 1 / (1 + std::exp(-y[2])) / members;
  }
  return {.reward = (1 - p) * continued + p * terminated, .end_probability = p};
}

PaidRow RowNumber(uint64_t number) {
  Random random(Key{23, number});
  return testing::DrawRow(random);
}

TEST(LearnedReward, PaysNothingAndEndsNothingBeforeTheFirstFit) {
  const auto reward = testing::FreshReward(testing::SmallReward(1));
  const PaidRow z = RowNumber(1);
  const testing::Judged judged = testing::Judge(*reward, z);
  EXPECT_EQ(judged.reward, 0);
  EXPECT_FALSE(judged.terminated);
  std::array<double, kVariables> gradient;
  std::array<double, kVariables * kVariables> hessian;
  EXPECT_EQ(reward->Expand(&z[0], &z[3], &z[4], gradient.data(), hessian.data()), 0);
  EXPECT_EQ(std::ranges::count(gradient, 0.0), kVariables);
  EXPECT_EQ(std::ranges::count(hessian, 0.0), kVariables * kVariables);
}

TEST(LearnedReward, IsTheMeanOfItsMembersAndEndsWhereTheyMostlyBelieveSo) {
  const auto reward = Fitted();
  int ends = 0;
  for (uint64_t number = 0; number < 60; ++number) {
    const PaidRow z = RowNumber(number);
    const InDouble expected = EvaluateInDouble(*reward, z);
    const testing::Judged judged = testing::Judge(*reward, z);
    EXPECT_NEAR(judged.reward, expected.reward, 1e-5);  // float
    if (std::abs(expected.end_probability - 0.5) < 1e-4) continue;
    EXPECT_EQ(judged.terminated, expected.end_probability > 0.5) << number;
    if (judged.terminated) ++ends;
  }
  EXPECT_GT(ends, 3);
  EXPECT_LT(ends, 30);
}

TEST(LearnedReward, AnyNumberOfRowsAtOnceGivesWhatEachGivesAlone) {
  constexpr int kRows = 300;  // several blocks, the last one not full
  std::vector<double> observation;
  std::vector<double> action;
  std::vector<double> next;
  std::vector<PaidRow> rows;
  for (uint64_t number = 0; number < kRows; ++number) {
    const PaidRow& z = rows.emplace_back(RowNumber(number));
    observation.insert(observation.end(), z.begin(), z.begin() + 3);
    action.push_back(z[3]);
    next.insert(next.end(), z.begin() + 4, z.end());
  }
  const TransitionBatch batch{.rows = kRows,
                              .observation = observation.data(),
                              .action = action.data(),
                              .next_observation = next.data()};
  std::vector<double> reward(kRows);
  std::vector<uint8_t> terminated(kRows);
  std::vector<double> gradient(kRows * kVariables);
  Fitted()->Evaluate(batch, reward.data(), terminated.data());
  Fitted()->Gradient(batch, gradient.data());
  for (size_t row = 0; row < kRows; ++row) {
    const testing::Judged alone = testing::Judge(*Fitted(), rows[row]);
    EXPECT_NEAR(reward[row], alone.reward, 1e-5) << row;
    EXPECT_EQ(terminated[row] != 0, alone.terminated) << row;
    std::array<double, kVariables> own;
    Fitted()->Gradient(testing::AsBatch(rows[row]), own.data());
    for (size_t i = 0; i < kVariables; ++i) {
      EXPECT_NEAR(gradient[row * kVariables + i], own[i], 1e-5) << row << " " << i;
    }
  }
}

// In double, so that the differences are good to 1e-8; the gradient is of networks in float.
TEST(LearnedReward, TheGradientIsExact) {
  for (uint64_t number = 0; number < 20; ++number) {
    PaidRow z = RowNumber(number);
    std::array<double, kVariables> gradient;
    Fitted()->Gradient(testing::AsBatch(z), gradient.data());
    for (size_t i = 0; i < kVariables; ++i) {
      constexpr double kStep = 1e-5;
      const double at = z[i];
      z[i] = at + kStep;
      const double up = EvaluateInDouble(*Fitted(), z).reward;
      z[i] = at - kStep;
      const double down = EvaluateInDouble(*Fitted(), z).reward;
      z[i] = at;
      EXPECT_NEAR(gradient[i], (up - down) / (2 * kStep), 2e-5 * (1 + std::abs(gradient[i])))
          << number << " " << i;
    }
  }
}

TEST(LearnedReward, TheHessianIsSymmetricAndNearTheTrueOne) {
  for (uint64_t number = 0; number < 5; ++number) {
    PaidRow z = RowNumber(number);
    std::array<double, kVariables> gradient;
    std::array<double, kVariables * kVariables> hessian;
    const double reward = Fitted()->Expand(&z[0], &z[3], &z[4], gradient.data(), hessian.data());
    EXPECT_EQ(reward, testing::Judge(*Fitted(), z).reward);
    constexpr double kStep = 1e-3;
    const auto at = [&](size_t i, double a, size_t j, double b) {
      PaidRow moved = z;
      moved[i] += a * kStep;
      moved[j] += b * kStep;
      return EvaluateInDouble(*Fitted(), moved).reward;
    };
    double largest = 0;
    for (const double entry : hessian) largest = std::max(largest, std::abs(entry));
    ASSERT_GT(largest, 0.1);
    for (size_t i = 0; i < kVariables; ++i) {
      for (size_t j = 0; j < kVariables; ++j) {
        const double expected =
            (at(i, 1, j, 1) - at(i, 1, j, -1) - at(i, -1, j, 1) + at(i, -1, j, -1)) /
            (4 * kStep * kStep);
        // The differences of a fiftieth of a deviation see the third derivative.
        EXPECT_NEAR(hessian[i * kVariables + j], expected, 0.02 * largest) << i << " " << j;
        EXPECT_EQ(hessian[i * kVariables + j], hessian[j * kVariables + i]);
      }
    }
  }
}

TEST(LearnedReward, ARowThatHoldsNoNumberEarnsNaNAndDoesNotEnd) {
  for (size_t i = 0; i < kVariables; ++i) {
    PaidRow z = RowNumber(0);
    z[4] = 5;  // would end
    ASSERT_TRUE(testing::Judge(*Fitted(), z).terminated);
    for (const double bad : {kNan, std::numeric_limits<double>::infinity()}) {
      z[i] = bad;
      const testing::Judged judged = testing::Judge(*Fitted(), z);
      EXPECT_TRUE(std::isnan(judged.reward)) << i;
      EXPECT_FALSE(judged.terminated) << i;
      std::array<double, kVariables> gradient;
      Fitted()->Gradient(testing::AsBatch(z), gradient.data());
      EXPECT_TRUE(std::ranges::all_of(gradient, [](double x) { return std::isnan(x); })) << i;
    }
  }
}

TEST(LearnedReward, AllocatesNothingAfterTheFirstCall) {
  const auto reward = Fitted();
  const PaidRow z = RowNumber(3);
  std::array<double, kVariables> gradient;
  std::array<double, kVariables * kVariables> hessian;
  std::array<double, 2 * kVariables * kVariables> scratch;
  const auto call_all = [&] {
    static_cast<void>(testing::Judge(*reward, z));
    reward->Gradient(testing::AsBatch(z), gradient.data());
    reward->ExpandConcave(&z[0], &z[3], &z[4], gradient.data(), hessian.data(), kVariables,
                          scratch.data());
  };
  call_all();
  EXPECT_EQ(testing::CountAllocations(call_all), 0);
}

TEST(LearnedReward, ThreadsMayCallItAtTheSameTime) {
  const auto reward = Fitted();
  ThreadPool executor(8);
  std::vector<double> together(64);
  std::vector<double> alone;
  executor.ParallelFor(64, [&](int task, int /*worker*/) {
    const auto number = static_cast<uint64_t>(task);
    together[number] = testing::Judge(*reward, RowNumber(number)).reward;
  });
  for (uint64_t number = 0; number < together.size(); ++number) {
    alone.push_back(testing::Judge(*reward, RowNumber(number)).reward);
  }
  EXPECT_EQ(together, alone);
}

TEST(LearnedReward, IsRestoredBitForBit) {
  TensorFile file;
  Fitted()->Save(file);
  const auto restored = testing::FreshReward(Fitted()->options())->Restored(file);
  for (uint64_t number = 0; number < 30; ++number) {
    const PaidRow z = RowNumber(number);
    EXPECT_EQ(testing::Judge(*restored, z).reward, testing::Judge(*Fitted(), z).reward);
    EXPECT_EQ(testing::Judge(*restored, z).terminated, testing::Judge(*Fitted(), z).terminated);
  }
  TensorFile fresh;
  testing::FreshReward(Fitted()->options())->Save(fresh);
  EXPECT_EQ(testing::Judge(*Fitted()->Restored(fresh), RowNumber(0)).reward, 0);
}

TEST(LearnedReward, NamesWhatAFileLacks) {
  TensorFile file;
  file.source = "model.safetensors";
  EXPECT_EQ(MessageOf<InputError>([&] { static_cast<void>(Fitted()->Restored(file)); }),
            "model.safetensors: found a model without a learned reward, expected one with it, as "
            "the task's planning reward is learned");
  Fitted()->Save(file);
  std::get<std::vector<double>>(file.tensors["reward.output_scale"].values)[0] = 0;
  EXPECT_THROW(static_cast<void>(Fitted()->Restored(file)), InputError);
  LearnedRewardOptions wider = Fitted()->options();
  wider.width = 40;
  EXPECT_THROW(static_cast<void>(testing::FreshReward(wider)->Restored(file)), InputError);
}

TEST(LearnedReward, OptionsAreChecked) {
  LearnedRewardOptions options;
  options.width = 0;
  EXPECT_EQ(MessageOf<InputError>([&] { static_cast<void>(testing::FreshReward(options)); }),
            "model.reward.width: found 0, expected an integer in [1, 4096]");
}

}  // namespace
}  // namespace foreplan
