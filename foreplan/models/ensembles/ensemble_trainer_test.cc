// What gradient steps do, and when they stop.
#include "foreplan/models/ensembles/ensemble_trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/ensemble_model.h"
#include "foreplan/models/ensembles/testing/ensemble_fits.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"
#include "foreplan/models/model_error.h"

namespace foreplan {
namespace {

using testing::AdamSteps;
using testing::Everything;
using testing::FloatsOf;
using testing::MemberPart;
using testing::NoiseData;
using testing::QuickFit;
using testing::SameTensors;
using testing::Sides;
using testing::SmallOptions;
using testing::StoppingFit;
using testing::ToyData;
using testing::ToySpec;

const Encoding& kEncoding = testing::kToyEncoding;

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
  ThreadPool executor(1);
  FitOptions fit = QuickFit(1);
  fit.weight_decay = {0.5, 0.25};
  fit.learning_rate = 1e-3;
  const Mlp mlp({4, 6, 3});
  // Outputs are 0 by zero weights of the last layer, or by zero activations of the hidden one.
  for (const auto& [zero_layer, decoupled] :
       {std::pair(1, false), std::pair(0, false), std::pair(1, true), std::pair(0, true)}) {
    fit.decoupled_decay = decoupled;
    Ensemble model(ToySpec(), {}, options, Key{1, 1});
    const std::span<float> parameters = model.parameters(0);
    std::fill_n(parameters.begin() + mlp.bias_offset(0), 6, zero_layer == 1 ? 0.5F : 0.0F);
    std::fill_n(parameters.begin() + mlp.weight_offset(zero_layer),
                mlp.bias_offset(zero_layer) - mlp.weight_offset(zero_layer), 0.0F);
    const std::vector<float> before(parameters.begin(), parameters.end());
    EnsembleTrainer trainer(std::make_shared<Ensemble>(model), fit, testing::Borrowed(executor));
    trainer.Fit(data, Key{1, 2});
    TensorFile saved;
    trainer.Save(saved);
    const std::vector<float>& moment = FloatsOf(saved, "trainer.first_moment");
    const std::span<const float> after = trainer.ensemble()->parameters(0);
    for (int layer = 0; layer < 2; ++layer) {
      const float decay = layer == 0 ? 0.5F : 0.25F;
      for (int i = mlp.weight_offset(layer); i < mlp.bias_offset(layer); ++i) {
        const auto at = static_cast<size_t>(i);
        if (decoupled) {  // W (1 - learning_rate decay), which Adam knows nothing of; float
          EXPECT_EQ(moment[at], 0.0F);
          EXPECT_NEAR(after[at], before[at] * (1 - 1e-3F * decay), 1e-7F);
          continue;
        }
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

TEST(EnsembleTrainer, DecoupledDecayLeavesSomethingOfTheWeights) {
  SerialExecutor executor;
  const auto model =
      std::make_shared<const Ensemble>(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  FitOptions fit;
  fit.learning_rate = 0.1;
  fit.weight_decay = {10};
  EXPECT_NO_THROW(EnsembleTrainer(model, fit, testing::Borrowed(executor)));
  fit.decoupled_decay = true;
  EXPECT_EQ(MessageOf([&] { EnsembleTrainer(model, fit, testing::Borrowed(executor)); }),
            "fit.weight_decay: found 10 with fit.decoupled_decay, expected less than 1 / "
            "fit.learning_rate = 10");
}

TEST(EnsembleTrainer, GradientClipBoundsTheNormOfEachMembersGradient) {
  ThreadPool executor(1);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  FitOptions options = QuickFit(1);
  options.gradient_clip = 1e-3;
  EnsembleTrainer trainer(std::make_shared<Ensemble>(model), options, testing::Borrowed(executor));
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
  ThreadPool executor(1);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(std::make_shared<Ensemble>(model), QuickFit(30),
                          testing::Borrowed(executor));
  EXPECT_EQ(AdamSteps(trainer), std::vector<int32_t>(5, 0));
  trainer.Fit(ToyData(40, 1), Key{1, 2});
  EXPECT_EQ(AdamSteps(trainer), std::vector<int32_t>(5, 30));
  trainer.Fit(ToyData(40, 1), Key{1, 3});
  EXPECT_EQ(AdamSteps(trainer), std::vector<int32_t>(5, 60));
}

TEST(EnsembleTrainer, LearnsASmoothSystemFromLittleData) {
  ThreadPool executor(2);
  EnsembleModel model(ToySpec(), kEncoding, SmallOptions(), QuickFit(2000), Key{1, 1},
                      testing::Borrowed(executor));
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
  ThreadPool executor(2);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(std::make_shared<Ensemble>(model), QuickFit(3000),
                          testing::Borrowed(executor));
  trainer.Fit(data, Key{1, 2});
  const auto workspace = trainer.ensemble()->MakeWorkspace(1);
  const double x[3] = {0.1, 0.0, 0.7};
  const double u = 0;
  double mean[3];
  double deviation[3];
  trainer.ensemble()->PredictTarget(0, 1, x, &u, mean, deviation, *workspace);
  EXPECT_NEAR(deviation[0], 0.2, 0.04);  // 2000 noisy rows and one network: within 20 %
}

TEST(EnsembleTrainer, DeterministicMembersFitTheMean) {
  ThreadPool executor(2);
  EnsembleOptions options = SmallOptions();
  options.members = 1;
  options.probabilistic = false;
  EnsembleModel model(ToySpec(), kEncoding, options, QuickFit(2000), Key{1, 1},
                      testing::Borrowed(executor));
  EXPECT_FALSE(model.snapshot()->is_stochastic());
  model.Fit(ToyData(400, 1), Key{1, 2});
  EXPECT_LT(ModelJudge(model).Judge(ToyData(200, 2), 0, 200).one_step_rmse, 0.06);
}

TEST(EnsembleTrainer, AnOutlierJumpLeavesTheOrdinaryRowsPredicted) {
  ThreadPool executor(2);
  FitOptions options = QuickFit(1500);
  options.gradient_clip = 10;
  EnsembleModel model(ToySpec(), kEncoding, SmallOptions(), options, Key{1, 1},
                      testing::Borrowed(executor));
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
  const auto workspace = model.MakePredictionWorkspace(1);
  double squares = 0;
  for (int64_t row = 0; row < 200; ++row) {
    double mean[3];
    double deviation[3];
    for (int member = 0; member < model.members(); ++member) {
      model.Predict(member, 1, data.observation(row).data(), data.action(row).data(), mean,
                    deviation, *workspace);
      for (size_t i = 0; i < 3; ++i) {
        ASSERT_TRUE(std::isfinite(mean[i]) && std::isfinite(deviation[i]));
        squares += std::pow(mean[i] - data.next_observation(row)[i], 2) / (600.0 * model.members());
      }
    }
  }
  EXPECT_LT(std::sqrt(squares), 5);  // a seventh of the scale
}

// ---- early stopping ------------------------------------------------------------------------

// What a fit of exactly so many steps leaves, with the same batches: no early stopping.
struct Stage {
  TensorFile state;
  double holdout_rmse = 0;
  double training_loss = 0;
};
Stage StageAfter(int steps, int members, Key init) {
  ThreadPool executor(1);
  EnsembleOptions options = SmallOptions();
  options.members = members;
  Ensemble model(ToySpec(), kEncoding, options, init);
  FitOptions fit = StoppingFit(0);
  fit.min_steps = fit.max_steps = steps;
  EnsembleTrainer trainer(std::make_shared<Ensemble>(model), fit, testing::Borrowed(executor));
  const FitReport report = trainer.Fit(NoiseData(40), Key{1, 2});
  return {Everything(trainer), report.holdout_rmse, report.training_loss};
}

TEST(EnsembleTrainer, EarlyStoppingReturnsToTheCheckWithTheLeastHoldOutError) {
  for (uint64_t init = 1; init < 4; ++init) {
    ThreadPool executor(1);
    EnsembleOptions options = SmallOptions();
    options.members = 1;
    Ensemble model(ToySpec(), kEncoding, options, Key{1, init});
    EnsembleTrainer trainer(std::make_shared<Ensemble>(model), StoppingFit(5),
                            testing::Borrowed(executor));
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
    EXPECT_TRUE(SameTensors(Everything(trainer), StageAfter(best, 1, Key{1, init}).state));
  }
}

TEST(EnsembleTrainer, MembersStopEachAtItsOwnBestWithItsOwnMomentsAndSteps) {
  const int members = 4;
  ThreadPool executor(2);
  EnsembleOptions options = SmallOptions();
  options.members = members;
  Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
  EnsembleTrainer trainer(std::make_shared<Ensemble>(model), StoppingFit(5),
                          testing::Borrowed(executor));
  const FitReport report = trainer.Fit(NoiseData(40), Key{1, 2});
  const TensorFile stopped = Everything(trainer);
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
  ThreadPool executor(1);
  EnsembleOptions options = SmallOptions();
  options.members = 1;
  Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
  FitOptions fit = StoppingFit(5);
  fit.min_steps = fit.max_steps = 20000;
  fit.checks = 5000;  // every 4 steps
  const FitReport report =
      EnsembleTrainer(std::make_shared<Ensemble>(model), fit, testing::Borrowed(executor))
          .Fit(NoiseData(40), Key{1, 2});
  ASSERT_LT(report.steps, 2000);
  EXPECT_NE(report.training_loss, 0);
  EXPECT_EQ(report.training_loss, StageAfter(report.steps, 1, Key{1, 1}).training_loss);
}

TEST(EnsembleTrainer, TrainingLossIsTheMeanOverTheLastTenthOfTheSteps) {
  // One row is every batch, so that fits go on where others end: the 30th loss is that of a fit of
  // one step after one of 29.
  const Dataset data = ToyData(1, 1);
  ThreadPool executor(1);
  const auto losses = [&](const std::vector<int>& fits) {
    auto model = std::make_shared<const Ensemble>(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
    // The trainer keeps its options: each fit has a trainer, and moments and steps go along.
    TensorFile state;
    EnsembleTrainer(model, QuickFit(1), testing::Borrowed(executor)).Save(state);
    std::vector<double> of_fits;
    for (const int steps : fits) {
      EnsembleTrainer trainer(model, QuickFit(steps), testing::Borrowed(executor));
      trainer.Restore(state);
      of_fits.push_back(trainer.Fit(data, Key{1, 2}).training_loss);
      model = trainer.ensemble();
      trainer.Save(state);
    }
    return of_fits;
  };
  const std::vector<double> single = losses({27, 1, 1, 1});
  EXPECT_NE(single[1], single[2]);
  EXPECT_NEAR(losses({30})[0], (single[1] + single[2] + single[3]) / 3, 1e-6);  // float
}

TEST(EnsembleTrainer, HoldOutErrorLeavesOutWhatIsConstantInTraining) {
  const std::vector<int> sides = Sides(testing::kOneHotRows, Key{7, 0});
  const auto held = std::ranges::find(sides, 0) - sides.begin();
  const Dataset all = ToyData(testing::kOneHotRows, 1);
  Dataset data(3, 1);
  for (int64_t row = 0; row < all.size(); ++row) {
    std::vector<double> next(all.next_observation(row).begin(), all.next_observation(row).end());
    if (row == held) next[2] += 0.1;  // "still" moves for once
    data.Add(all.observation(row), all.action(row), next, 1);
  }
  FitOptions options = QuickFit(20);
  options.holdout_share = 0.4;
  ThreadPool executor(1);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EXPECT_LT(EnsembleTrainer(std::make_shared<Ensemble>(model), options, testing::Borrowed(executor))
                .Fit(data, Key{1, 2})
                .holdout_rmse,
            10);
}

}  // namespace
}  // namespace foreplan
