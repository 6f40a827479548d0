#include "foreplan/critics/soft_return.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <set>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "foreplan/core/size.h"
#include "foreplan/core/testing/allocation_counter.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/critics/testing/soft_return_in_double.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::Draw;
using testing::Drawn;
using testing::Found;
using testing::GradientOf;
using testing::InDouble;
using testing::kPolicyNoise;
using testing::NoiseOf;
using testing::SmallEnsemble;
using testing::SmallReward;
using testing::SmallWorld;
using testing::StartOf;

/// Pays 1 for every step.
class One final : public Reward {
 public:
  void Evaluate(const TransitionBatch& batch, double* reward, uint8_t* terminated) const override {
    std::fill_n(reward, batch.rows, 1.0);
    std::fill_n(terminated, batch.rows, uint8_t{0});
  }
  void Gradient(const TransitionBatch& batch, double* gradient) const override {
    std::fill_n(gradient, Size(batch.rows, 8), 0.0);
  }
};

TEST(SoftReturn, AValueThatIsExactIsWhatEveryHorizonExpandsTo) {
  CriticOptions critics = testing::SmallCriticOptions();
  critics.bounded = false;
  SmallWorld w(5, critics);
  testing::MakeConstant(w.critics, {4, 4, 4}, {4, 4, 4});  // 1 / (1 - 0.75), in float, too
  for (const int horizon : {1, 2, 5}) {
    SoftReturn imagined(w.policy, w.critics,
                        {.horizon = horizon, .rows = 5, .particles = 2, .discount = 0.75},
                        w.executor);
    imagined.set_model({w.model, std::make_shared<One>()});
    const Found found = GradientOf(imagined, w, 0, Key{7, 2});
    EXPECT_NEAR(found.report.value, 4, 1e-12);  // sums of a few doubles
    std::vector<double> y(5);
    imagined.Targets(0, y);
    for (const double target : y) EXPECT_NEAR(target, 4, 1e-12);
    for (const float entry : found.gradient) EXPECT_EQ(entry, 0.0F);
  }
}

TEST(SoftReturn, TargetsAreTheExpansionByHand) {
  // Three rows: one ends in the first step, one in the second, one goes on.
  SmallWorld w(3);
  w.reward->end_above = 2;
  w.starts = {2.5, 0, 0.1, 0.55, 10, -0.3, -2, 0.1, 0.4};
  testing::MakeConstant(w.critics, {0.9F, 0.9F, 0.9F}, {0.5F, -0.25F, 0.125F});
  const ValueBounds bounds = w.critics.bounds();
  const double gamma = 0.75;
  const double alpha = 0.3;
  SoftReturn imagined(w.policy, w.critics,
                      {.horizon = 3, .rows = 3, .particles = 1, .discount = gamma}, w.executor);
  imagined.set_model(w.version());
  std::set<double> least;
  for (uint64_t draw = 0; draw < 20; ++draw) {
    const Key key{7, draw};
    imagined.Roll(w.starts, key);
    std::vector<double> y(3);
    imagined.Targets(alpha, y);
    double r[3][3] = {};
    double l[3][4] = {};
    double steps[3] = {};
    for (size_t row = 0; row < 3; ++row) {
      std::array<double, 3> o = StartOf(w, static_cast<int>(row));
      for (int t = 0; t <= 3; ++t) {
        const auto xi = NoiseOf(key, kPolicyNoise, 0, t, 6);
        const Drawn drawn = Draw(w, InDouble(w.policy.parameters()), o.data(), &xi[2 * row]);
        l[row][t] = drawn.log_density;
        if (t == 3) break;
        std::array<double, 3> next;
        w.model->Next(o.data(), drawn.u, nullptr, next.data());
        r[row][t] = SmallReward::Of(o.data(), drawn.u, next.data());
        ++steps[row];
        if (next[0] > 2) break;
        o = next;
      }
      EXPECT_NEAR(imagined.first_log_density(static_cast<int>(row)), l[row][0], 1e-5);  // float
    }
    ASSERT_EQ(steps[0], 1);
    ASSERT_EQ(steps[1], 2);
    ASSERT_EQ(steps[2], 3);
    // Networks are in float: 1e-6 in l and r.
    EXPECT_NEAR(y[0], r[0][0], 1e-5);
    EXPECT_NEAR(y[1], r[1][0] + gamma * (r[1][1] - alpha * l[1][1]), 1e-5);
    const double known = r[2][0] + gamma * (r[2][1] - alpha * l[2][1]) +
                         gamma * gamma * (r[2][2] - alpha * l[2][2]) -
                         gamma * gamma * gamma * alpha * l[2][3];
    const double q = (y[2] - known) / (gamma * gamma * gamma);
    const double net = (q - bounds.middle()) / bounds.half_range();
    least.insert(std::round(1e4 * net) / 1e4);
    std::vector<double> expected;
    for (size_t row = 0; row < 3; ++row) {
      for (int t = 0; t < static_cast<int>(steps[row]); ++t) {
        expected.push_back(r[row][t] - alpha * l[row][t]);
      }
    }
    const std::span<double> found = imagined.SoftRewards(alpha);
    std::ranges::sort(expected);
    std::ranges::sort(found);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-5);
  }
  // The lesser of two different ones of the three targets.
  EXPECT_EQ(least, (std::set<double>{-0.25, 0.125}));
}

TEST(SoftReturn, WithoutAHorizonTheTargetIsTheSoftValueWithinTheBounds) {
  for (const auto& [target, critics] :
       {std::pair(0.5F, 3), std::pair(-7.0F, 1), std::pair(9.0F, 2)}) {
    CriticOptions options = testing::SmallCriticOptions();
    options.critics = critics;
    SmallWorld w(3, options);
    const std::vector<float> constants(Size(critics), target);
    testing::MakeConstant(w.critics, std::vector<float>(Size(critics), 0.0F), constants);
    const ValueBounds bounds = w.critics.bounds();
    SoftReturn imagined(w.policy, w.critics, {.rows = 3, .particles = 2, .discount = 0.5},
                        w.executor);
    imagined.Roll(w.starts, Key{7, 3});
    std::vector<double> y(3);
    imagined.Targets(0.3, y);
    const double q =
        std::clamp(bounds.middle() + bounds.half_range() * target, bounds.low, bounds.high);
    for (int row = 0; row < 3; ++row) {
      EXPECT_EQ(y[Size(row)], q - 0.3 * imagined.first_log_density(row));
    }
    EXPECT_TRUE(imagined.SoftRewards(0.3).empty());
  }
}

TEST(SoftReturn, TwoTargetsAreAskedEachAsOftenAsTheOthers) {
  CriticOptions options = testing::SmallCriticOptions();
  options.bounded = false;
  SmallWorld w(1, options);
  SmallWorld unbounded(1, options);
  testing::MakeConstant(w.critics, {0, 0, 0}, {1, 2, 3});
  SoftReturn imagined(w.policy, w.critics, {.rows = 1, .particles = 1}, w.executor);
  int ones = 0;
  for (uint64_t draw = 0; draw < 900; ++draw) {
    imagined.Roll(w.starts, Key{8, draw});
    double y = 0;
    imagined.Targets(0, {&y, 1});
    ASSERT_TRUE(y == 1 || y == 2) << y;  // 3 would be one and the same critic twice
    ones += y == 1 ? 1 : 0;
  }
  EXPECT_NEAR(ones, 600, 4 * std::sqrt(900 * 2.0 / 9));  // two of three pairs; four deviations
}

TEST(SoftReturn, ARowThatComesToNoNumbersCountsForNothing) {
  SmallWorld w(6);
  w.model->nan_below = -1.9;
  const SoftReturnOptions options = {.horizon = 3, .rows = 6, .particles = 1, .discount = 0.9};
  const Key key{7, 1};
  w.starts[15] = -2;  // the last row: NaN in its first step
  SoftReturn imagined(w.policy, w.critics, options, w.executor);
  imagined.set_model(w.version());
  const Found found = GradientOf(imagined, w, 0.3, key);
  EXPECT_EQ(found.report.invalid, 1);
  std::vector<double> y(6);
  imagined.Targets(0.3, y);
  EXPECT_TRUE(std::isnan(y[5]));
  for (size_t row = 0; row < 5; ++row) EXPECT_TRUE(std::isfinite(y[row]));
  EXPECT_EQ(imagined.SoftRewards(0.3).size(), 15U);
  // What the row is changes no bit.
  w.starts[15] = -30;
  w.starts[16] = 8;
  const Found other = GradientOf(imagined, w, 0.3, key);
  EXPECT_EQ(other.gradient, found.gradient);
  EXPECT_EQ(other.report.value, found.report.value);
  // The rows before it have the noise that they have alone, but for 1 / rows.
  w.starts.resize(15);
  SoftReturnOptions of_five = options;
  of_five.rows = 5;
  SoftReturn alone(w.policy, w.critics, of_five, w.executor);
  alone.set_model(w.version());
  const Found five = GradientOf(alone, w, 0.3, key);
  EXPECT_NEAR(5 * five.report.value, 6 * found.report.value, 1e-12);
  for (size_t i = 0; i < five.gradient.size(); ++i) {
    EXPECT_NEAR(5 * five.gradient[i], 6 * found.gradient[i], 1e-5);  // float
  }
}

TEST(SoftReturn, ARowThatComesToNoNumbersLaterHasNeverEarned) {
  SmallWorld w(2);
  w.model->nan_below = 0;
  w.starts = {0.1, -3, 0, 5, 0, 0};  // the first is below 0 after a step, then NaN
  SoftReturn imagined(w.policy, w.critics,
                      {.horizon = 3, .rows = 2, .particles = 1, .discount = 0.9}, w.executor);
  imagined.set_model(w.version());
  const Found found = GradientOf(imagined, w, 0.3, Key{7, 1});
  EXPECT_EQ(found.report.invalid, 1);
  EXPECT_EQ(imagined.SoftRewards(0.3).size(), 3U);
  for (const float entry : found.gradient) EXPECT_TRUE(std::isfinite(entry));
  w.starts[1] = -4;
  EXPECT_EQ(GradientOf(imagined, w, 0.3, Key{7, 1}).gradient, found.gradient);
}

TEST(SoftReturn, ARowThatLeavesTheRangeHasNeverEarned) {
  SmallWorld w(2);
  w.starts = {0.1, -6, 0, 0.5, 0, 0};  // x of the first is below -0.3 after a step
  Dataset seen(3, 2);
  const std::vector<double> action(2);
  seen.Add(std::vector<double>{0, -10, -10}, action, std::vector<double>{1, 10, 10}, 1);
  const ObservationRange range(seen, 0.05);
  SoftReturn imagined(w.policy, w.critics,
                      {.horizon = 1, .rows = 2, .particles = 1, .discount = 0.9}, w.executor);
  imagined.set_model(w.version(), range);
  const Found found = GradientOf(imagined, w, 0.3, Key{7, 1});
  EXPECT_EQ(found.report.invalid, 1);
  EXPECT_EQ(imagined.SoftRewards(0.3).size(), 1U);
  std::vector<double> y(2);
  imagined.Targets(0.3, y);
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_TRUE(std::isfinite(y[1]));
  w.starts[1] = -7;
  EXPECT_EQ(GradientOf(imagined, w, 0.3, Key{7, 1}).gradient, found.gradient);
  // The next model brings a range of its own: anywhere.
  imagined.set_model(w.version());
  EXPECT_EQ(GradientOf(imagined, w, 0.3, Key{7, 1}).report.invalid, 0);
}

TEST(SoftReturn, WhatTheModelSaysBeyondAnEndChangesNoBit) {
  SmallWorld w(4);
  w.reward->end_above = 0.35;
  w.starts = {0.34, 6, 0, 0, 6, 0.1, -0.6, 6, 0, -3, 0, 0};
  SoftReturn imagined(w.policy, w.critics,
                      {.horizon = 4, .rows = 4, .particles = 1, .discount = 0.9}, w.executor);
  imagined.set_model(w.version());
  const Found found = GradientOf(imagined, w, 0.3, Key{7, 1});
  EXPECT_EQ(found.report.ended, 3);
  w.model->nan_above = 0.35;  // no numbers, and no derivatives
  const Found other = GradientOf(imagined, w, 0.3, Key{7, 1});
  EXPECT_EQ(other.report.invalid, 0);
  EXPECT_EQ(other.report.value, found.report.value);
  EXPECT_EQ(other.gradient, found.gradient);
}

/// A number that is one in double, and in float none, in its second step.
class FarOut final : public testing::ObservedState<3, 2> {
 public:
  void Step(const StepBatch& batch, Workspace& /*workspace*/) const override {
    for (int i = 0; i < 3 * batch.rows; ++i) batch.next_state[i] = 1e18 * batch.state[i];
  }
};

TEST(SoftReturn, ARowBeyondWhatNetworksDigestCountsForNothing) {
  SmallWorld w(2);
  w.starts = {0, 0, 0, 0, 1, 0};
  SoftReturn imagined(w.policy, w.critics,
                      {.horizon = 4, .rows = 2, .particles = 1, .discount = 0.9}, w.executor);
  imagined.set_model({std::make_shared<FarOut>(), std::make_shared<One>()});
  const Found found = GradientOf(imagined, w, 0.3, Key{7, 1});
  EXPECT_EQ(found.report.invalid, 1);
  for (const float entry : found.gradient) EXPECT_TRUE(std::isfinite(entry));
}

TEST(SoftReturn, ThreadsChangeNoBitAndNothingIsAllocated) {
  SmallWorld w(24);
  w.reward->end_above = 0.5;
  const auto ensemble = std::make_shared<Ensemble>(SmallEnsemble());
  std::vector<Found> found;
  std::vector<std::vector<double>> targets;
  for (const int threads : {1, 2, 3}) {
    SoftReturn imagined(w.policy, w.critics,
                        {.horizon = 4, .rows = 24, .particles = 5, .discount = 0.9},
                        std::make_shared<ThreadPool>(threads));
    imagined.set_model({ensemble, w.reward});
    found.push_back(GradientOf(imagined, w, 0.3, Key{7, 1}));
    targets.emplace_back(24);
    std::vector<std::vector<float>> parts(5, found[0].gradient);
    EXPECT_EQ(testing::CountAllocations([&] {
                imagined.Roll(w.starts, Key{7, 1});
                std::ignore = imagined.SoftRewards(0.3);
                imagined.Targets(0.3, targets.back());
                imagined.Gradient(0.3, [&](int part) { return std::span(parts[Size(part)]); });
              }),
              0);
  }
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_EQ(found[i].gradient, found[0].gradient);
    EXPECT_EQ(found[i].report.value, found[0].report.value);
    EXPECT_EQ(targets[i], targets[0]);
  }
}

TEST(SoftReturn, NoiseIsAnotherForEveryRowTimeParticleAndKey) {
  SmallWorld w(4);
  w.starts.assign(12, 0.1);
  SoftReturn imagined(w.policy, w.critics, {.rows = 4, .particles = 2, .discount = 0.9},
                      w.executor);
  std::set<double> densities;
  for (uint64_t draw = 0; draw < 3; ++draw) {
    imagined.Roll(w.starts, Key{7, draw});
    for (int row = 0; row < 4; ++row) densities.insert(imagined.first_log_density(row));
  }
  EXPECT_EQ(densities.size(), 12U);
}

TEST(SoftReturn, NamesWhatIsWrong) {
  SmallWorld w(3);
  const auto message = [&](const SoftReturnOptions& options) {
    return MessageOf([&] { SoftReturn(w.policy, w.critics, options, w.executor); });
  };
  EXPECT_EQ(message({.horizon = -1}), "soft return: horizon: found -1, expected at least 0");
  EXPECT_EQ(message({.rows = 0}), "soft return: rows: found 0, expected at least 1");
  EXPECT_EQ(message({.particles = 0}), "soft return: particles: found 0, expected at least 1");
  SoftReturn imagined(w.policy, w.critics, {.horizon = 1, .rows = 3, .particles = 9}, w.executor);
  EXPECT_EQ(imagined.options().particles, 3);
  EXPECT_EQ(MessageOf([&] { imagined.set_model({}); }),
            "soft return: dynamics: found null, expected a model");
  EXPECT_EQ(MessageOf([&] { imagined.set_model({w.model}); }),
            "soft return: reward: found null, expected one");
  const testing::DoubleIntegrator small;
  EXPECT_EQ(MessageOf([&] {
              imagined.set_model({testing::Borrowed(small), w.reward});
            }),
            "soft return: dynamics: found a model of 2 observed numbers and 1 actions, expected "
            "the policy's 3 and 2");
  imagined.set_model(w.version());
  imagined.set_model({w.model});  // the reward that there is stays
}

}  // namespace
}  // namespace foreplan
