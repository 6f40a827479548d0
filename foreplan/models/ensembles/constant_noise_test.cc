// Members whose noise is the same for every input.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/executor.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/models/ensembles/ensemble_model.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"
#include "foreplan/models/rollout_tape.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::QuickFit;
using testing::SmallOptions;
using testing::ToySpec;

const std::vector<double> kNoise = {0.03, 0.2};

EnsembleOptions ConstantNoise(int members = 3) {
  EnsembleOptions options;
  options.members = members;
  options.hidden_layers = 1;
  options.width = 16;
  options.noise = MemberNoise::kConstant;
  return options;
}

/// p' = p + h v + noise, v' = v + h u + noise, from rows that do not follow each other.
Dataset LinearData(int rows) {
  Dataset data(2, 1);
  Random random(Key{5, 9});
  for (int row = 0; row < rows; ++row) {
    const std::vector<double> x = {random.Normal(), random.Normal()};
    const double u = random.Uniform(-1, 1);
    const std::vector<double> next = {x[0] + 0.1 * x[1] + kNoise[0] * random.Normal(),
                                      x[1] + 0.1 * u + kNoise[1] * random.Normal()};
    data.Add(x, std::span(&u, 1), next, 1);
  }
  return data;
}

struct Predicted {
  std::vector<double> mean = std::vector<double>(2);
  std::vector<double> deviation = std::vector<double>(2);
};

Predicted PredictAt(const Ensemble& ensemble, int member, const std::vector<double>& x) {
  Predicted predicted;
  const double u = 0.4;
  const auto workspace = ensemble.MakeWorkspace(1);
  ensemble.PredictTarget(member, 1, x.data(), &u, predicted.mean.data(), predicted.deviation.data(),
                         *workspace);
  return predicted;
}

TEST(ConstantNoise, IsThatOfALinearSystem) {
  const Dataset data = LinearData(4000);
  for (const bool normalise : {true, false}) {
    EnsembleOptions options = ConstantNoise();
    options.normalise_targets = normalise;
    FitOptions fit = QuickFit(1500);
    fit.batch = 256;
    fit.bootstrap = false;
    EnsembleTrainer trainer(std::make_shared<Ensemble>(testing::DoubleIntegratorSpec(1), Encoding{},
                                                       options, Key{1, 1}),
                            fit, std::make_shared<SerialExecutor>());
    trainer.Fit(data, Key{1, 2});
    for (int member = 0; member < 3; ++member) {
      const Predicted here = PredictAt(*trainer.ensemble(), member, {0.3, -0.2});
      const Predicted there = PredictAt(*trainer.ensemble(), member, {-0.9, 1.2});
      EXPECT_EQ(here.deviation, there.deviation);
      EXPECT_NE(here.mean, there.mean);
      for (size_t i = 0; i < 2; ++i) {
        // 4000 rows know a deviation to 1 / sqrt(8000) = 1.1 %, steps of Adam leave it off by as
        // much again; five times both.
        EXPECT_NEAR(here.deviation[i], kNoise[i], 0.08 * kNoise[i]) << member << " " << i;
      }
    }
  }
}

/// Networks of zeros, which say that every target is its mean.
std::shared_ptr<const Ensemble> Zeros() {
  const auto ensemble =
      std::make_shared<Ensemble>(ToySpec(), testing::kToyEncoding, ConstantNoise(), Key{1, 1});
  for (int member = 0; member < 3; ++member) std::ranges::fill(ensemble->parameters(member), 0.0F);
  return ensemble;
}

TEST(ConstantNoise, LearnsAtARateOfItsOwn) {
  FitOptions fit = QuickFit(1);
  fit.noise_learning_rate = 0.25;
  EnsembleTrainer trainer(Zeros(), fit, std::make_shared<SerialExecutor>());
  trainer.Fit(testing::ToyData(50, 1), Key{1, 2});
  const Ensemble& fitted = *trainer.ensemble();
  // Adam's first step is the rate against the gradient's sign: "still" is predicted too well.
  EXPECT_NEAR(fitted.NoiseIn(fitted.parameters(0))[2], -0.25, 1e-4);
  float largest = 0;
  for (const float parameter : fitted.parameters(0).first(Zeros()->mlp().parameters())) {
    largest = std::max(largest, std::abs(parameter));
  }
  EXPECT_NEAR(largest, fit.learning_rate, 1e-5);
}

TEST(ConstantNoise, IsAtLeastAThousandthOfTheTargetsDeviation) {
  FitOptions fit = QuickFit(200);
  fit.noise_learning_rate = 0.5;
  EnsembleTrainer trainer(Zeros(), fit, std::make_shared<SerialExecutor>());
  trainer.Fit(testing::ToyData(50, 1), Key{1, 2});
  const Ensemble& fitted = *trainer.ensemble();
  std::vector<float> deviation(3);  // of normalised targets
  for (int member = 0; member < 3; ++member) {
    fitted.ConstantDeviations(member, deviation);
    EXPECT_NEAR(deviation[2], 1e-3, 1e-8);  // "still" never changes, and is predicted so; float
    EXPECT_GT(deviation[0], 2e-3);
  }
}

TEST(ConstantNoise, OfTargetsThatAreNotNormalisedHasItsFloorInTheirUnit) {
  EnsembleOptions options = ConstantNoise(1);
  options.normalise_targets = false;
  const auto ensemble =
      std::make_shared<Ensemble>(ToySpec(), testing::kToyEncoding, options, Key{1, 1});
  std::ranges::fill(ensemble->parameters(0), 0.0F);
  FitOptions fit = QuickFit(400);
  fit.noise_learning_rate = 1;
  EnsembleTrainer trainer(ensemble, fit, std::make_shared<SerialExecutor>());
  trainer.Fit(testing::ToyData(50, 1), Key{1, 2});
  const Ensemble& fitted = *trainer.ensemble();
  std::vector<float> deviation(3);
  fitted.ConstantDeviations(0, deviation);
  // Of what never changes the unit is its rounding, some 1e-16.
  EXPECT_LT(deviation[2], 1e-15);
  EXPECT_GT(deviation[2], 0);
}

TEST(ConstantNoise, HasNoGradient) {
  EnsembleOptions options = SmallOptions();
  options.noise = MemberNoise::kConstant;
  const Ensemble model(ToySpec(), testing::kToyEncoding, options, Key{1, 1});
  const auto tape = model.MakeTape(1, 2);
  const std::vector<double> state = {0.3, 1.2, 0.7};
  const double action = 0.4;
  const std::vector<double> noise = {0.5, -1, 2};
  std::vector<double> next[2] = {std::vector<double>(3), std::vector<double>(3)};
  std::vector<double> d_state[2] = {std::vector<double>(3), std::vector<double>(3)};
  double d_action[2] = {};
  const std::vector<double> by_next = {1, -2, 0.5};
  const std::vector<double> none(3);
  for (size_t noisy = 0; noisy < 2; ++noisy) {
    tape->Step({.rows = 1,
                .state = state.data(),
                .action = &action,
                .next_state = next[noisy].data(),
                .particles = 5,
                .key = Key{3, 3},
                .noise = noisy == 1 ? noise.data() : nullptr});
    tape->PullBack(0, by_next.data(), none.data(), d_state[noisy].data(), &d_action[noisy]);
  }
  EXPECT_EQ(d_state[0], d_state[1]);
  EXPECT_EQ(d_action[0], d_action[1]);
  // Log-variances begin at 0: deviations of 1.
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(next[1][i] - next[0][i], noise[i], 1e-12) << i;
}

TEST(ConstantNoise, IsSavedAndFilesOfOtherNoiseAreRefused) {
  EnsembleOptions options = ConstantNoise();
  const auto model = [&](MemberNoise noise) {
    options.noise = noise;
    return std::make_unique<EnsembleModel>(ToySpec(), testing::kToyEncoding, options, QuickFit(20),
                                           Key{1, 1}, std::make_shared<SerialExecutor>());
  };
  TensorFile files[2];
  for (const MemberNoise noise : {MemberNoise::kPredicted, MemberNoise::kConstant}) {
    TensorFile& file = files[noise == MemberNoise::kConstant ? 1 : 0];
    file.source = "model.safetensors";
    const auto fitted = model(noise);
    fitted->Fit(testing::ToyData(50, 1), Key{1, 2});
    fitted->Save(file);
    const auto other = model(noise);
    other->Restore(file);
    TensorFile again;
    other->Save(again);
    EXPECT_TRUE(testing::SameTensors(file, again));
    EXPECT_EQ(file.metadata, again.metadata);
  }
  EXPECT_TRUE(files[0].metadata.empty());
  EXPECT_EQ(MessageOf([&] { model(MemberNoise::kConstant)->Restore(files[0]); }),
            "model.safetensors: metadata 'model.networks': found nothing, expected constant noise");
  EXPECT_EQ(MessageOf([&] { model(MemberNoise::kPredicted)->Restore(files[1]); }),
            "model.safetensors: metadata 'model.networks': found constant noise, expected nothing");
}

TEST(ConstantNoise, DeterministicMembersHaveNone) {
  EnsembleOptions options = ConstantNoise();
  options.probabilistic = false;
  EXPECT_EQ(MessageOf([&] { Ensemble(ToySpec(), {}, options, Key{}); }),
            "model.noise: found constant with model.probabilistic = false, expected "
            "model.probabilistic = true: other members have no noise");
}

}  // namespace
}  // namespace foreplan
