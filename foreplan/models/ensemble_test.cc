#include "foreplan/models/ensemble.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/thread_pool.h"
#include "foreplan/data/dataset.h"
#include "foreplan/models/ensemble_model.h"
#include "foreplan/models/ensemble_trainer.h"
#include "foreplan/models/model_error.h"

namespace foreplan {
namespace {

// x: position, angle, a counter and a component that never changes; u: one force.
SystemSpec ToySpec() {
  SystemSpec spec;
  spec.dt = 0.1;
  spec.observation = {{"x", "m"}, {"angle", "rad"}, {"still", ""}};
  spec.state = spec.observation;
  spec.action = {{"force", "N"}};
  spec.action_low = {-1};
  spec.action_high = {1};
  return spec;
}

const Encoding kEncoding = {.sin_cos = {"angle"}, .omit = {}, .absolute = {}};

void ToyStep(const double* x, double u, double* next) {
  next[0] = x[0] + 0.1 * std::sin(x[1]) + 0.05 * u;
  next[1] = x[1] + 0.2 * u - 0.02 * x[0];
  next[2] = x[2];
}

Dataset ToyData(int rows, uint64_t stream) {
  Dataset data(3, 1);
  Random random(Key{5, stream});
  for (int row = 0; row < rows; ++row) {
    const double x[3] = {random.Normal(), random.Uniform(-3, 3), 0.7};
    const double u = random.Uniform(-1, 1);
    double next[3];
    ToyStep(x, u, next);
    data.Add(x, std::span(&u, 1), next, 1);
  }
  return data;
}

EnsembleOptions SmallOptions() {
  EnsembleOptions options;
  options.hidden_layers = 2;
  options.width = 32;
  return options;
}

FitOptions QuickFit(int steps) {
  FitOptions options;
  options.min_steps = steps;
  options.max_steps = steps;
  return options;
}

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
  map.Apply(observation, target, applied);
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
Encoding GreyEncoding(const SystemSpec& spec) {
  Config config = Config::FromString(
      "encoding.sin_cos = ['angle']\n"
      "encoding.integrate = ['*']\n"
      "encoding.inputs = ['[reach, -reach]', 'x * force']\n"
      "[constants]\nahead = 0.5\n[quantities]\nreach = 'max(0, x + ahead * x_rate)'",
      "test");
  return ReadEncoding(config, spec, ExpressionDefinitions::Read(config));
}

SystemSpec SpecWithRate() {
  SystemSpec spec = ToySpec();
  spec.observation[2].name = "x_rate";
  return spec;
}

TEST(FeatureMap, PredictsDifferencesFromWhereTheRateTakesAComponent) {
  const FeatureMap map(SpecWithRate(), GreyEncoding(SpecWithRate()));
  const double observation[3] = {2, 0.5, 9};
  const double next[3] = {3, 0.75, 8};
  double target[3];
  map.Target(observation, next, target);
  // x: 3 - (2 + 0.1 9); the angle has no rate here
  EXPECT_NEAR(target[0], 0.1, 1e-15);
  EXPECT_EQ(target[1], 0.25);
  EXPECT_EQ(target[2], -1);
  map.Apply(observation, target, target);
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

TEST(EnsembleTrainer, NamesTheInputAndTheRowThatIsNotFinite) {
  ThreadPool pool(1);
  Config config = Config::FromString("encoding.inputs = ['log(x + 1)']", "test");
  EnsembleModel model(ToySpec(), ReadEncoding(config, ToySpec(), {}), SmallOptions(), QuickFit(10),
                      Key{1, 1}, pool);
  try {
    model.Fit(ToyData(50, 1), Key{1, 2});  // x is below -1 in some rows
    FAIL();
  } catch (const RunError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("inputs[0]: column 1: found"), std::string::npos) << message;
    EXPECT_NE(message.find("of the data, of episode 1, at previous.x = -"), std::string::npos)
        << message;
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

TEST(ModelJudge, OneStepOfOpenLoopIsTheOneStepErrorAndStretchesStayInAnEpisode) {
  ThreadPool pool(1);
  const EnsembleModel model(ToySpec(), kEncoding, SmallOptions(), {}, Key{1, 1}, pool);
  const Dataset data = ToyData(60, 2);
  ModelJudge judge(model);
  const ModelError one = judge.Judge(data, 0, 60, 1);
  EXPECT_EQ(one.open_loop_runs, 60);
  EXPECT_NEAR(one.open_loop_rmse, one.one_step_rmse, 1e-12);  // rounding
  double squares = 0;
  for (const double rmse : one.component_rmse) squares += rmse * rmse / 3;
  EXPECT_NEAR(std::sqrt(squares), one.one_step_rmse, 1e-12);

  Dataset episodes(3, 1);  // of 7 steps
  for (int64_t row = 0; row < 21; ++row) {
    episodes.Add(data.observation(row), data.action(row), data.next_observation(row),
                 static_cast<int>(row / 7));
  }
  // Of 0-4, 5-9, 10-14 and 15-19 the first and the last do not cross an episode's end.
  EXPECT_EQ(judge.Judge(episodes, 0, 21, 5).open_loop_runs, 2);
}

TEST(EnsembleTrainer, LearnsTheNoiseOfTheData) {
  Dataset data(3, 1);
  Random random(Key{6, 1});
  for (int row = 0; row < 2000; ++row) {
    const double x[3] = {random.Normal(), 0.0, 0.7};
    const double u = random.Uniform(-1, 1);
    double next[3];
    ToyStep(x, u, next);
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

TEST(EnsembleTrainer, ConstantComponentsNeverGiveNanAndStayConstant) {
  ThreadPool pool(1);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(model, QuickFit(200), pool);
  trainer.Fit(ToyData(100, 1), Key{1, 2});
  StepBatch batch;
  batch.key = Key{1, 3};
  const std::vector<double> next = StepRows(model, batch, 1);
  EXPECT_TRUE(std::isfinite(next[0]));
  // The scale of a constant target is 1e-6, the largest sampled deviation a few of those.
  EXPECT_NEAR(next[2], 0.7, 1e-4);
}

TEST(EnsembleTrainer, ThreadsChangeNoBit) {
  std::vector<std::vector<float>> parameters;
  for (const int threads : {1, 2, 8}) {
    ThreadPool pool(threads);
    Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
    EnsembleTrainer trainer(model, QuickFit(100), pool);
    trainer.Fit(ToyData(150, 1), Key{1, 2});
    trainer.Fit(ToyData(200, 1), Key{1, 3});
    const std::span<const float> last = std::as_const(model).parameters(4);
    parameters.emplace_back(last.begin(), last.end());
  }
  EXPECT_EQ(parameters[0], parameters[1]);
  EXPECT_EQ(parameters[0], parameters[2]);
}

TEST(EnsembleTrainer, SavedStateContinuesBitForBit) {
  ThreadPool pool(2);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(model, QuickFit(100), pool);
  trainer.Fit(ToyData(150, 1), Key{1, 2});
  TensorFile saved;
  model.Save(saved);
  trainer.Save(saved);
  Ensemble other(ToySpec(), kEncoding, SmallOptions(), Key{9, 9});
  EnsembleTrainer other_trainer(other, QuickFit(100), pool);
  other.Restore(saved);
  other_trainer.Restore(saved);
  trainer.Fit(ToyData(200, 1), Key{1, 3});
  other_trainer.Fit(ToyData(200, 1), Key{1, 3});
  for (int member = 0; member < model.members(); ++member) {
    EXPECT_TRUE(std::ranges::equal(model.parameters(member), other.parameters(member)));
  }
}

TEST(EnsembleTrainer, EarlyStoppingKeepsTheBestWeightsOfEachMember) {
  ThreadPool pool(2);
  FitOptions options = QuickFit(4000);
  options.holdout_share = 0.3;
  Ensemble all_steps(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  Ensemble stopped(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  // Pure noise as targets: every step beyond the first few only learns the training rows by heart.
  Dataset data(3, 1);
  Random random(Key{5, 3});
  for (int row = 0; row < 40; ++row) {
    const double x[3] = {random.Normal(), random.Normal(), 0.7};
    const double next[3] = {x[0] + random.Normal(), x[1] + random.Normal(), 0.7};
    const double u = random.Normal();
    data.Add(x, std::span(&u, 1), next, 1);
  }
  const FitReport without = EnsembleTrainer(all_steps, options, pool).Fit(data, Key{1, 2});
  options.patience = 3;
  const FitReport with = EnsembleTrainer(stopped, options, pool).Fit(data, Key{1, 2});
  EXPECT_GT(with.holdout_rows, 0);
  EXPECT_EQ(with.holdout_rows + with.training_rows, 40);
  EXPECT_LT(with.steps, 4000);
  EXPECT_LE(with.holdout_rmse, without.holdout_rmse);
}

TEST(EnsembleTrainer, NotFiniteLossNamesMemberAndStepAndKeepsTheModel) {
  ThreadPool pool(2);
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(model, QuickFit(50), pool);
  Dataset data = ToyData(50, 1);
  trainer.Fit(data, Key{1, 2});
  TensorFile before;
  model.Save(before);
  const double x[3] = {std::numeric_limits<double>::quiet_NaN(), 0, 0};
  const double u = 0;
  data.Add(x, std::span(&u, 1), x, 1);
  try {
    trainer.Fit(data, Key{1, 3});
    FAIL();
  } catch (const RunError& error) {
    EXPECT_NE(std::string(error.what()).find("gradient step 1 of 50"), std::string::npos);
  }
  TensorFile after;
  model.Save(after);
  EXPECT_EQ(std::get<std::vector<float>>(before.tensors["model.parameters"].values),
            std::get<std::vector<float>>(after.tensors["model.parameters"].values));
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

TEST(EnsembleTrainer, OutlierJumpsDoNotBreakTraining) {
  ThreadPool pool(2);
  FitOptions options = QuickFit(1000);
  options.gradient_clip = 10;
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  EnsembleTrainer trainer(model, options, pool);
  Dataset data = ToyData(200, 1);
  trainer.Fit(data, Key{1, 2});
  const double x[3] = {0, 0, 0.7};
  const double next[3] = {500, -300, 0.9};  // thousands of deviations
  const double u = 0.5;
  data.Add(x, std::span(&u, 1), next, 1);
  EXPECT_NO_THROW(trainer.Fit(data, Key{1, 3}));
}

TEST(Propagation, TsInfKeepsAMemberAndCandidatesShareTheNoise) {
  Ensemble model(ToySpec(), kEncoding, SmallOptions(), Key{1, 1});
  StepBatch batch;
  batch.key = Key{1, 3};
  batch.particles = 10;
  std::set<double> first_components;
  for (batch.particle = 0; batch.particle < 10; ++batch.particle) {
    const std::vector<double> next = StepRows(model, batch, 3);
    EXPECT_EQ(next[0], next[3]);  // equal rows: same member and noise
    EXPECT_EQ(next[0], next[6]);
    first_components.insert(next[0]);
  }
  EXPECT_EQ(first_components.size(), 10u);  // particles differ by member or noise
}

TEST(Propagation, Ts1DealsMembersOutEvenlyAndAnewAtEachStep) {
  EnsembleOptions options = SmallOptions();
  options.probabilistic = false;  // without noise a value reveals its member
  options.propagation = Propagation::kTs1;
  const Ensemble model(ToySpec(), kEncoding, options, Key{1, 1});
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

TEST(Ensemble, OptionsOutOfRangeAreTheUsersError) {
  EnsembleOptions options;
  options.members = 0;
  EXPECT_THROW(Ensemble(ToySpec(), kEncoding, options, Key{}), InputError);
}

}  // namespace
}  // namespace foreplan
