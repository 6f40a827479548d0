#include "foreplan/learners/actor_critic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/learners/testing/saved_states.h"
#include "foreplan/learners/testing/test_run.h"
#include "foreplan/models/ensembles/ensemble.h"
#include "foreplan/models/ensembles/fit_options.h"

namespace foreplan {
namespace {

const TestTask kTiny = {
    .name = "pilco_cartpole",
    .settings = {"episode_length=12", "model.width=8", "model.members=2", "model.propagation=ts_1",
                 "fit.min_steps=5", "fit.max_steps=5", "actor_critic.base_steps=12",
                 "actor_critic.train_every=12", "actor_critic.pool=200",
                 "actor_critic.pool_updates=3", "actor_critic.policy.width=8",
                 "actor_critic.critic.width=8", "actor_critic.training.batch=10",
                 "actor_critic.training.particles=2"}};

RunOptions RunOf(const std::string& algorithm, int episodes) {
  return {.algorithm = algorithm, .seed = 3, .episodes = episodes};
}

std::vector<float> PolicyOf(const TestRun& test) {
  return std::get<std::vector<float>>(test.learner->Model().tensors.at("policy.parameters").values);
}

class EveryCorner : public testing::TestWithParam<const char*> {};

TEST_P(EveryCorner, BeginsWithTheBasePolicyThenTrainsAndActs) {
  TestRun test(RunOf(GetParam(), 3), 1, {"actor_critic.updates_per_step=1"}, kTiny);
  const std::vector<float> before = PolicyOf(test);
  test.learner->Run();
  ASSERT_EQ(test.log.episodes().size(), 3U);
  EXPECT_EQ(test.log.episodes()[0].controller, "uniform");
  EXPECT_EQ(test.log.episodes()[1].controller, "policy");
  EXPECT_EQ(test.Count("critic.loss"), 3);
  EXPECT_EQ(test.Values("actor.invalid_updates"), (std::vector<double>{0, 0, 0}));
  EXPECT_NE(PolicyOf(test), before);
}

TEST_P(EveryCorner, GoesOnBitForBitFromEverySavedState) {
  CheckEverySavedState(RunOf(GetParam(), 3), {"actor_critic.updates_per_step=1"}, kTiny);
}

TEST_P(EveryCorner, ThreadsChangeNoBit) {
  std::vector<TensorFile> states;
  for (const int threads : {1, 2, 3}) {
    TestRun test(RunOf(GetParam(), 3), threads, {"actor_critic.updates_per_step=1"}, kTiny);
    test.learner->Run();
    test.learner->Save(states.emplace_back());
  }
  for (const TensorFile& other : states) {
    for (const auto& [name, tensor] : states.front().tensors) {
      if (name == "learner.seconds") continue;
      EXPECT_EQ(other.tensors.at(name).values, tensor.values) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Algorithms, EveryCorner, testing::Values("sac", "mbpo", "svg", "dhmbpo"),
                         [](const auto& test) { return std::string(test.param); });

TEST(ActorCriticLearner, FitsAModelUnlessNothingIsImagined) {
  for (const auto& [algorithm, fits] :
       {std::pair{"sac", 0}, std::pair{"svg", 2}, std::pair{"dhmbpo", 2}}) {
    TestRun test(RunOf(algorithm, 2), 1, {}, kTiny);
    test.learner->Run();
    EXPECT_EQ(test.Count("fit.steps"), fits) << algorithm;
    EXPECT_EQ(test.learner->Model().tensors.contains("model.parameters"), fits > 0) << algorithm;
  }
}

TEST(ActorCriticLearner, WhatIsImaginedFarBesideWhatWasSeenCountsForNothing) {
  for (const auto& [margin, leaves] : {std::pair{"0", true}, std::pair{"1e9", false}}) {
    TestRun test(RunOf("svg", 2), 1, {std::string("actor_critic.range_margin=") + margin}, kTiny);
    test.learner->Run();
    for (const double share : test.Values("actor.invalid_rollouts")) {
      EXPECT_EQ(share > 0, leaves) << margin;
    }
  }
}

TEST(ActorCriticLearner, TrainsAsOftenAsNewStepsSay) {
  TestRun test(RunOf("dhmbpo", 5), 1,
               {"actor_critic.train_every=20", "actor_critic.updates_per_step=0.5",
                "actor_critic.critic_updates_per_step=0.25"},
               kTiny);
  test.learner->Run();
  // Of 12 steps each: after the second and the fourth episode, on 24 new steps.
  EXPECT_EQ(test.Values("actor.updates"), (std::vector<double>{18, 36}));
}

TEST(ActorCriticLearner, BeginsWithDataOfOthersInThePlaceOfTheBasePolicy) {
  const std::string file = testing::TempDir() + "actor_critic_data.csv";
  {
    TestRun others(RunOf("sac", 2), 1, {}, kTiny);
    others.learner->Run();
    std::ofstream csv(file);
    csv << "episode";
    for (const Component& component : others.loaded.first.spec().observation) {
      csv << ',' << component.name;
    }
    for (const Component& component : others.loaded.first.spec().action) {
      csv << ',' << component.name;
    }
    const Dataset& data = others.learner->data();
    for (int64_t row = 0; row < data.size(); ++row) {
      csv << '\n' << data.episode(row);
      for (const double value : data.observation(row)) csv << ',' << value;
      for (const double value : data.action(row)) csv << ',' << value;
    }
    csv << '\n';
  }
  TestRun test(RunOf("dhmbpo", 1), 1, {"actor_critic.data=" + file}, kTiny);
  // Of each episode in a table the last row has no next one.
  EXPECT_EQ(test.learner->data().size(), 22);
  test.learner->Run();
  EXPECT_EQ(test.log.episodes()[0].controller, "policy");
  EXPECT_EQ(test.Values("actor.updates"), (std::vector<double>{28, 43}));  // 22 + 6, then 12 + 3
}

TEST(ActorCriticLearner, EvaluatesThePolicyThatHasLearnedFromNoStepBeyond) {
  TestRun test(RunOf("dhmbpo", 4), 1,
               {"actor_critic.evaluate_every=18", "actor_critic.evaluation_episodes=2"}, kTiny);
  test.learner->Run();
  // Episodes end at 12, 24, 36 and 48 steps: step 18 lies within one and is of the policy before
  // the training at 24, step 36 is where a training has been.
  EXPECT_EQ(test.Values("evaluation.step"), (std::vector<double>{18, 36}));
  EXPECT_EQ(test.Values("evaluation.mean_length"), (std::vector<double>{12, 12}));
  std::vector<std::string> order;
  for (const MetricRow& row : test.log.metrics()) {
    if (row.name == "critic.loss" || row.name == "evaluation.step") order.push_back(row.name);
  }
  EXPECT_EQ(order, (std::vector<std::string>{"critic.loss", "evaluation.step", "critic.loss",
                                             "critic.loss", "evaluation.step", "critic.loss"}));
}

// Where weights are drawn for inputs of deviation 1, keeping the function that they were of raw
// observations would undo what the scale is for. Learning rates of nearly 0 leave what scales do.
TEST(ActorCriticLearner, BeginsWithTheScaleOfTheFirstData) {
  std::vector<std::vector<float>> weights;
  std::vector<std::vector<double>> scales;
  for (const int episodes : {0, 1, 4}) {
    TestRun test(
        RunOf("sac", std::max(1, episodes)), 1,
        {"actor_critic.training.learning_rate=1e-8", "actor_critic.critic.learning_rate=1e-8"},
        kTiny);
    if (episodes > 0) test.learner->Run();
    weights.push_back(PolicyOf(test));
    scales.push_back(std::get<std::vector<double>>(
        test.learner->Model().tensors.at("policy.input_scale").values));
  }
  EXPECT_NEAR(weights[1][0], weights[0][0], 1e-6);  // as it was drawn
  EXPECT_NE(scales[1], scales[0]);
  // W'_k = W_k s'_k / s_k
  EXPECT_NE(scales[2][0], scales[1][0]);
  EXPECT_NEAR(weights[2][0], weights[1][0] * scales[2][0] / scales[1][0], 1e-5);
}

TEST(ActorCriticLearner, RefusesSettingsThatDoNotFitEachOther) {
  const auto message = [](const std::string& algorithm, const std::string& setting) {
    try {
      const TestRun test(RunOf(algorithm, 1), 1, {setting}, kTiny);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string("nothing");
  };
  EXPECT_EQ(message("dhmbpo", "actor_critic.training.horizon=0"),
            "actor_critic.critic_rows: found \"expansion\" with training.horizon = 0, expected "
            "\"real\" or \"imagined\": there is nothing to expand along");
  EXPECT_EQ(message("mbpo", "actor_critic.rollout_steps=0"),
            "actor_critic.critic_rows: found \"imagined\" with rollout_steps = 0, expected "
            "\"expansion\" or \"real\": nothing is imagined");
}

TEST(ActorCriticLearner, RefusesAStateTrainedOnMoreRowsThanThereAre) {
  TestRun test(RunOf("sac", 2), 1, {}, kTiny);
  test.learner->Run();
  TensorFile state;
  state.source = "state.safetensors";
  test.learner->Save(state);
  state.tensors.at("actor_critic.progress") = {{3}, std::vector<double>{24, 25, 0}};
  TestRun other(RunOf("sac", 2), 1, {}, kTiny);
  try {
    other.learner->Restore(state, test.learner->data());
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "state.safetensors: tensor 'actor_critic.progress': found a training on 25 rows, "
                 "expected at most the 24 of the data");
  }
}

/// Pays 1 for every step and stays where it is; `ends`: every step ends the episode.
class SteadyPay final : public Environment {
 public:
  explicit SteadyPay(bool ends) : ends_(ends) {
    spec_.dt = 0.1;
    spec_.observation = {{"x", ""}};
    spec_.action = {{"u", ""}};
    spec_.action_low = {-1};
    spec_.action_high = {1};
  }
  const EnvironmentSpec& spec() const override { return spec_; }
  void Reset(Key /*key*/) override {}
  StepOutcome Step(std::span<const double> /*action*/) override {
    StepOutcome outcome(StepStatus::kOk);
    outcome.end = ends_ ? StepEnd::kTerminated : StepEnd::kContinues;
    outcome.reward = 1;
    return outcome;
  }
  void Observe(std::span<double> observation) const override { observation[0] = 0.5; }

 private:
  EnvironmentSpec spec_;
  bool ends_;
};

// Without entropy the value of what pays 1 for ever is 1 / (1 - gamma) = 10, of which a critic that
// took the limit of 20 steps for an end would find less: 0.9 of a value in most rows, 0 in one of
// 20, 1 / (1 - 0.9 * 0.95) = 6.9. Where every step ends it is 1.
TEST(ActorCriticLearner, ALimitOfTimeIsNoEndAndATerminationIs) {
  for (const auto& [ends, value] : {std::pair{false, 10.0}, std::pair{true, 1.0}}) {
    const Task task({.name = "steady",
                     .environment = std::make_shared<SteadyPay>(ends),
                     .reward = PaidByEnvironment{},
                     .episode_length = 20});
    Config config;
    for (const char* setting :
         {"actor_critic.base_steps=20", "actor_critic.train_every=20",
          "actor_critic.updates_per_step=40", "actor_critic.policy.width=4",
          "actor_critic.policy.hidden_layers=1", "actor_critic.critic.width=16",
          "actor_critic.critic.hidden_layers=1", "actor_critic.critic.learning_rate=0.01",
          "actor_critic.critic.target_rate=0.05", "actor_critic.training.batch=16",
          "actor_critic.training.discount=0.9", "actor_critic.training.temperature=1e-8",
          "actor_critic.training.temperature_rate=0"}) {
      config.Set(setting);
    }
    const RunOptions run{.algorithm = "sac", .steps = 60};
    const auto learner = MakeLearner("sac", config, {task, run});
    learner->Run();
    CriticOptions options = ActorCriticSections("sac", config).critic;
    CriticEnsemble critics(1, 1, options, 16, Key{}, std::make_shared<SerialExecutor>());
    critics.Restore("critic.", learner->Model());
    const std::vector<float> x = {0, 0.3F};  // a constant observation is 0 in the critics' scale
    std::vector<double> q(1);
    critics.Evaluate(1, x.data(), q);
    EXPECT_NEAR(q[0], value, 0.1) << "ends: " << ends;  // of Adam's last steps
  }
}

TEST(PrepareActorCritic, PutsAFilesOwnSettingsOfTheAlgorithmOverItsOthers) {
  const std::string text =
      "[model]\nwidth = 200\nmembers = 5\n[dhmbpo.model]\nwidth = 100\n"
      "[dhmbpo.actor_critic.training]\nhorizon = 7\n[fit]\nbatch = 64\n";
  for (const bool asked : {false, true}) {
    Config config = Config::FromString(text, "task.toml");
    if (asked) config.Set("model.width=50");
    PrepareActorCritic("dhmbpo", config);
    const auto model = ReadOptions<EnsembleOptions>(config, "model");
    EXPECT_EQ(model.width, asked ? 50 : 100);
    EXPECT_EQ(model.members, 5);                      // of the file
    EXPECT_EQ(model.propagation, Propagation::kTs1);  // of the algorithm
    const auto fit = ReadOptions<FitOptions>(config, "fit");
    EXPECT_EQ(fit.batch, 64);
    EXPECT_EQ(fit.min_steps, 1200);
    EXPECT_EQ(fit.learning_rate, 0.004);
    EXPECT_EQ(ActorCriticSections("dhmbpo", config).training.horizon, 7);
    EXPECT_EQ(ActorCriticSections("svg", config).training.horizon, 7);  // as it was promoted
  }
  // Members without noise have no constant one either.
  for (const bool probabilistic : {false, true}) {
    Config config = Config::FromString(text, "task.toml");
    config.Set(std::string("model.probabilistic=") + (probabilistic ? "true" : "false"));
    PrepareActorCritic("dhmbpo", config);
    EXPECT_EQ(ReadOptions<EnsembleOptions>(config, "model").noise,
              probabilistic ? MemberNoise::kConstant : MemberNoise::kPredicted);
  }
  Config other = Config::FromString(text, "task.toml");
  PrepareActorCritic("svg", other);
  EXPECT_EQ(ActorCriticSections("svg", other).training.horizon, 2);
  EXPECT_EQ(ReadOptions<EnsembleOptions>(other, "model").width, 200);
}

TEST(PrepareActorCritic, NamesFileAndKeyOfAnOwnSettingThatIsWrong) {
  Config config = Config::FromString("[dhmbpo.model]\nwidth = 0\n", "task.toml");
  try {
    PrepareActorCritic("dhmbpo", config);
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("task.toml:2:")) << error.what();
    EXPECT_NE(std::string(error.what()).find("dhmbpo.model.width"), std::string::npos);
  }
}

}  // namespace
}  // namespace foreplan
