#include "foreplan/models/ensembles/ensemble.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"
#include "foreplan/nets/testing/evaluate_in_double.h"

namespace foreplan {
namespace {

using testing::SmallOptions;
using testing::ToySpec;

const Encoding& kEncoding = testing::kToyEncoding;

TEST(FeatureMap, EncodesAnglesOmitsAndPredictsDifferencesOrValues) {
  const FeatureMap map(ToySpec(), {.sin_cos = {"angle"}, .omit = {"still"}, .absolute = {"x"}});
  const double observation[3] = {2, 0.5, 9};
  const double next[3] = {3, 0.75, 9};
  const double action[1] = {-1};
  double input[4];
  double target[3];
  double applied[3];
  ASSERT_EQ(map.inputs(), 4);
  map.Input(observation, action, input);
  EXPECT_EQ(std::vector<double>(input, input + 4),
            (std::vector<double>{2, std::sin(0.5), std::cos(0.5), -1}));
  map.Target(observation, next, target);
  EXPECT_EQ(std::vector<double>(target, target + 3), (std::vector<double>{3, 0.25, 0}));
  map.Apply(observation, action, target, applied);
  EXPECT_EQ(std::vector<double>(applied, applied + 3), std::vector<double>(next, next + 3));
}

TEST(FeatureMap, InputsOfSeveralRowsEqualThoseOfOne) {
  const FeatureMap map(ToySpec(), {.sin_cos = {"angle"}, .omit = {"still"}, .absolute = {}});
  Normaliser normaliser(map.inputs());
  normaliser.mean = {0.5, -0.1, 0.2, 1};
  normaliser.scale = {2, 0.5, 3, 0.1};
  Random random(Key{4, 2});
  for (const int rows : {1, 3, 4, 9}) {
    std::vector<double> observation(static_cast<size_t>(3 * rows));
    std::vector<double> action(static_cast<size_t>(rows));
    std::vector<float> inputs(static_cast<size_t>(4 * rows));
    random.FillNormal(observation);
    random.FillNormal(action);
    map.Inputs(rows, observation.data(), action.data(), normaliser, inputs.data());
    for (size_t row = 0; row < action.size(); ++row) {
      double input[4];
      map.Input(observation.data() + 3 * row, action.data() + row, input);
      for (size_t i = 0; i < 4; ++i) {
        const double expected = (input[i] - normaliser.mean[i]) / normaliser.scale[i];
        EXPECT_NEAR(inputs[4 * row + i], expected, 1e-7 * (1 + std::abs(expected)));  // float
      }
    }
  }
}

// x moves by its rate; two numbers of the first text and one of the second enter besides.
Encoding GreyEncoding(const EnvironmentSpec& spec) {
  Config config = Config::FromString(
      "encoding.sin_cos = ['angle']\n"
      "encoding.integrate = ['*']\n"
      "encoding.inputs = ['[reach, -reach]', 'x * force']\n"
      "[constants]\nahead = 0.5\n[quantities]\nreach = 'max(0, x + ahead * x_rate)'",
      "test");
  return ReadEncoding(config, spec, ExpressionDefinitions::Read(config));
}

EnvironmentSpec SpecWithRate() {
  EnvironmentSpec spec = ToySpec();
  spec.observation[2].name = "x_rate";
  return spec;
}

TEST(FeatureMap, PredictsDifferencesFromWhereTheRateTakesAComponent) {
  const FeatureMap map(SpecWithRate(), GreyEncoding(SpecWithRate()));
  const double observation[3] = {2, 0.5, 9};
  const double action[1] = {0.25};
  const double next[3] = {3, 0.75, 8};
  double target[3];
  map.Target(observation, next, target);
  // x: 3 - (2 + 0.1 9); the angle has no rate here
  EXPECT_NEAR(target[0], 0.1, 1e-15);
  EXPECT_EQ(target[1], 0.25);
  EXPECT_EQ(target[2], -1);
  map.Apply(observation, action, target, target);
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(target[i], next[i], 1e-15);
}

TEST(FeatureMap, ExpressionsOfWhatIsKnownBeforeTheStepAreInputs) {
  const FeatureMap map(SpecWithRate(), GreyEncoding(SpecWithRate()));
  ASSERT_EQ(map.inputs(), 4 + 1 + 3);
  Normaliser normaliser(map.inputs());
  normaliser.mean = {0.5, -0.1, 0.2, 1, 0, 0.3, -2, 4};
  normaliser.scale = {2, 0.5, 3, 0.1, 1, 5, 0.2, 3};
  Random random(Key{4, 3});
  const int rows = 300;  // more than are evaluated at a time
  std::vector<double> observation(3 * rows);
  std::vector<double> action(rows);
  std::vector<float> inputs(8 * rows);
  random.FillNormal(observation);
  random.FillNormal(action);
  map.Inputs(rows, observation.data(), action.data(), normaliser, inputs.data());
  for (size_t row = 0; row < rows; ++row) {
    const double* o = &observation[3 * row];
    double input[8];
    map.Input(o, &action[row], input);
    const double reach = std::max(0.0, o[0] + 0.5 * o[2]);
    EXPECT_DOUBLE_EQ(input[5], reach);
    EXPECT_DOUBLE_EQ(input[6], -reach);
    EXPECT_DOUBLE_EQ(input[7], o[0] * action[row]);
    for (size_t i = 0; i < 8; ++i) {
      const double expected = (input[i] - normaliser.mean[i]) / normaliser.scale[i];
      EXPECT_NEAR(inputs[8 * row + i], expected, 1e-7 * (1 + std::abs(expected)));  // float
    }
  }
}

TEST(Ensemble, StepsIntegratedComponentsAsItsMeanDoes) {
  EnsembleOptions options = SmallOptions();
  options.probabilistic = false;
  options.members = 1;
  const Ensemble model(SpecWithRate(), GreyEncoding(SpecWithRate()), options, Key{1, 1});
  const double state[3] = {0.3, 1.2, 0.7};
  const double action[1] = {0.4};
  double sampled[3];
  double mean[3];
  const auto workspace = model.MakeWorkspace(1);
  StepBatch batch;
  batch.rows = 1;
  batch.state = state;
  batch.action = action;
  batch.next_state = sampled;
  model.Step(batch, *workspace);
  batch.next_state = mean;
  model.StepMean(batch, *workspace);
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(sampled[i], mean[i], 1e-6);  // float
}

TEST(FeatureMap, UnknownComponentIsTheUsersErrorWithTheNearestName) {
  try {
    const FeatureMap map(ToySpec(), {.sin_cos = {"angel"}, .omit = {}, .absolute = {}});
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("angle"), std::string::npos) << error.what();
  }
}

TEST(Ensemble, RestoreRefusesAnotherShape) {
  const Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  TensorFile saved;
  model.Save(saved);
  EnsembleOptions options = SmallOptions();
  options.width = 31;
  Ensemble other(ToySpec(), kEncoding, options, Key{1, 1});
  EXPECT_THROW(other.Restore(saved), InputError);
}

TEST(Ensemble, RestoreRefusesNumbersThatAreNoModelAndStaysAsItWas) {
  const Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  const auto refusal = [&](const std::string& tensor, double value) {
    TensorFile file;
    file.source = "model.safetensors";
    model.Save(file);
    std::visit([&](auto& values) { values[1] = static_cast<float>(value); },
               file.tensors.at(tensor).values);
    Ensemble other(ToySpec(), kEncoding, SmallOptions(), Key{9, 9});
    TensorFile before;
    other.Save(before);
    try {
      other.Restore(file);
    } catch (const InputError& error) {
      TensorFile after;
      other.Save(after);
      EXPECT_TRUE(testing::SameTensors(before, after)) << tensor;
      return std::string(error.what());
    }
    return std::string();
  };
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(refusal("model.input_scale", 0),
            "model.safetensors: tensor 'model.input_scale', element 1: found 0, expected a finite "
            "number above 0");
  for (const double value : {kNan, kInfinity}) {
    for (const char* tensor : {"model.parameters", "model.input_mean", "model.input_scale",
                               "model.target_mean", "model.target_scale"}) {
      EXPECT_NE(refusal(tensor, value).find(tensor), std::string::npos) << tensor << value;
    }
  }
  EXPECT_NE(refusal("model.target_scale", -1), "");
  EXPECT_EQ(refusal("model.parameters", -1), "");
}

TEST(Ensemble, PredictsByNetworksOfItsKind) {
  const double x[3] = {0.3, 1.2, 0.7};
  const double u = 0.4;
  for (const Activation activation : {Activation::kSwish, Activation::kRelu, Activation::kElu}) {
    for (const bool layer_norm : {false, true}) {
      EnsembleOptions options = SmallOptions();
      options.activation = activation;
      options.layer_norm = layer_norm;
      const Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
      const auto workspace = model.MakeWorkspace(1);
      double mean[3];
      double deviation[3];
      model.PredictTarget(2, 1, x, &u, mean, deviation, *workspace);
      const std::span<const float> parameters = model.parameters(2);
      const Mlp mlp({5, 32, 32, 6}, {.activation = activation, .layer_norm = layer_norm});
      const std::vector<double> expected =
          EvaluateInDouble(mlp, {parameters.begin(), parameters.end()},
                           {x[0], std::sin(x[1]), std::cos(x[1]), x[2], u});
      for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(mean[i], expected[i], 1e-5);  // float
    }
  }
}

TEST(Ensemble, RefusesFilesOfNetworksOfOtherKinds) {
  EnsembleOptions options = SmallOptions();
  const Ensemble plain(ToySpec(), kEncoding, options, Key{1, 1});
  options.activation = Activation::kElu;
  options.layer_norm = true;
  const Ensemble normed(ToySpec(), kEncoding, options, Key{1, 1});
  const auto refusal = [](const Ensemble& saved, Ensemble other) {
    TensorFile file;
    file.source = "model.safetensors";
    saved.Save(file);
    return MessageOf([&] { other.Restore(file); });
  };
  EXPECT_EQ(
      refusal(plain, normed),
      "model.safetensors: metadata 'model.networks': found nothing, expected elu, layer norm");
  EXPECT_EQ(
      refusal(normed, plain),
      "model.safetensors: metadata 'model.networks': found elu, layer norm, expected nothing");
  EXPECT_EQ(refusal(normed, normed), "");
}

TEST(Ensemble, OptionsOutOfRangeAreTheUsersError) {
  EnsembleOptions options;
  options.members = 0;
  EXPECT_THROW(Ensemble(ToySpec(), kEncoding, options, Key{}), InputError);
}

}  // namespace
}  // namespace foreplan
