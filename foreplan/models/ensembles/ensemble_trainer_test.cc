#include "foreplan/models/ensembles/ensemble_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/change_statistics.h"
#include "foreplan/models/ensembles/ensemble_model.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"
#include "foreplan/models/model_error.h"

namespace foreplan {
namespace {

using testing::QuickFit;
using testing::SameTensors;
using testing::SmallOptions;
using testing::ToyData;
using testing::ToySpec;

const Encoding& kEncoding = testing::kToyEncoding;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

const std::vector<float>& FloatsOf(const TensorFile& file, const std::string& name) {
  return std::get<std::vector<float>>(file.tensors.at(name).values);
}

std::vector<int32_t> AdamSteps(const EnsembleTrainer& trainer) {
  TensorFile file;
  trainer.Save(file);
  return std::get<std::vector<int32_t>>(file.tensors.at("trainer.adam_steps").values);
}

// A part of a flat parameter vector of all members.
std::vector<float> MemberPart(const std::vector<float>& all, int members, int member) {
  const auto size = static_cast<ptrdiff_t>(all.size()) / members;
  return {all.begin() + member * size, all.begin() + (member + 1) * size};
}

// Everything that a fit may change.
TensorFile Everything(const Ensemble& ensemble, const EnsembleTrainer& trainer) {
  TensorFile file;
  ensemble.Save(file);
  trainer.Save(file);
  return file;
}

// ---- which rows are seen -------------------------------------------------------------------

constexpr int kRows = 24;  // as many components as rows

SystemSpec OneHotSpec() {
  SystemSpec spec;
  spec.dt = 0.1;
  for (int i = 0; i < kRows; ++i) spec.observation.push_back({"o" + std::to_string(i), ""});
  spec.state = spec.observation;
  spec.action = {{"u", ""}};
  spec.action_low = {-1};
  spec.action_high = {1};
  return spec;
}

// Row r changes component r by 1 and no other.
Dataset OneHotData(int rows) {
  Dataset data(kRows, 1);
  const std::vector<double> zero(kRows);
  for (int row = 0; row < rows; ++row) {
    std::vector<double> next = zero;
    next[static_cast<size_t>(row)] = 1;
    data.Add(zero, std::vector<double>{0.0}, next, 1);
  }
  return data;
}

// How often each row is drawn by each member in the first pass over its rows: [members][rows].
//
// A network of zeros predicts 0, and row r has a target of 1 in component r alone. Its first
// gradient step, over a batch of all n rows that a member sees, has for the bias of output r the
// gradient 2 / (n no) sum (0 - 1) = -2 c_r / (n no) with c_r the times that row r was drawn; Adam's
// first moment is 0.1 of the gradient.
std::vector<std::vector<int>> DrawnRows(int rows, FitOptions fit, Key key, int members = 1) {
  EnsembleOptions options;
  options.members = members;
  options.hidden_layers = 1;
  options.width = 2;
  options.probabilistic = false;
  options.normalise_targets = false;
  const Dataset data = OneHotData(rows);
  ThreadPool pool(1);
  fit.min_steps = fit.max_steps = 1;
  fit.batch = 1;
  TensorFile saved;
  for (const bool counting : {true, false}) {
    Ensemble ensemble(OneHotSpec(), {}, options, Key{1, 1});
    for (int member = 0; member < members; ++member) {
      std::ranges::fill(ensemble.parameters(member), 0.0F);
    }
    EnsembleTrainer trainer(ensemble, fit, pool);
    const auto n = static_cast<int>(trainer.Fit(data, key).training_rows);
    if (counting) fit.batch = n;
    trainer.Save(saved);
  }
  std::vector<std::vector<int>> drawn;
  for (int member = 0; member < members; ++member) {
    const std::vector<float> moment =
        MemberPart(FloatsOf(saved, "trainer.first_moment"), members, member);
    drawn.emplace_back();
    for (int row = 0; row < rows; ++row) {
      const double gradient = moment[moment.size() - kRows + static_cast<size_t>(row)] / 0.1;
      const double count = -gradient * fit.batch * kRows / 2;
      EXPECT_NEAR(count, std::round(count), 1e-4);  // float
      drawn.back().push_back(static_cast<int>(std::lround(count)));
    }
  }
  return drawn;
}

int Sum(const std::vector<int>& values) { return std::reduce(values.begin(), values.end()); }

TEST(EnsembleTrainer, BootstrapDrawsAsManyRowsAsThereAreWithReplacementEachAlike) {
  std::vector<int> histogram(kRows);
  const int fits = 40;
  const int members = 5;
  for (uint64_t fit = 0; fit < fits; ++fit) {
    for (const std::vector<int>& drawn : DrawnRows(kRows, {}, Key{7, fit}, members)) {
      EXPECT_EQ(Sum(drawn), kRows);
      EXPECT_GT(std::ranges::max(drawn), 1);
      for (size_t row = 0; row < kRows; ++row) histogram[row] += drawn[row];
    }
  }
  // Binomial: 200 draws of each row are expected, deviation 14; five of them.
  for (const int count : histogram) EXPECT_NEAR(count, fits * members, 70);
}

TEST(EnsembleTrainer, EveryMemberAndEveryFitHasABootstrapOfItsOwn) {
  std::set<std::vector<int>> distinct;
  for (uint64_t fit = 0; fit < 4; ++fit) {
    for (const std::vector<int>& drawn : DrawnRows(kRows, {}, Key{7, fit}, 5)) {
      distinct.insert(drawn);
    }
  }
  EXPECT_EQ(distinct.size(), 20U);
}

TEST(EnsembleTrainer, WithoutBootstrapEveryMemberSeesEveryRowOnce) {
  FitOptions options;
  options.bootstrap = false;
  for (const std::vector<int>& drawn : DrawnRows(kRows, options, Key{7, 0}, 3)) {
    EXPECT_EQ(drawn, std::vector<int>(kRows, 1));
  }
}

// Rows that a member trains on without a bootstrap: 1, and 0 for those that are held out.
std::vector<int> Sides(int rows, Key key) {
  FitOptions options;
  options.bootstrap = false;
  options.holdout_share = 0.4;
  return DrawnRows(rows, options, key)[0];
}

TEST(EnsembleTrainer, ARowStaysOnItsSideOfTheHoldOutWhateverIsFittedLater) {
  const std::vector<int> sides = Sides(kRows, Key{7, 0});
  const int training = Sum(sides);
  EXPECT_GT(training, 8);  // of 24 at 60 %: 14 +- 2.4
  EXPECT_LT(training, 21);
  EXPECT_LE(std::ranges::max(sides), 1);
  for (uint64_t fit = 1; fit < 5; ++fit) EXPECT_EQ(Sides(kRows, Key{7, fit}), sides);
  const std::vector<int> earlier = Sides(15, Key{8, 0});
  EXPECT_TRUE(std::ranges::equal(earlier, std::span(sides).first(15)));
}

TEST(EnsembleTrainer, NoMemberEverTrainsOnAHeldOutRow) {
  const std::vector<int> sides = Sides(kRows, Key{7, 0});
  ASSERT_LT(Sum(sides), kRows) << "some are held out";
  FitOptions options;
  options.holdout_share = 0.4;
  for (uint64_t fit = 0; fit < 10; ++fit) {
    for (const std::vector<int>& drawn : DrawnRows(kRows, options, Key{9, fit}, 3)) {
      EXPECT_EQ(Sum(drawn), Sum(sides));
      for (size_t row = 0; row < kRows; ++row) EXPECT_TRUE(sides[row] == 1 || drawn[row] == 0);
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
  ThreadPool pool(1);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(model, QuickFit(3), pool);
  Dataset data = ToyData(60, 1);
  trainer.Fit(data, Key{1, 2});
  ExpectNormalisersOf(model, data, AllRows(data));
  for (int row = 0; row < 60; ++row) {  // elsewhere, and moving otherwise
    const double x[3] = {20.0 + row, 1, 0.7};
    const double next[3] = {x[0] + 0.3 * row, 1.5, 0.7};
    const double u = 0.9;
    data.Add(x, std::span(&u, 1), next, 2);
  }
  trainer.Fit(data, Key{1, 3});
  ExpectNormalisersOf(model, data, AllRows(data));
}

TEST(EnsembleTrainer, HeldOutRowsDoNotEnterTheNormalisers) {
  ThreadPool pool(1);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  FitOptions options = QuickFit(3);
  options.holdout_share = 0.4;
  const std::vector<int> sides = Sides(kRows, Key{7, 0});
  const Dataset data = ToyData(kRows, 1);
  std::vector<int64_t> training;
  for (int row = 0; row < kRows; ++row) {
    if (sides[static_cast<size_t>(row)] == 1) training.push_back(row);
  }
  const FitReport report = EnsembleTrainer(model, options, pool).Fit(data, Key{1, 2});
  ExpectNormalisersOf(model, data, training);
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
  spec.state = spec.observation;
  spec.action = {{"force", "N"}};
  spec.action_low = {-1};
  spec.action_high = {1};
  ThreadPool pool(2);
  FitOptions options = QuickFit(600);
  options.holdout_share = 0.2;
  std::vector<double> errors;
  std::vector<std::vector<float>> parameters;
  // Powers of two: 1 m, a micrometre, 10^-12 m. All else is equal bit for bit.
  for (const double unit : {1.0, std::ldexp(1.0, -20), std::ldexp(1.0, -40)}) {
    EnsembleModel model(spec, {}, SmallOptions(), options, Key{1, 1}, pool);
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
  ThreadPool pool(1);
  EnsembleModel model(ToySpec(), kEncoding, SmallOptions(), QuickFit(200), Key{1, 1}, pool);
  model.Fit(ToyData(100, 1), Key{1, 2});
  EXPECT_EQ(model.scale()[2], 0);
  const auto workspace = model.dynamics().MakeWorkspace(1);
  const std::vector<double> x = {0.3, 1.2, 0.7};
  const std::vector<double> u = {0.4};
  std::vector<double> next(3);
  model.dynamics().Step({.rows = 1,
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
  SystemSpec spec = ToySpec();
  spec.observation = {{"x", ""}, {"belt", ""}, {"clock", "ms"}};
  spec.state = spec.observation;
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
  ThreadPool pool(1);
  EnsembleModel model(spec, {}, SmallOptions(), QuickFit(100), Key{1, 1}, pool);
  model.Fit(data, Key{1, 2});
  EXPECT_GT(model.scale()[0], 0);
  EXPECT_EQ(model.scale()[1], 0);
  EXPECT_EQ(model.scale()[2], 0);
  const auto workspace = model.MakePredictionWorkspace();
  double mean[3];
  double deviation[3];
  model.Predict(0, data.observation(60).data(), data.action(60).data(), mean, deviation,
                *workspace);
  EXPECT_NEAR(mean[1], 0.02 * 61, 1e-13);
  EXPECT_NEAR(mean[2], 1519844087028.0 + 50.0 * 61, 0.02);  // rounding: 8 eps, a few of them
}

TEST(EnsembleTrainer, WhatItsRateMovesExactlyIsNotTakenForConstant) {
  SystemSpec spec = ToySpec();
  spec.observation = {{"x", "m"}, {"y", ""}, {"x_rate", "m/s"}};
  spec.state = spec.observation;
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
  ThreadPool pool(1);
  EnsembleModel model(spec, encoding, SmallOptions(), QuickFit(5), Key{1, 1}, pool);
  model.Fit(data, Key{1, 2});
  EXPECT_GT(model.scale()[0], 0.05);  // its changes are 0.1 of a standard normal
}

// ---- gradient steps ------------------------------------------------------------------------

TEST(EnsembleTrainer, WeightDecayShrinksWeightsByLayerAndLeavesBiases) {
  EnsembleOptions options;
  options.members = 1;
  options.hidden_layers = 1;
  options.width = 6;
  options.probabilistic = false;
  // What does not change is predicted exactly by outputs of 0: no gradient but that of the decay.
  Dataset data(3, 1);
  Random random(Key{5, 4});
  for (int row = 0; row < 20; ++row) {
    const double x[3] = {random.Normal(), random.Normal(), random.Normal()};
    const double u = random.Normal();
    data.Add(x, std::span(&u, 1), x, 1);
  }
  ThreadPool pool(1);
  FitOptions fit = QuickFit(1);
  fit.weight_decay = {0.5, 0.25};
  fit.learning_rate = 1e-3;
  const Mlp mlp({4, 6, 3});
  // Outputs are 0 by zero weights of the last layer, or by zero activations of the hidden one.
  for (const int zero_layer : {1, 0}) {
    Ensemble model(ToySpec(), {}, options, Key{1, 1});
    const std::span<float> parameters = model.parameters(0);
    std::fill_n(parameters.begin() + mlp.bias_offset(0), 6, zero_layer == 1 ? 0.5F : 0.0F);
    std::fill_n(parameters.begin() + mlp.weight_offset(zero_layer),
                mlp.bias_offset(zero_layer) - mlp.weight_offset(zero_layer), 0.0F);
    const std::vector<float> before(parameters.begin(), parameters.end());
    EnsembleTrainer trainer(model, fit, pool);
    trainer.Fit(data, Key{1, 2});
    TensorFile saved;
    trainer.Save(saved);
    const std::vector<float>& moment = FloatsOf(saved, "trainer.first_moment");
    const std::span<const float> after = std::as_const(model).parameters(0);
    for (int layer = 0; layer < 2; ++layer) {
      const float decay = layer == 0 ? 0.5F : 0.25F;
      for (int i = mlp.weight_offset(layer); i < mlp.bias_offset(layer); ++i) {
        const auto at = static_cast<size_t>(i);
        // m = 0.1 decay W, and Adam's first step is the learning rate against the gradient's sign.
        EXPECT_NEAR(moment[at], 0.1F * decay * before[at], 1e-7F);
        if (std::abs(before[at]) < 0.01F) continue;
        EXPECT_NEAR(after[at], before[at] - std::copysign(1e-3F, before[at]), 1e-6F);
      }
      for (int k = 0; k < mlp.layer_outputs(layer); ++k) {
        const auto at = static_cast<size_t>(mlp.bias_offset(layer) + k);
        EXPECT_EQ(moment[at], 0.0F);
        EXPECT_EQ(after[at], before[at]);
      }
    }
  }
}

TEST(EnsembleTrainer, GradientClipBoundsTheNormOfEachMembersGradient) {
  ThreadPool pool(1);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  FitOptions options = QuickFit(1);
  options.gradient_clip = 1e-3;
  EnsembleTrainer trainer(model, options, pool);
  trainer.Fit(ToyData(40, 1), Key{1, 2});
  TensorFile saved;
  trainer.Save(saved);
  for (int member = 0; member < model.members(); ++member) {
    double squares = 0;
    for (const float m : MemberPart(FloatsOf(saved, "trainer.first_moment"), 5, member)) {
      squares += static_cast<double>(m) * m;
    }
    EXPECT_NEAR(std::sqrt(squares), 0.1 * 1e-3, 1e-8);  // Adam's first moment; float
  }
}

TEST(EnsembleTrainer, AdamCountsTheStepsOfAllFitsPerMember) {
  ThreadPool pool(1);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(model, QuickFit(30), pool);
  EXPECT_EQ(AdamSteps(trainer), std::vector<int32_t>(5, 0));
  trainer.Fit(ToyData(40, 1), Key{1, 2});
  EXPECT_EQ(AdamSteps(trainer), std::vector<int32_t>(5, 30));
  trainer.Fit(ToyData(40, 1), Key{1, 3});
  EXPECT_EQ(AdamSteps(trainer), std::vector<int32_t>(5, 60));
}

TEST(EnsembleTrainer, LearnsASmoothSystemFromLittleData) {
  ThreadPool pool(2);
  EnsembleModel model(ToySpec(), kEncoding, SmallOptions(), QuickFit(2000), Key{1, 1}, pool);
  const FitMetrics metrics = model.Fit(ToyData(400, 1), Key{1, 2});
  EXPECT_EQ(metrics[1], (std::pair<std::string, double>("steps", 2000)));
  const ModelError error = ModelJudge(model).Judge(ToyData(200, 2), 0, 200);
  // The system has no noise: what remains is the network's error, a few percent.
  EXPECT_LT(error.one_step_rmse, 0.06);
  EXPECT_GT(error.coverage_90, 0.8);
}

TEST(EnsembleTrainer, LearnsTheNoiseOfTheData) {
  Dataset data(3, 1);
  Random random(Key{6, 1});
  for (int row = 0; row < 2000; ++row) {
    const double x[3] = {random.Normal(), 0.0, 0.7};
    const double u = random.Uniform(-1, 1);
    double next[3];
    testing::ToyStep(x, u, next);
    next[0] += 0.2 * random.Normal();
    data.Add(x, std::span(&u, 1), next, 1);
  }
  ThreadPool pool(2);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(model, QuickFit(3000), pool);
  trainer.Fit(data, Key{1, 2});
  const auto workspace = model.MakeWorkspace(1);
  const double x[3] = {0.1, 0.0, 0.7};
  const double u = 0;
  double mean[3];
  double deviation[3];
  model.PredictTarget(0, 1, x, &u, mean, deviation, *workspace);
  EXPECT_NEAR(deviation[0], 0.2, 0.04);  // 2000 noisy rows and one network: within 20 %
}

TEST(EnsembleTrainer, DeterministicMembersFitTheMean) {
  ThreadPool pool(2);
  EnsembleOptions options = SmallOptions();
  options.members = 1;
  options.probabilistic = false;
  EnsembleModel model(ToySpec(), kEncoding, options, QuickFit(2000), Key{1, 1}, pool);
  EXPECT_FALSE(model.dynamics().is_stochastic());
  model.Fit(ToyData(400, 1), Key{1, 2});
  EXPECT_LT(ModelJudge(model).Judge(ToyData(200, 2), 0, 200).one_step_rmse, 0.06);
}

TEST(EnsembleTrainer, AnOutlierJumpLeavesTheOrdinaryRowsPredicted) {
  ThreadPool pool(2);
  FitOptions options = QuickFit(1500);
  options.gradient_clip = 10;
  EnsembleModel model(ToySpec(), kEncoding, SmallOptions(), options, Key{1, 1}, pool);
  Dataset data = ToyData(200, 1);
  model.Fit(data, Key{1, 2});
  const double x[3] = {0, 0, 0.7};
  const double next[3] = {500, -300, 0.9};  // thousands of deviations
  const double u = 0.5;
  data.Add(x, std::span(&u, 1), next, 1);
  model.Fit(data, Key{1, 3});
  // The jump is all of the scale by now, 35 and 21 m; ordinary rows change by less than a metre,
  // and that is what the model says of them.
  EXPECT_NEAR(model.scale()[0], 500 / std::sqrt(201.0), 1);
  const auto workspace = model.MakePredictionWorkspace();
  double squares = 0;
  for (int64_t row = 0; row < 200; ++row) {
    double mean[3];
    double deviation[3];
    for (int member = 0; member < model.members(); ++member) {
      model.Predict(member, data.observation(row).data(), data.action(row).data(), mean, deviation,
                    *workspace);
      for (size_t i = 0; i < 3; ++i) {
        ASSERT_TRUE(std::isfinite(mean[i]) && std::isfinite(deviation[i]));
        squares += std::pow(mean[i] - data.next_observation(row)[i], 2) / (600.0 * model.members());
      }
    }
  }
  EXPECT_LT(std::sqrt(squares), 5);  // a seventh of the scale
}

// ---- early stopping ------------------------------------------------------------------------

// A little to learn and much noise: soon the training rows are only learnt by heart.
Dataset NoiseData(int rows) {
  Dataset data(3, 1);
  Random random(Key{5, 3});
  for (int row = 0; row < rows; ++row) {
    const double x[3] = {random.Normal(), random.Normal(), 0.7};
    const double next[3] = {x[0] + 0.8 * x[1] + 0.6 * random.Normal(),
                            x[1] - 0.5 * x[0] + 0.6 * random.Normal(), 0.7};
    const double u = random.Normal();
    data.Add(x, std::span(&u, 1), next, 1);
  }
  return data;
}

FitOptions StoppingFit(int patience) {
  FitOptions options = QuickFit(200);
  options.holdout_share = 0.3;
  options.learning_rate = 1e-2;
  options.checks = 50;  // every 4 steps
  options.patience = patience;
  return options;
}

// What a fit of exactly so many steps leaves, with the same batches: no early stopping.
struct Stage {
  TensorFile state;
  double holdout_rmse = 0;
  double training_loss = 0;
};
Stage StageAfter(int steps, int members, Key init) {
  ThreadPool pool(1);
  EnsembleOptions options = SmallOptions();
  options.members = members;
  Ensemble model(ToySpec(), kEncoding, options, init);
  FitOptions fit = StoppingFit(0);
  fit.min_steps = fit.max_steps = steps;
  EnsembleTrainer trainer(model, fit, pool);
  const FitReport report = trainer.Fit(NoiseData(40), Key{1, 2});
  return {Everything(model, trainer), report.holdout_rmse, report.training_loss};
}

TEST(EnsembleTrainer, EarlyStoppingReturnsToTheCheckWithTheLeastHoldOutError) {
  for (uint64_t init = 1; init < 4; ++init) {
    ThreadPool pool(1);
    EnsembleOptions options = SmallOptions();
    options.members = 1;
    Ensemble model(ToySpec(), kEncoding, options, Key{1, init});
    EnsembleTrainer trainer(model, StoppingFit(5), pool);
    const FitReport report = trainer.Fit(NoiseData(40), Key{1, 2});
    EXPECT_EQ(report.holdout_rows + report.training_rows, 40);
    EXPECT_GT(report.holdout_rows, 0);
    ASSERT_LT(report.steps, 200);
    ASSERT_EQ(report.steps % 4, 0);

    int best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (int steps = 4; steps <= report.steps; steps += 4) {
      const double error = StageAfter(steps, 1, Key{1, init}).holdout_rmse;
      if (error < least) {
        least = error;
        best = steps;
      }
    }
    EXPECT_EQ(best, report.steps - 5 * 4);  // five checks without a better one
    EXPECT_EQ(report.holdout_rmse, least);
    EXPECT_TRUE(SameTensors(Everything(model, trainer), StageAfter(best, 1, Key{1, init}).state));
  }
}

TEST(EnsembleTrainer, MembersStopEachAtItsOwnBestWithItsOwnMomentsAndSteps) {
  const int members = 4;
  ThreadPool pool(2);
  EnsembleOptions options = SmallOptions();
  options.members = members;
  Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
  EnsembleTrainer trainer(model, StoppingFit(5), pool);
  const FitReport report = trainer.Fit(NoiseData(40), Key{1, 2});
  const TensorFile stopped = Everything(model, trainer);
  const std::vector<int32_t> taken = AdamSteps(trainer);
  EXPECT_GT(std::set<int32_t>(taken.begin(), taken.end()).size(), 1U);
  // The one that went on longest stopped five checks after its best.
  ASSERT_LT(report.steps, 200);
  EXPECT_EQ(std::ranges::max(taken), report.steps - 5 * 4);
  for (int member = 0; member < members; ++member) {
    const int steps = taken[static_cast<size_t>(member)];
    ASSERT_GT(steps, 0);
    const Stage stage = StageAfter(steps, members, Key{1, 1});
    for (const char* name : {"model.parameters", "trainer.first_moment", "trainer.second_moment"}) {
      EXPECT_EQ(MemberPart(FloatsOf(stopped, name), members, member),
                MemberPart(FloatsOf(stage.state, name), members, member))
          << name;
    }
  }
}

TEST(EnsembleTrainer, TrainingLossIsThatOfTheLastTenthOfTheStepsTaken) {
  ThreadPool pool(1);
  EnsembleOptions options = SmallOptions();
  options.members = 1;
  Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
  FitOptions fit = StoppingFit(5);
  fit.min_steps = fit.max_steps = 20000;
  fit.checks = 5000;  // every 4 steps
  const FitReport report = EnsembleTrainer(model, fit, pool).Fit(NoiseData(40), Key{1, 2});
  ASSERT_LT(report.steps, 2000);
  EXPECT_NE(report.training_loss, 0);
  EXPECT_EQ(report.training_loss, StageAfter(report.steps, 1, Key{1, 1}).training_loss);
}

TEST(EnsembleTrainer, TrainingLossIsTheMeanOverTheLastTenthOfTheSteps) {
  // One row is every batch, so that fits go on where others end: the 30th loss is that of a fit of
  // one step after one of 29.
  const Dataset data = ToyData(1, 1);
  ThreadPool pool(1);
  const auto losses = [&](const std::vector<int>& fits) {
    Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
    // The trainer keeps its options: each fit has a trainer, and moments and steps go along.
    TensorFile state;
    EnsembleTrainer(model, QuickFit(1), pool).Save(state);
    std::vector<double> of_fits;
    for (const int steps : fits) {
      EnsembleTrainer trainer(model, QuickFit(steps), pool);
      trainer.Restore(state);
      of_fits.push_back(trainer.Fit(data, Key{1, 2}).training_loss);
      trainer.Save(state);
    }
    return of_fits;
  };
  const std::vector<double> single = losses({27, 1, 1, 1});
  EXPECT_NE(single[1], single[2]);
  EXPECT_NEAR(losses({30})[0], (single[1] + single[2] + single[3]) / 3, 1e-6);  // float
}

TEST(EnsembleTrainer, HoldOutErrorLeavesOutWhatIsConstantInTraining) {
  const std::vector<int> sides = Sides(kRows, Key{7, 0});
  const auto held = std::ranges::find(sides, 0) - sides.begin();
  const Dataset all = ToyData(kRows, 1);
  Dataset data(3, 1);
  for (int64_t row = 0; row < all.size(); ++row) {
    std::vector<double> next(all.next_observation(row).begin(), all.next_observation(row).end());
    if (row == held) next[2] += 0.1;  // "still" moves for once
    data.Add(all.observation(row), all.action(row), next, 1);
  }
  FitOptions options = QuickFit(20);
  options.holdout_share = 0.4;
  ThreadPool pool(1);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EXPECT_LT(EnsembleTrainer(model, options, pool).Fit(data, Key{1, 2}).holdout_rmse, 10);
}

// ---- what fails, what is saved -------------------------------------------------------------

// Fits, then fits data that cannot be fitted to; the message. Checks that nothing has changed.
std::string FailedFit(const Encoding& encoding, const FitOptions& options, const Dataset& good,
                      const Dataset& bad, const EnsembleOptions& size = SmallOptions()) {
  ThreadPool pool(2);
  Ensemble ensemble(ToySpec(), encoding, size, Key{1, 1});
  EnsembleTrainer trainer(ensemble, options, pool);
  trainer.Fit(good, Key{1, 2});
  const TensorFile before = Everything(ensemble, trainer);
  const double x[3] = {0.3, 1.2, 0.7};
  const double u = 0.4;
  const auto predict = [&] {
    std::vector<double> numbers(6);
    const auto workspace = ensemble.MakeWorkspace(1);
    ensemble.PredictTarget(3, 1, x, &u, numbers.data(), numbers.data() + 3, *workspace);
    return numbers;
  };
  const std::vector<double> predicted = predict();
  std::string message;
  try {
    trainer.Fit(bad, Key{1, 3});
  } catch (const RunError& error) {
    message = error.what();
  }
  EXPECT_TRUE(SameTensors(before, Everything(ensemble, trainer))) << message;
  EXPECT_EQ(predict(), predicted);
  return message;
}

Dataset WithRow(Dataset data, double x0, double next0) {
  const double x[3] = {x0, 0, 0.7};
  const double next[3] = {next0, 0, 0.7};
  const double u = 0;
  data.Add(x, std::span(&u, 1), next, 1);
  return data;
}

TEST(EnsembleTrainer, AFailedFitLeavesEverythingAsItWas) {
  const Dataset good = ToyData(50, 1);
  EXPECT_NE(FailedFit(kEncoding, QuickFit(50), good, WithRow(good, kNan, 0))
                .find("gradient step 1 of 50"),
            std::string::npos);
  EXPECT_NE(FailedFit(kEncoding, QuickFit(50), good, WithRow(good, 0, kNan)), "");
  // Later than the first step: a target beyond all floats that is drawn now or then.
  EnsembleOptions plain = SmallOptions();
  plain.normalise_targets = false;
  FitOptions small_batches = QuickFit(100);
  small_batches.batch = 2;
  const std::string message =
      FailedFit(kEncoding, small_batches, good, WithRow(good, 0, 1e39), plain);
  EXPECT_NE(message.find("the loss of member"), std::string::npos) << message;
  EXPECT_EQ(message.find("step 1 of"), std::string::npos) << message;
}

TEST(EnsembleTrainer, AFitWhoseInputsAreNotFiniteNamesThemAndLeavesEverythingAsItWas) {
  Config config = Config::FromString("encoding.inputs = ['log(x + 1)']", "test");
  const Encoding encoding = ReadEncoding(config, ToySpec(), {});
  Dataset good(3, 1);
  const Dataset bad = ToyData(50, 1);  // x is below -1 in some rows
  for (int64_t row = 0; row < bad.size(); ++row) {
    if (bad.observation(row)[0] <= -0.9) continue;
    good.Add(bad.observation(row), bad.action(row), bad.next_observation(row), 1);
  }
  const std::string message = FailedFit(encoding, QuickFit(10), good, bad);
  EXPECT_NE(message.find("inputs[0]: column 1: found"), std::string::npos) << message;
  EXPECT_NE(message.find("of the data, of episode 1, at previous.x = -"), std::string::npos)
      << message;
}

TEST(EnsembleTrainer, HeldOutRowsThatAreNotFiniteAreFound) {
  const std::vector<int> sides = Sides(kRows, Key{7, 0});
  const auto held = std::ranges::find(sides, 0) - sides.begin();
  const Dataset all = ToyData(kRows, 1);
  FitOptions options = QuickFit(20);
  options.holdout_share = 0.4;
  for (const bool input : {true, false}) {
    Dataset bad(3, 1);
    for (int64_t row = 0; row < all.size(); ++row) {
      std::vector<double> x(all.observation(row).begin(), all.observation(row).end());
      std::vector<double> next(all.next_observation(row).begin(), all.next_observation(row).end());
      if (row == held) (input ? x : next)[0] = kNan;
      bad.Add(x, all.action(row), next, 1);
    }
    for (const int patience : {0, 2}) {
      options.patience = patience;
      const std::string message = FailedFit(kEncoding, options, all, bad);
      EXPECT_NE(message.find("the hold-out error of member 0 is nan"), std::string::npos)
          << message;
    }
  }
}

TEST(EnsembleTrainer, ThreadsChangeNoBit) {
  std::vector<TensorFile> states;
  for (const int threads : {1, 2, 8}) {
    ThreadPool pool(threads);
    Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
    EnsembleTrainer trainer(model, StoppingFit(5), pool);
    trainer.Fit(ToyData(150, 1), Key{1, 2});
    trainer.Fit(ToyData(200, 1), Key{1, 3});
    states.push_back(Everything(model, trainer));
  }
  EXPECT_TRUE(SameTensors(states[0], states[1]));
  EXPECT_TRUE(SameTensors(states[0], states[2]));
}

TEST(EnsembleTrainer, SavedStateContinuesBitForBit) {
  ThreadPool pool(2);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(model, StoppingFit(3), pool);  // members stop at different steps
  trainer.Fit(ToyData(150, 1), Key{1, 2});
  TensorFile saved = Everything(model, trainer);
  Ensemble other(ToySpec(), kEncoding, SmallOptions(), Key{9, 9});
  EnsembleTrainer other_trainer(other, StoppingFit(3), pool);
  other.Restore(saved);
  other_trainer.Restore(saved);
  trainer.Fit(ToyData(200, 1), Key{1, 3});
  other_trainer.Fit(ToyData(200, 1), Key{1, 3});
  EXPECT_TRUE(SameTensors(Everything(model, trainer), Everything(other, other_trainer)));
}

TEST(EnsembleTrainer, RestoreRefusesMomentsAndStepCountsThatNoFitLeaves) {
  ThreadPool pool(1);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(model, QuickFit(3), pool);
  trainer.Fit(ToyData(20, 1), Key{1, 2});
  const TensorFile good = Everything(model, trainer);
  const auto refusal = [&](const std::string& tensor, double value) {
    TensorFile file = good;
    file.source = "checkpoint.safetensors";
    std::visit(
        [&](auto& values) {
          values[1] = static_cast<std::remove_reference_t<decltype(values[1])>>(value);
        },
        file.tensors.at(tensor).values);
    std::string message;
    try {
      trainer.Restore(file);
    } catch (const InputError& error) {
      message = error.what();
    }
    EXPECT_TRUE(SameTensors(good, Everything(model, trainer))) << message;
    return message;
  };
  EXPECT_EQ(refusal("trainer.adam_steps", -7),
            "checkpoint.safetensors: tensor 'trainer.adam_steps', element 1: found -7, expected at "
            "least 0");
  EXPECT_NE(refusal("trainer.first_moment", kNan), "");
  EXPECT_NE(refusal("trainer.second_moment", kNan), "");
  EXPECT_NE(refusal("trainer.second_moment", -1), "");
}

TEST(EnsembleModel, ARefusedFileLeavesEverythingAsItWas) {
  ThreadPool pool(1);
  EnsembleModel model(ToySpec(), kEncoding, SmallOptions(), QuickFit(3), Key{1, 1}, pool);
  model.Fit(ToyData(30, 1), Key{1, 2});
  TensorFile file;
  model.Save(file);
  std::get<std::vector<float>>(file.tensors.at("model.parameters").values)[7] =
      std::numeric_limits<float>::quiet_NaN();
  model.Fit(ToyData(40, 1), Key{1, 3});  // other weights, moments and steps than the file's
  TensorFile before;
  model.Save(before);
  EXPECT_THROW(model.Restore(file), InputError);
  TensorFile after;
  model.Save(after);
  EXPECT_TRUE(SameTensors(before, after));
}

TEST(EnsembleModel, SavesTheScaleThatItsErrorsAreIn) {
  ThreadPool pool(1);
  EnsembleModel model(ToySpec(), kEncoding, SmallOptions(), QuickFit(3), Key{1, 1}, pool);
  model.Fit(ToyData(30, 1), Key{1, 2});
  TensorFile file;
  model.SaveForUse(file);
  EnsembleModel other(ToySpec(), kEncoding, SmallOptions(), QuickFit(3), Key{1, 1}, pool);
  other.RestoreForUse(file);
  EXPECT_TRUE(std::ranges::equal(other.scale(), model.scale()));
  EXPECT_EQ(other.scale()[2], 0);
  for (const double wrong : {-1.0, kNan}) {
    std::get<std::vector<double>>(file.tensors.at("model.scale").values)[0] = wrong;
    EXPECT_THROW(other.RestoreForUse(file), InputError);
  }
}

}  // namespace
}  // namespace foreplan
