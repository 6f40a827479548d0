// The mixture of a model's members against what it is by hand.
#include "foreplan/models/mixture_prediction.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/testing/known_members.h"

namespace foreplan {
namespace {

constexpr int kRows = 150;  // more than are predicted together, and no multiple

TEST(MixturePrediction, IsTheMeanOfMembersAndTheirNoiseAndDisagreementFarFromZeroToo) {
  const testing::KnownMembers model(
      {{{1, 0.004}, {3, 0}}, {{2, 0.006}, {1, 0}}, {{6, 0.002}, {2, 0}}}, {1, 1});
  MixturePrediction mixture(model, 1);
  const std::array<double, 2> observation = {10, 1e8};
  const std::array<double, 1> action = {0};
  std::array<double, 2> mean{};
  std::array<double, 2> deviation{};
  for (int again = 0; again < 2; ++again) {
    mixture.Predict(1, observation.data(), action.data(), mean.data(), deviation.data());
    EXPECT_DOUBLE_EQ(mean[0], 13);
    // Var = (9 + 1 + 4) / 3 + ((1 - 3)^2 + (2 - 3)^2 + (6 - 3)^2) / 3
    EXPECT_DOUBLE_EQ(deviation[0], std::sqrt(28.0 / 3));
    EXPECT_NEAR(mean[1] - 1e8, 0.004, 3e-8);  // of two roundings of 1e8
    // sqrt((0 + 0.002^2 + 0.002^2) / 3): from squares of 1e8 it would be 0 or 1
    EXPECT_NEAR(deviation[1], 0.002 * std::sqrt(2.0 / 3), 3e-8);
  }
}

TEST(MixturePrediction, OfManyRowsIsThatOfEachAtAnyNumberOfThreads) {
  const testing::KnownMembers model({{{1, 2}, {3, 0}}, {{2, 6}, {1, 0}}}, {1, 1});
  MixturePrediction alone(model, 1);
  std::vector<double> observation(2 * kRows);
  std::iota(observation.begin(), observation.end(), 0.0);
  const std::vector<double> action(observation.begin(), observation.begin() + kRows);
  for (const int threads : {1, 3}) {
    ThreadPool executor(threads);
    std::vector<double> mean(observation.size());
    std::vector<double> deviation(observation.size());
    PredictMixture(model, kRows, observation.data(), action.data(), mean.data(), deviation.data(),
                   executor);
    for (size_t row = 0; row < kRows; ++row) {
      std::array<double, 2> one_mean{};
      std::array<double, 2> one_deviation{};
      alone.Predict(1, &observation[2 * row], &action[row], one_mean.data(), one_deviation.data());
      for (size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(mean[2 * row + i], one_mean[i]) << row;
        EXPECT_EQ(deviation[2 * row + i], one_deviation[i]) << row;
      }
    }
  }
}

TEST(MixturePrediction, SamplesAreOfAllMembersWithTheirNoise) {
  // Two members without noise in the second component tell which one was drawn.
  const testing::KnownMembers model({{{1, 10}, {3, 0}}, {{2, 20}, {0.5, 0}}}, {1, 1});
  constexpr int kMany = 20000;
  std::vector<double> observation(2 * kMany);
  std::iota(observation.begin(), observation.end(), 0.0);
  const std::vector<double> action(observation.begin(), observation.begin() + kMany);
  std::vector<double> drawn(observation.size());
  ThreadPool executor(3);
  SampleMixture(model, kMany, observation.data(), action.data(), {}, Key{1, 2}, drawn.data(),
                executor);
  std::array<double, 2> count{}, sum{}, squares{};
  for (size_t row = 0; row < kMany; ++row) {
    const double moved = testing::KnownMembers::kGain * action[row];
    const double second = drawn[2 * row + 1] - observation[2 * row + 1] - moved;
    ASSERT_TRUE(second == 10 || second == 20) << row;
    const size_t member = second == 10 ? 0 : 1;
    const double noise = drawn[2 * row] - observation[2 * row] - moved - (member == 0 ? 1 : 2);
    count[member] += 1;
    sum[member] += noise;
    squares[member] += noise * noise;
  }
  EXPECT_NEAR(count[0], kMany / 2.0, 4 * std::sqrt(kMany) / 2);  // four deviations
  for (size_t member = 0; member < 2; ++member) {
    const double deviation = member == 0 ? 3 : 0.5;
    EXPECT_NEAR(sum[member] / count[member], 0, 4 * deviation / std::sqrt(count[member]));
    // The deviation of an estimated deviation is s / sqrt(2 n).
    EXPECT_NEAR(std::sqrt(squares[member] / count[member]), deviation,
                4 * deviation / std::sqrt(2 * count[member]));
  }
}

TEST(MixturePrediction, ASampleDependsOnItsRowAndTheKeyNotOnThreadsOrOtherRows) {
  const testing::KnownMembers model({{{1, 2}, {3, 1}}, {{2, 6}, {1, 2}}}, {1, 1});
  std::vector<double> observation(2 * kRows);
  std::iota(observation.begin(), observation.end(), 0.0);
  const std::vector<double> action(kRows);
  const auto sampled = [&](int rows, int threads, Key key) {
    ThreadPool executor(threads);
    std::vector<double> drawn(2 * static_cast<size_t>(rows));
    SampleMixture(model, rows, observation.data(), action.data(), {}, key, drawn.data(), executor);
    return drawn;
  };
  const std::vector<double> all = sampled(kRows, 1, Key{1, 1});
  EXPECT_EQ(sampled(kRows, 3, Key{1, 1}), all);
  EXPECT_EQ(sampled(100, 2, Key{1, 1}), std::vector<double>(all.begin(), all.begin() + 200));
  EXPECT_NE(sampled(kRows, 1, Key{1, 2}), all);
  for (size_t row = 64; row < kRows; ++row) {  // rows that are predicted together end there
    const double here = all[2 * row] - observation[2 * row];
    EXPECT_NE(here, all[2 * row - 128] - observation[2 * row - 128]) << row;
  }
}

TEST(MixturePrediction, ASampleIsOfTheMemberThatIsChosen) {
  const testing::KnownMembers model({{{1, 10}, {0, 0}}, {{2, 20}, {0, 0}}, {{3, 30}, {0, 0}}},
                                    {1, 1});
  const std::vector<double> observation(2 * kRows);
  const std::vector<double> action(kRows);
  std::vector<int> members(kRows);
  for (int row = 0; row < kRows; ++row) members[static_cast<size_t>(row)] = row * row % 3;
  std::vector<double> drawn(observation.size());
  ThreadPool executor(2);
  SampleMixture(model, kRows, observation.data(), action.data(), members, Key{1, 1}, drawn.data(),
                executor);
  for (size_t row = 0; row < kRows; ++row) {
    EXPECT_EQ(drawn[2 * row + 1], 10 * (members[row] + 1)) << row;
  }
}

}  // namespace
}  // namespace foreplan
