// What members train on: which rows, and how they are normalised.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <set>
#include <span>
#include <vector>

#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/change_statistics.h"
#include "foreplan/models/ensembles/ensemble_model.h"
#include "foreplan/models/ensembles/ensemble_trainer.h"
#include "foreplan/models/ensembles/testing/ensemble_fits.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"
#include "foreplan/models/model_error.h"

namespace foreplan {
namespace {

using testing::DrawnRows;
using testing::FloatsOf;
using testing::kOneHotRows;
using testing::QuickFit;
using testing::Sides;
using testing::SmallOptions;
using testing::ToyData;
using testing::ToySpec;

const Encoding& kEncoding = testing::kToyEncoding;

// ---- which rows are seen -------------------------------------------------------------------

int Sum(const std::vector<int>& values) { return std::reduce(values.begin(), values.end()); }

TEST(EnsembleTrainer, BootstrapDrawsAsManyRowsAsThereAreWithReplacementEachAlike) {
  std::vector<int> histogram(kOneHotRows);
  const int fits = 40;
  const int members = 5;
  for (uint64_t fit = 0; fit < fits; ++fit) {
    for (const std::vector<int>& drawn : DrawnRows(kOneHotRows, {}, Key{7, fit}, members)) {
      EXPECT_EQ(Sum(drawn), kOneHotRows);
      EXPECT_GT(std::ranges::max(drawn), 1);
      for (size_t row = 0; row < kOneHotRows; ++row) histogram[row] += drawn[row];
    }
  }
  // Binomial: 200 draws of each row are expected, deviation 14; five of them.
  for (const int count : histogram) EXPECT_NEAR(count, fits * members, 70);
}

TEST(EnsembleTrainer, EveryMemberAndEveryFitHasABootstrapOfItsOwn) {
  std::set<std::vector<int>> distinct;
  for (uint64_t fit = 0; fit < 4; ++fit) {
    for (const std::vector<int>& drawn : DrawnRows(kOneHotRows, {}, Key{7, fit}, 5)) {
      distinct.insert(drawn);
    }
  }
  EXPECT_EQ(distinct.size(), 20U);
}

TEST(EnsembleTrainer, WithoutBootstrapEveryMemberSeesEveryRowOnce) {
  FitOptions options;
  options.bootstrap = false;
  for (const std::vector<int>& drawn : DrawnRows(kOneHotRows, options, Key{7, 0}, 3)) {
    EXPECT_EQ(drawn, std::vector<int>(kOneHotRows, 1));
  }
}

TEST(EnsembleTrainer, ARowStaysOnItsSideOfTheHoldOutWhateverIsFittedLater) {
  const std::vector<int> sides = Sides(kOneHotRows, Key{7, 0});
  const int training = Sum(sides);
  EXPECT_GT(training, 8);  // of 24 at 60 %: 14 +- 2.4
  EXPECT_LT(training, 21);
  EXPECT_LE(std::ranges::max(sides), 1);
  for (uint64_t fit = 1; fit < 5; ++fit) EXPECT_EQ(Sides(kOneHotRows, Key{7, fit}), sides);
  const std::vector<int> earlier = Sides(15, Key{8, 0});
  EXPECT_TRUE(std::ranges::equal(earlier, std::span(sides).first(15)));
}

TEST(EnsembleTrainer, NoMemberEverTrainsOnAHeldOutRow) {
  const std::vector<int> sides = Sides(kOneHotRows, Key{7, 0});
  ASSERT_LT(Sum(sides), kOneHotRows) << "some are held out";
  FitOptions options;
  options.holdout_share = 0.4;
  for (uint64_t fit = 0; fit < 10; ++fit) {
    for (const std::vector<int>& drawn : DrawnRows(kOneHotRows, options, Key{9, fit}, 3)) {
      EXPECT_EQ(Sum(drawn), Sum(sides));
      for (size_t row = 0; row < kOneHotRows; ++row)
        EXPECT_TRUE(sides[row] == 1 || drawn[row] == 0);
    }
  }
}

// ---- normalisers ---------------------------------------------------------------------------

void ExpectNormalisersOf(const Ensemble& model, const Dataset& data,
                         const std::vector<int64_t>& rows) {
  const FeatureMap& features = model.features();
  const auto check = [&](const Normaliser& normaliser, auto fill) {
    const auto columns = static_cast<size_t>(normaliser.columns());
    std::vector<std::vector<double>> values;
    for (const int64_t row : rows) {
      values.emplace_back(columns);
      fill(row, values.back().data());
    }
    const auto count = static_cast<double>(rows.size());
    for (size_t k = 0; k < columns; ++k) {
      double mean = 0;
      double variance = 0;
      for (const auto& value : values) mean += value[k] / count;
      for (const auto& value : values) variance += std::pow(value[k] - mean, 2) / count;
      EXPECT_NEAR(normaliser.mean[k], mean, 1e-9);  // rounding
      if (variance < 1e-12) continue;               // constant
      EXPECT_NEAR(normaliser.scale[k], std::sqrt(variance), 1e-9);
    }
  };
  check(model.input_normaliser(), [&](int64_t row, double* to) {
    features.Input(data.observation(row).data(), data.action(row).data(), to);
  });
  check(model.target_normaliser(), [&](int64_t row, double* to) {
    features.Target(data.observation(row).data(), data.next_observation(row).data(), to);
  });
}

std::vector<int64_t> AllRows(const Dataset& data) {
  std::vector<int64_t> rows(static_cast<size_t>(data.size()));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  return rows;
}

TEST(EnsembleTrainer, EveryFitNormalisesByAllOfItsData) {
  ThreadPool executor(1);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(std::make_shared<Ensemble>(model), QuickFit(3),
                          testing::Borrowed(executor));
  Dataset data = ToyData(60, 1);
  trainer.Fit(data, Key{1, 2});
  ExpectNormalisersOf(*trainer.ensemble(), data, AllRows(data));
  for (int row = 0; row < 60; ++row) {  // elsewhere, and moving otherwise
    const double x[3] = {20.0 + row, 1, 0.7};
    const double next[3] = {x[0] + 0.3 * row, 1.5, 0.7};
    const double u = 0.9;
    data.Add(x, std::span(&u, 1), next, 2);
  }
  trainer.Fit(data, Key{1, 3});
  ExpectNormalisersOf(*trainer.ensemble(), data, AllRows(data));
}

TEST(EnsembleTrainer, HeldOutRowsDoNotEnterTheNormalisers) {
  ThreadPool executor(1);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  FitOptions options = QuickFit(3);
  options.holdout_share = 0.4;
  const std::vector<int> sides = Sides(kOneHotRows, Key{7, 0});
  const Dataset data = ToyData(kOneHotRows, 1);
  std::vector<int64_t> training;
  for (int row = 0; row < kOneHotRows; ++row) {
    if (sides[static_cast<size_t>(row)] == 1) training.push_back(row);
  }
  EnsembleTrainer trainer(std::make_shared<Ensemble>(model), options, testing::Borrowed(executor));
  const FitReport report = trainer.Fit(data, Key{1, 2});
  ExpectNormalisersOf(*trainer.ensemble(), data, training);
  EXPECT_EQ(report.scale, MeasureChanges(data, {}, training).deviation);
  EXPECT_NE(report.scale, MeasureChanges(data, {}).deviation);
}

// x and v under a force, in a unit of length.
Dataset PushedMass(double unit) {
  Dataset data(2, 1);
  Random random(Key{5, 7});
  for (int row = 0; row < 200; ++row) {
    const double x = random.Uniform(-1, 1);
    const double v = random.Normal();
    const double u = random.Uniform(-1, 1);
    const double before[2] = {unit * x, unit * v};
    const double after[2] = {unit * (x + 0.05 * v), unit * (v + 0.05 * (u - std::sin(3 * x)))};
    const double action = unit * u;
    data.Add(before, std::span(&action, 1), after, 1);
  }
  return data;
}

TEST(EnsembleTrainer, AUnitOfLengthChangesNothing) {
  SystemSpec spec;
  spec.dt = 0.05;
  spec.observation = {{"x", "m"}, {"v", "m/s"}};
  spec.action = {{"force", "N"}};
  spec.action_low = {-1};
  spec.action_high = {1};
  ThreadPool executor(2);
  FitOptions options = QuickFit(600);
  options.holdout_share = 0.2;
  std::vector<double> errors;
  std::vector<std::vector<float>> parameters;
  // Powers of two: 1 m, a micrometre, 10^-12 m. All else is equal bit for bit.
  for (const double unit : {1.0, std::ldexp(1.0, -20), std::ldexp(1.0, -40)}) {
    EnsembleModel model(spec, {}, SmallOptions(), options, Key{1, 1}, testing::Borrowed(executor));
    const Dataset data = PushedMass(unit);
    const FitMetrics metrics = model.Fit(data, Key{1, 2});
    EXPECT_EQ(metrics.back().first, "holdout_rmse");
    EXPECT_LT(metrics.back().second, 0.5);  // of 1 before
    EXPECT_GT(model.scale()[0], 0);
    EXPECT_GT(model.scale()[1], 0);
    errors.push_back(ModelJudge(model).Judge(data, 0, data.size()).one_step_rmse);
    TensorFile file;
    model.Save(file);
    parameters.push_back(FloatsOf(file, "model.parameters"));
  }
  EXPECT_LT(errors[0], 0.5);
  EXPECT_EQ(errors[1], errors[0]);
  EXPECT_EQ(errors[2], errors[0]);
  EXPECT_EQ(parameters[1], parameters[0]);
  EXPECT_EQ(parameters[2], parameters[0]);
}

TEST(EnsembleTrainer, ConstantComponentsNeverGiveNanAndStayConstant) {
  ThreadPool executor(1);
  EnsembleModel model(ToySpec(), kEncoding, SmallOptions(), QuickFit(200), Key{1, 1},
                      testing::Borrowed(executor));
  model.Fit(ToyData(100, 1), Key{1, 2});
  EXPECT_EQ(model.scale()[2], 0);
  const auto workspace = model.snapshot()->MakeWorkspace(1);
  const std::vector<double> x = {0.3, 1.2, 0.7};
  const std::vector<double> u = {0.4};
  std::vector<double> next(3);
  model.snapshot()->Step({.rows = 1,
                          .state = x.data(),
                          .action = u.data(),
                          .next_state = next.data(),
                          .key = Key{1, 3}},
                         *workspace);
  EXPECT_TRUE(std::isfinite(next[0]));
  EXPECT_NEAR(next[2], 0.7, 1e-14);  // a few roundings
}

TEST(EnsembleTrainer, WhatKeepsItsPaceGoesOnAtThatPace) {
  // A belt of 20 ms a step and a clock in milliseconds.
  EnvironmentSpec spec = ToySpec();
  spec.observation = {{"x", ""}, {"belt", ""}, {"clock", "ms"}};
  Dataset data(3, 1);
  Random random(Key{5, 8});
  double x = 0;
  for (int row = 0; row < 120; ++row) {
    const double u = random.Uniform(-1, 1);
    const double before[3] = {x, 0.02 * row, 1519844087028.0 + 50.0 * row};
    x = 0.9 * x + u;
    const double after[3] = {x, 0.02 * (row + 1), 1519844087028.0 + 50.0 * (row + 1)};
    data.Add(before, std::span(&u, 1), after, 1);
  }
  ThreadPool executor(1);
  EnsembleModel model(spec, {}, SmallOptions(), QuickFit(100), Key{1, 1},
                      testing::Borrowed(executor));
  model.Fit(data, Key{1, 2});
  EXPECT_GT(model.scale()[0], 0);
  EXPECT_EQ(model.scale()[1], 0);
  EXPECT_EQ(model.scale()[2], 0);
  const auto workspace = model.MakePredictionWorkspace(1);
  double mean[3];
  double deviation[3];
  model.Predict(0, 1, data.observation(60).data(), data.action(60).data(), mean, deviation,
                *workspace);
  EXPECT_NEAR(mean[1], 0.02 * 61, 1e-13);
  EXPECT_NEAR(mean[2], 1519844087028.0 + 50.0 * 61, 0.02);  // rounding: 8 eps, a few of them
}

TEST(EnsembleTrainer, WhatItsRateMovesExactlyIsNotTakenForConstant) {
  EnvironmentSpec spec = ToySpec();
  spec.observation = {{"x", "m"}, {"y", ""}, {"x_rate", "m/s"}};
  Encoding encoding;
  encoding.integrate = {"x"};
  Dataset data(3, 1);
  Random random(Key{5, 9});
  for (int row = 0; row < 50; ++row) {
    const double before[3] = {random.Normal(), random.Normal(), random.Normal()};
    const double after[3] = {before[0] + 0.1 * before[2], random.Normal(), random.Normal()};
    const double u = 0;
    data.Add(before, std::span(&u, 1), after, 1);
  }
  ThreadPool executor(1);
  EnsembleModel model(spec, encoding, SmallOptions(), QuickFit(5), Key{1, 1},
                      testing::Borrowed(executor));
  model.Fit(data, Key{1, 2});
  EXPECT_GT(model.scale()[0], 0.05);  // its changes are 0.1 of a standard normal
}

TEST(EnsembleTrainer, RowsThatAreEncodedOnceChangeNoBit) {
  // 4 steps of 16 rows of one member are fewer than 100 rows, of three members more; the first of
  // them is the same.
  FitOptions fit = QuickFit(4);
  fit.batch = 16;
  fit.holdout_share = 0.3;
  fit.patience = 3;
  std::vector<std::vector<float>> first;
  for (const int members : {1, 3}) {
    EnsembleOptions options = SmallOptions();
    options.members = members;
    EnsembleTrainer trainer(
        std::make_shared<const Ensemble>(ToySpec(), kEncoding, options, Key{1, 1}), fit,
        std::make_shared<ThreadPool>(2));
    trainer.Fit(ToyData(100, 1), Key{1, 2});
    const std::span<const float> parameters = trainer.ensemble()->parameters(0);
    first.emplace_back(parameters.begin(), parameters.end());
  }
  EXPECT_EQ(first[0], first[1]);
}

}  // namespace
}  // namespace foreplan
