#include "foreplan/models/ensembles/ensemble.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/borrowed.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"
#include "foreplan/models/imagination.h"
#include "foreplan/models/testing/double_integrator.h"

namespace foreplan {
namespace {

using testing::SmallOptions;
using testing::ToySpec;

const Encoding& kEncoding = testing::kToyEncoding;

// Predicted next states of `rows` equal start rows.
std::vector<double> StepRows(const Ensemble& model, StepBatch batch, int rows) {
  std::vector<double> states;
  std::vector<double> actions;
  for (int row = 0; row < rows; ++row) {
    states.insert(states.end(), {0.3, 1.2, 0.7});
    actions.push_back(0.4);
  }
  std::vector<double> next(states.size());
  batch.rows = rows;
  batch.state = states.data();
  batch.action = actions.data();
  batch.next_state = next.data();
  const auto workspace = model.MakeWorkspace(rows);
  model.Step(batch, *workspace);
  return next;
}

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

// Without noise a value reveals its member.
EnsembleOptions Deterministic(Propagation propagation) {
  EnsembleOptions options = SmallOptions();
  options.probabilistic = false;
  options.propagation = propagation;
  return options;
}

TEST(Propagation, CandidatesShareTheMemberAndTheNoiseAndParticlesDiffer) {
  const Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  StepBatch batch;
  batch.key = Key{1, 3};
  batch.particles = 10;
  std::set<double> first_components;
  for (batch.particle = 0; batch.particle < 10; ++batch.particle) {
    const std::vector<double> next = StepRows(model, batch, 3);
    EXPECT_EQ(next[0], next[3]);
    EXPECT_EQ(next[0], next[6]);
    first_components.insert(next[0]);
  }
  EXPECT_EQ(first_components.size(), 10u);  // by member or, of one member, by noise
}

TEST(Propagation, TsInfKeepsTheMemberOfAParticleOverTheRollout) {
  const Ensemble model(ToySpec(), kEncoding, Deterministic(Propagation::kTsInf), Key{1, 1});
  for (const int particles : {1, 3, 5, 7, 10}) {
    for (uint64_t evaluation = 0; evaluation < 5; ++evaluation) {
      StepBatch batch;
      batch.key = Key{2, evaluation};
      batch.particles = particles;
      for (batch.particle = 0; batch.particle < particles; ++batch.particle) {
        batch.time = 0;
        const std::vector<double> first = StepRows(model, batch, 1);
        for (batch.time = 1; batch.time < 8; ++batch.time) {
          EXPECT_EQ(StepRows(model, batch, 1), first) << particles << " " << batch.time;
        }
      }
    }
  }
}

// How often each member predicted a particle, over evaluations and times; and that at no time one
// did so more than `most_apart` times more often than another.
std::vector<int> TimesDrawn(const Ensemble& model, int particles, int evaluations, int times,
                            int most_apart = 1) {
  std::vector<int> count(static_cast<size_t>(model.members()));
  for (int evaluation = 0; evaluation < evaluations; ++evaluation) {
    StepBatch batch;
    batch.key = Key{3, static_cast<uint64_t>(evaluation)};
    batch.particles = particles;
    for (batch.time = 0; batch.time < times; ++batch.time) {
      std::vector<int> now(count.size());
      for (batch.particle = 0; batch.particle < particles; ++batch.particle) {
        ++now[static_cast<size_t>(model.MemberOf(batch))];
      }
      for (size_t k = 0; k < count.size(); ++k) count[k] += now[k];
      EXPECT_LE(std::ranges::max(now) - std::ranges::min(now), most_apart);
    }
  }
  return count;
}

TEST(Propagation, EveryMemberIsDrawnAlikeHoweverFewParticles) {
  for (const Propagation propagation : {Propagation::kTsInf, Propagation::kTs1}) {
    const Ensemble model(ToySpec(), kEncoding, Deterministic(propagation), Key{1, 1});
    for (const int particles : {1, 2, 3, 4, 7}) {
      // TS1 deals 7 of the 10 places that two decks of members have.
      const int most_apart = propagation == Propagation::kTs1 && particles > 5 ? 2 : 1;
      const std::vector<int> count = TimesDrawn(model, particles, 1000, 1, most_apart);
      for (const int times : count) {
        // 1000 draws, whose members deviate by less than sqrt(1000 p (1 - p)) <= 16 each; five.
        EXPECT_NEAR(times, 1000.0 * particles / 5, 80) << particles;
      }
    }
    for (const int particles : {5, 10, 20}) {  // evenly, in every evaluation
      EXPECT_EQ(TimesDrawn(model, particles, 1, 1), std::vector<int>(5, particles / 5));
    }
  }
}

TEST(Propagation, Ts1DrawsAnewAtEachStepAlsoWithOneParticle) {
  const Ensemble model(ToySpec(), kEncoding, Deterministic(Propagation::kTs1), Key{1, 1});
  for (const int times : TimesDrawn(model, 1, 1, 1000)) EXPECT_NEAR(times, 200, 80);
}

TEST(Propagation, MoreParticlesThanPlacesStillHaveAllMembers) {
  EnsembleOptions options = Deterministic(Propagation::kTs1);
  options.members = 7;
  options.width = 2;
  const Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
  for (const int times : TimesDrawn(model, 3000, 1, 1, 60)) EXPECT_NEAR(times, 3000.0 / 7, 60);
}

TEST(Propagation, FewParticlesAreEqualBitForBitOnAnyNumberOfThreads) {
  const EnvironmentSpec spec = testing::DoubleIntegratorSpec(1);
  const testing::QuadraticReward reward;
  const std::vector<double> start = {0.4, -0.2};
  std::vector<double> actions(40 * 6);
  Random(Key{9, 1}).FillNormal(actions);
  for (const Propagation propagation : {Propagation::kTsInf, Propagation::kTs1}) {
    EnsembleOptions options = SmallOptions();
    options.propagation = propagation;
    const Ensemble model(spec, {}, options, Key{1, 1});
    std::vector<std::vector<double>> returns;
    for (const int threads : {1, 2, 5}) {
      ThreadPool executor(threads);
      Imagination imagination(testing::Borrowed(model), testing::Borrowed(reward),
                              {.horizon = 6, .max_candidates = 40, .particles = 3},
                              testing::Borrowed(executor));
      returns.emplace_back(40);
      imagination.Evaluate(start, actions, Key{4, 1}, returns.back());
    }
    EXPECT_EQ(returns[0], returns[1]);
    EXPECT_EQ(returns[0], returns[2]);
  }
}

TEST(Propagation, NoiseIsAnotherAtEveryStepAndForEveryParticle) {
  EnsembleOptions options = SmallOptions();
  options.members = 1;
  const Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
  StepBatch batch;
  batch.key = Key{1, 3};
  batch.particles = 4;
  std::set<double> of_component[3];
  for (batch.particle = 0; batch.particle < 4; ++batch.particle) {
    for (batch.time = 0; batch.time < 6; ++batch.time) {
      const std::vector<double> next = StepRows(model, batch, 1);
      for (size_t i = 0; i < 3; ++i) of_component[i].insert(next[i]);
    }
  }
  for (const auto& values : of_component) EXPECT_EQ(values.size(), 24u);
}

TEST(Propagation, NoiseIsStandardNormalInPredictedDeviationsWhateverTheTargetsScale) {
  EnsembleOptions options = SmallOptions();
  options.members = 1;
  Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
  model.target_normaliser().mean = {0.3, -1, 0};
  model.target_normaliser().scale = {1e-3, 1, 50};
  const double x[3] = {0.3, 1.2, 0.7};
  const double u = 0.4;
  double mean[3];
  double deviation[3];
  const auto workspace = model.MakeWorkspace(1);
  model.PredictTarget(0, 1, x, &u, mean, deviation, *workspace);
  StepBatch batch;
  const int draws = 2000;
  double sum[3] = {};
  double squares[3] = {};
  for (int draw = 0; draw < draws; ++draw) {
    batch.key = Key{7, static_cast<uint64_t>(draw)};
    const std::vector<double> next = StepRows(model, batch, 1);
    for (size_t i = 0; i < 3; ++i) {
      const double z = (next[i] - x[i] - mean[i]) / deviation[i];
      sum[i] += z / draws;
      squares[i] += z * z / draws;
    }
  }
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(sum[i], 0, 0.12) << i;      // sqrt(1 / 2000) = 0.022
    EXPECT_NEAR(squares[i], 1, 0.17) << i;  // sqrt(2 / 2000) = 0.032
  }
}

TEST(Propagation, Ts1DealsMembersOutEvenlyAndAnewAtEachStep) {
  const Ensemble model(ToySpec(), kEncoding, Deterministic(Propagation::kTs1), Key{1, 1});
  StepBatch batch;
  batch.key = Key{1, 3};
  batch.particles = 10;
  std::set<std::vector<double>> orders;
  for (batch.time = 0; batch.time < 5; ++batch.time) {
    std::vector<double> values;
    for (batch.particle = 0; batch.particle < 10; ++batch.particle) {
      values.push_back(StepRows(model, batch, 1)[0]);
    }
    for (const double value : values) EXPECT_EQ(std::ranges::count(values, value), 2);
    orders.insert(values);
  }
  EXPECT_GT(orders.size(), 1u);
}

TEST(Propagation, ExpectationIsTheMeanOfTheMembers) {
  EnsembleOptions options = SmallOptions();
  options.propagation = Propagation::kExpectation;
  const Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
  EXPECT_FALSE(model.is_stochastic());
  const auto workspace = model.MakeWorkspace(1);
  const double x[3] = {0.3, 1.2, 0.7};
  const double u = 0.4;
  double mean[3];
  double deviation[3];
  double expected = 0;
  for (int member = 0; member < 5; ++member) {
    model.PredictTarget(member, 1, x, &u, mean, deviation, *workspace);
    expected += mean[0] / 5;
  }
  EXPECT_NEAR(StepRows(model, {}, 1)[0], 0.3 + expected, 1e-12);  // order of a sum of five
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

TEST(Ensemble, OptionsOutOfRangeAreTheUsersError) {
  EnsembleOptions options;
  options.members = 0;
  EXPECT_THROW(Ensemble(ToySpec(), kEncoding, options, Key{}), InputError);
}

}  // namespace
}  // namespace foreplan
