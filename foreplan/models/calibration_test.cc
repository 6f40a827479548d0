#include "foreplan/models/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/testing/known_members.h"
#include "foreplan/models/model_error.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

constexpr double kNoise = 0.1;
constexpr double kFriction = 0.9;

/// x' = 0.9 x + u + N(0, 0.1^2) in one component, a second that never changes; 20 steps an episode.
Dataset Recorded(int episodes, Key key, double measurement = 0) {
  Dataset data(2, 1);
  Random random(key);
  for (int episode = 0; episode < episodes; ++episode) {
    double x = random.Normal();
    double seen = x + measurement * random.Normal();
    for (int t = 0; t < 20; ++t) {
      const double u = 0.2 * random.Normal();
      x = kFriction * x + u + (measurement > 0 ? 0 : kNoise) * random.Normal();
      const double next = x + measurement * random.Normal();
      data.Add(std::vector<double>{seen, 3}, std::vector<double>{u}, std::vector<double>{next, 3},
               episode);
      seen = next;
    }
  }
  return data;
}

/// Knows the formula; each member is off by what `offset` says.
class KnownModel final : public LearnedModel {
 public:
  using Offset = std::function<double(int member, double x)>;
  KnownModel(int members, double deviation, Offset offset, bool noise_moves_state = true)
      : members_(members),
        deviation_(deviation),
        offset_(std::move(offset)),
        noise_moves_state_(noise_moves_state) {
    Publish(std::make_shared<::foreplan::testing::DoubleIntegrator>());  // its sizes
  }

  int members() const override { return members_; }
  std::unique_ptr<Dynamics::Workspace> MakePredictionWorkspace(int /*max_rows*/) const override {
    return std::make_unique<Dynamics::Workspace>();
  }
  void Predict(int member, int rows, const double* observation, const double* action, double* mean,
               double* deviation, Dynamics::Workspace&) const override {
    ASSERT_EQ(rows, 1);
    mean[0] = kFriction * observation[0] + action[0] + offset_(member, observation[0]);
    mean[1] = observation[1];
    deviation[0] = deviation_;
    deviation[1] = 0;
  }
  bool noise_moves_state() const override { return noise_moves_state_; }
  std::span<const double> scale() const override { return scale_; }
  const ObservationDifference& difference() const override { return difference_; }
  void Save(TensorFile&) const override {}
  void Restore(const TensorFile&) override {}

 private:
  FitMetrics FitVersion(const Dataset&, Key, const FitControl&) override { return {}; }

  int members_;
  double deviation_;
  Offset offset_;
  bool noise_moves_state_;
  std::vector<double> scale_ = {0.2, 0};
  ObservationDifference difference_;
};

double None(int, double) { return 0; }

CalibrationOptions Options() {
  CalibrationOptions options;
  options.horizon = 15;
  options.starts = 600;
  options.particles = 100;
  return options;
}

Calibration Judge(const LearnedModel& model, const CalibrationOptions& options = Options(),
                  double measurement = 0, int threads = 2) {
  ThreadPool executor(threads);
  const DataSplit split{Recorded(60, Key{1, 1}, measurement), Recorded(60, Key{2, 1}, measurement),
                        "made"};
  return Calibrate(model, split, options, Key{3, 1}, executor);
}

TEST(Calibration, IntervalsOfTheTrueModelCoverAtEveryHorizon) {
  const Calibration result = Judge(KnownModel(2, kNoise, None));
  ASSERT_EQ(result.horizons.size(), 15U);
  EXPECT_EQ(result.horizons[0].starts, 600);
  for (const HorizonError& horizon : result.horizons) {
    for (size_t level = 0; level < kCalibrationLevels.size(); ++level) {
      // 60 episodes, whose starts overlap at long horizons: about 150 independent ones at least,
      // sqrt(p (1 - p) / 150) = 0.04 at 50 %; three of them.
      const double p = kCalibrationLevels[level];
      EXPECT_NEAR(horizon.coverage[0][level], p, 3 * std::sqrt(p * (1 - p) / 150))
          << horizon.steps << " " << p;
    }
    // s^2 (1 - a^2h) / (1 - a^2)
    const double a2 = kFriction * kFriction;
    const double expected = kNoise * std::sqrt((1 - std::pow(a2, horizon.steps)) / (1 - a2));
    EXPECT_NEAR(horizon.rmse[0], expected, 0.12 * expected) << horizon.steps;
    EXPECT_GT(horizon.persistence[0], horizon.rmse[0]);
    EXPECT_LT(horizon.epistemic_share[0], 0.03);  // two equal members: chance, corrected for
    EXPECT_EQ(horizon.rmse[1], 0);
  }
  // -log N: log s + log(2 pi) / 2 + 1 / 2, of 1,200 rows: 0.02 each way.
  EXPECT_NEAR(result.nll, std::log(kNoise) + 0.5 * std::log(2 * M_PI) + 0.5, 0.06);
  EXPECT_NEAR(result.members[1].rmse, kNoise / 0.2, 0.03);
}

TEST(Calibration, FewParticlesAreNoDisagreement) {
  // Two particles of each of two equal members: their means differ by chance, v / 4 on average.
  CalibrationOptions options = Options();
  options.particles = 4;
  for (const HorizonError& horizon : Judge(KnownModel(2, kNoise, None), options).horizons) {
    // Uncorrected it is 0.14 at two steps, up to 0.2 at fifteen; 0.02 is what 600 starts leave.
    EXPECT_LT(horizon.epistemic_share[0], 0.03) << horizon.steps;
  }
  // The members' means differ by 0.2: a variance of 0.1^2 beside the noise's 0.1^2, or half of all.
  const auto apart = [](int member, double /*x*/) { return member == 0 ? -0.1 : 0.1; };
  EXPECT_NEAR(Judge(KnownModel(2, kNoise, apart), options).horizons[0].epistemic_share[0], 0.5,
              1e-9);  // one step ahead every particle of a member is at the same place
}

TEST(Calibration, OverconfidenceShows) {
  const Calibration result = Judge(KnownModel(2, kNoise / 2, None));
  // P(|z| < 1.645 / 2) = 0.59
  EXPECT_NEAR(result.horizons[0].coverage[0][1], 0.59, 0.06);
  EXPECT_LT(result.horizons[14].coverage[0][1], 0.75);
}

TEST(Calibration, NoiseOfMeasurementDoesNotMoveTheState) {
  const Calibration result = Judge(KnownModel(1, 0.1, None, false), Options(), 0.1);
  // The start is off by 0.9^h 0.1, what is seen by 0.1: errors shrink with the horizon.
  for (const HorizonError& horizon : result.horizons) {
    const double expected = 0.1 * std::sqrt(1 + std::pow(kFriction, 2 * horizon.steps));
    EXPECT_NEAR(horizon.rmse[0], expected, 0.015) << horizon.steps;
    EXPECT_NEAR(horizon.coverage[0][1], 0.9, 0.05) << horizon.steps;
  }
}

TEST(Calibration, DisagreementIsEpistemicAndNovel) {
  // Members disagree where |x| is large; there they are wrong, too.
  const auto offset = [](int member, double x) { return (member == 0 ? 0.02 : 0.2) * x * x; };
  const Calibration result = Judge(KnownModel(2, 0.02, offset));
  EXPECT_GT(result.horizons[0].epistemic_share[0], 0.2);
  EXPECT_GT(result.novelty.rank_correlation, 0.15);
  EXPECT_GT(result.members[1].rmse, result.members[0].rmse);
  // Held-out rows of the same kind score alike; 1,200 rows of 60 correlated episodes.
  EXPECT_NEAR(result.novelty.holdout_share, 0.05, 0.04);
}

TEST(Calibration, ThreadsChangeNoBit) {
  const KnownModel model(2, kNoise, [](int member, double x) { return 0.1 * member * x; });
  const Calibration one = Judge(model, Options(), 0, 1);
  const Calibration three = Judge(model, Options(), 0, 3);
  for (size_t i = 0; i < one.horizons.size(); ++i) {
    EXPECT_EQ(one.horizons[i].rmse, three.horizons[i].rmse);
    EXPECT_EQ(one.horizons[i].coverage, three.horizons[i].coverage);
    EXPECT_EQ(one.horizons[i].epistemic_share, three.horizons[i].epistemic_share);
  }
  EXPECT_EQ(one.nll, three.nll);
}

/// Errors of these many deviations, one row each; the model says 0 +- kNoise.
DataSplit ErrorsOf(const std::vector<double>& deviations) {
  DataSplit split{Dataset(2, 1), Dataset(2, 1), "made"};
  for (size_t i = 0; i < deviations.size(); ++i) {
    for (Dataset* half : {&split.training, &split.holdout}) {
      half->Add(std::vector<double>{0, 3}, std::vector<double>{0},
                std::vector<double>{deviations[i] * kNoise, 3}, static_cast<int>(i));
    }
  }
  return split;
}

// Normal: 50 % within 0.674 deviations, 90 % within 1.645, 95 % within 1.960.
const std::vector<double> kAroundTheQuantiles = {0.66, -0.69, 1.63, -1.66, -1.95, 1.97};

TEST(Calibration, IntervalsEndAtTheirQuantiles) {
  ThreadPool executor(1);
  const Calibration result = Calibrate(KnownModel(1, kNoise, None), ErrorsOf(kAroundTheQuantiles),
                                       Options(), Key{3, 1}, executor);
  ASSERT_EQ(result.horizons.size(), 1U);
  EXPECT_DOUBLE_EQ(result.horizons[0].coverage[0][0], 1.0 / 6);
  EXPECT_DOUBLE_EQ(result.horizons[0].coverage[0][1], 3.0 / 6);
  EXPECT_DOUBLE_EQ(result.horizons[0].coverage[0][2], 5.0 / 6);
}

TEST(ModelJudge, TheNinetyPercentIntervalEndsAtItsQuantile) {
  const KnownModel model(1, kNoise, None);
  const DataSplit split = ErrorsOf(kAroundTheQuantiles);
  EXPECT_DOUBLE_EQ(ModelJudge(model).Judge(split.holdout, 0, 6).coverage_90, 3.0 / 6);
}

TEST(Calibration, NumbersOfTwoMembersByHand) {
  // One row: 0 -> 0.3; members say 0.1 and 0.4, each +- 0.1; scale 0.2.
  ThreadPool executor(1);
  const KnownModel model(2, kNoise, [](int member, double) { return member == 0 ? 0.1 : 0.4; });
  const Calibration result = Calibrate(model, ErrorsOf({3}), Options(), Key{3, 1}, executor);
  const double normal = 1 / (kNoise * std::sqrt(2 * M_PI));
  const double near = normal * std::exp(-0.5);
  const double far = normal * std::exp(-2.0);
  EXPECT_NEAR(result.members[0].nll, -std::log(far), 1e-12);
  EXPECT_NEAR(result.members[1].rmse, 0.1 / 0.2, 1e-12);
  EXPECT_NEAR(result.nll, -std::log((near + far) / 2), 1e-12);
  EXPECT_NEAR(result.novelty.training_95, 0.15 / 0.2, 1e-12);  // of 0.1 and 0.4: variance 0.15^2
  EXPECT_EQ(result.novelty.holdout_share, 0);
  ASSERT_EQ(result.horizons.size(), 1U);
  EXPECT_NEAR(result.horizons[0].rmse[0], 0.05, 1e-12);
  EXPECT_NEAR(result.horizons[0].persistence[0], 0.3, 1e-12);
  // 0.15^2 between the members, 0.1^2 within
  EXPECT_NEAR(result.horizons[0].epistemic_share[0], 0.0225 / 0.0325, 1e-12);
}

TEST(Calibration, MembersOnEitherSideOfHalfATurnAgree) {
  EnvironmentSpec spec;
  spec.observation = {{"angle", "rad"}, {"rate", "rad/s"}};
  Encoding encoding;
  encoding.sin_cos = {"angle"};
  const testing::KnownMembers model({{{0.1, 0}, {1, 1}}, {{2 * M_PI - 0.1, 0}, {1, 1}}}, {1, 0},
                                    {spec, encoding});
  ThreadPool executor(1);
  const Calibration result = Calibrate(model, ErrorsOf({0}), Options(), Key{3, 1}, executor);
  EXPECT_NEAR(result.novelty.holdout_median, 0.1, 1e-14);  // rounding of 2 pi
}

/// Twenty episodes of a row each; the wrong member's share of a row's error grows with its number.
Calibration JudgeLastRow(double last_offset) {
  DataSplit split{Dataset(2, 1), Dataset(2, 1), "made"};
  for (int row = 0; row < 20; ++row) {
    for (Dataset* half : {&split.training, &split.holdout}) {
      half->Add(std::vector<double>{1.0 * row, 3}, std::vector<double>{0},
                std::vector<double>{kFriction * row, 3}, row);
    }
  }
  const KnownModel model(2, kNoise, [&](int member, double x) {
    return member == 0 ? 0 : x < 19 ? 0.01 * x : last_offset;
  });
  ThreadPool executor(1);
  return Calibrate(model, split, Options(), Key{3, 1}, executor);
}

TEST(Calibration, WhatIsNoNumberIsAsNewAndAsWrongAsCanBe) {
  const Calibration far = JudgeLastRow(1e6);
  const Calibration none = JudgeLastRow(std::nan(""));
  EXPECT_DOUBLE_EQ(far.novelty.rank_correlation, 1);
  EXPECT_EQ(none.novelty.rank_correlation, far.novelty.rank_correlation);
  EXPECT_EQ(none.novelty.holdout_share, 1.0 / 20);
  EXPECT_EQ(none.novelty.training_95, far.novelty.training_95);
  EXPECT_EQ(none.novelty.holdout_median, far.novelty.holdout_median);
  EXPECT_TRUE(std::isnan(none.horizons[0].rmse[0]));
  EXPECT_TRUE(std::isnan(none.horizons[0].epistemic_share[0]));
}

TEST(SplitForCalibration, HoldsOutTheShareThatWasAskedFor) {
  const Dataset hundred = Recorded(100, Key{1, 1});
  // 0.29 * 100 and (1 - 0.34) * 50 are a rounding error below whole numbers.
  for (const int percent : {1, 7, 20, 29, 34, 45, 50, 60, 90}) {
    const DataSplit split = SplitForCalibration(hundred, percent / 100.0);
    EXPECT_EQ(split.holdout.size(), 20 * percent) << percent;
    EXPECT_EQ(split.training.size(), 20 * (100 - percent)) << percent;
  }
  const Dataset one = Recorded(1, Key{1, 1});  // 20 rows
  EXPECT_EQ(SplitForCalibration(one, 0.45).holdout.size(), 9);
  EXPECT_EQ(SplitForCalibration(one, 0.9).holdout.size(), 18);
}

TEST(SplitForCalibration, NoEpisodeIsOnBothSides) {
  const DataSplit split = SplitForCalibration(Recorded(10, Key{1, 1}), 0.3);
  for (int64_t i = 0; i < split.holdout.size(); ++i) {
    for (int64_t j = 0; j < split.training.size(); ++j) {
      ASSERT_NE(split.holdout.episode(i), split.training.episode(j));
    }
  }
}

TEST(Calibration, SaysByHowMuchEachStepChangesWhatHasNoScale) {
  // A belt that moves on by 0.02 a step, and a component that stays; both only rounded.
  Dataset data(2, 1);
  for (int row = 0; row < 60; ++row) {
    data.Add(std::vector<double>{0.02 * row, 3}, std::vector<double>{0},
             std::vector<double>{0.02 * (row + 1), 3}, row / 20);
  }
  const testing::KnownMembers model({{{0.02, 0}, {1e-9, 1e-9}}}, {0, 0});
  ThreadPool executor(1);
  const Calibration result = Calibrate(model, {data, data, "made"}, Options(), Key{3, 1}, executor);
  ASSERT_EQ(result.steady_change.size(), 2U);
  EXPECT_NEAR(result.steady_change[0], 0.02, 1e-14);
  EXPECT_EQ(result.steady_change[1], 0);
  // What varies has no such change.
  EXPECT_EQ(Judge(KnownModel(1, kNoise, None)).steady_change, (std::vector<double>{0, 0}));
}

TEST(SplitForCalibration, HoldsOutWholeEpisodesOrAnEnd) {
  const DataSplit many = SplitForCalibration(Recorded(10, Key{1, 1}), 0.2);
  EXPECT_EQ(many.holdout.size(), 40);  // episodes 4 and 9 of 0 ... 9
  EXPECT_EQ(many.holdout.episode(0), 4);
  const DataSplit few = SplitForCalibration(Recorded(3, Key{1, 1}), 0.2);
  EXPECT_EQ(few.holdout.size(), 20);
  EXPECT_EQ(few.holdout.episode(0), 2);
  const DataSplit one = SplitForCalibration(Recorded(1, Key{1, 1}), 0.2);
  EXPECT_EQ(one.training.size(), 16);
  EXPECT_EQ(one.holdout.size(), 4);
  const DataSplit rare = SplitForCalibration(Recorded(6, Key{1, 1}), 0.05);  // every 20th of 6
  EXPECT_EQ(rare.holdout.size(), 20);
  EXPECT_EQ(rare.holdout.episode(0), 5);

  Dataset single(1, 1);
  const std::vector<double> number = {1};
  single.Add(number, number, number, 1);
  EXPECT_THROW(static_cast<void>(SplitForCalibration(single, 0.2)), InputError);
}

}  // namespace
}  // namespace foreplan
