#include "foreplan/learners/policy_backprop.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/learners/testing/test_run.h"

namespace foreplan {
namespace {

const TestTask kTiny = {
    .name = "pilco_cartpole",
    .settings = {"episode_length=12", "model.width=8", "model.members=2", "fit.min_steps=5",
                 "fit.max_steps=5", "policy_backprop.policy.width=8",
                 "policy_backprop.training.horizon=5", "policy_backprop.training.particles=2",
                 "policy_backprop.training.starts=3", "policy_backprop.training.steps=6",
                 "policy_backprop.training.restarts=1",
                 "policy_backprop.training.restart_trainings=1",
                 "policy_backprop.training.restart_steps=2"}};

RunOptions Backprop(int episodes) {
  return {.algorithm = "policy_backprop", .seed = 3, .episodes = episodes};
}

TEST(PolicyBackpropLearner, BeginsWithTheBasePolicyThenFitsTrainsAndActs) {
  TestRun test(Backprop(3), 1, {}, kTiny);
  test.learner->Run();
  ASSERT_EQ(test.log.episodes().size(), 3u);
  EXPECT_EQ(test.log.episodes()[0].controller, "uniform");
  EXPECT_EQ(test.log.episodes()[1].controller, "policy");
  EXPECT_EQ(test.Count("fit.steps"), 3);
  EXPECT_EQ(test.Count("policy.imagined_return"), 3);
  EXPECT_EQ(test.Count("policy.realised_return"), 2);  // of the two episodes that a policy acted in
  // The first training compares two policies before it goes on with the better one.
  EXPECT_EQ(test.Values("policy.gradient_steps"), (std::vector<double>{10, 6, 6}));
  EXPECT_EQ(test.Values("policy.invalid_gradients"), (std::vector<double>{0, 0, 0}));
}

TEST(PolicyBackpropLearner, TrainingRaisesTheImaginedReturn) {
  // Without checks the value is that of the last weights, better or worse than the first. Through
  // the tiny model little can be gained (3 % at least), through the true system a lot.
  for (const auto& [true_model, gain] : {std::pair{"false", 1.03}, std::pair{"true", 1.5}}) {
    TestRun test(Backprop(1), 1,
                 {"policy_backprop.training.steps=150", "policy_backprop.training.checks=0",
                  "policy_backprop.training.starts=20", "policy_backprop.training.horizon=12",
                  "policy_backprop.training.learning_rate=0.01",
                  "policy_backprop.training.restarts=0", "fit.min_steps=100", "fit.max_steps=100",
                  std::string("policy_backprop.true_model=") + true_model},
                 kTiny);
    test.learner->Run();
    const std::vector<double> before = test.Values("policy.imagined_return_before");
    const std::vector<double> after = test.Values("policy.imagined_return");
    ASSERT_EQ(before.size(), 1U);
    ASSERT_EQ(after.size(), 1U);
    EXPECT_GT(before[0], 0);
    EXPECT_GT(after[0], gain * before[0]) << true_model;
  }
}

TEST(PolicyBackpropLearner, TrainsThroughTheTrueSystemWithoutAFit) {
  TestRun test(Backprop(2), 1, {"policy_backprop.true_model=true"}, kTiny);
  test.learner->Run();
  EXPECT_EQ(test.Count("fit.steps"), 0);
  EXPECT_EQ(test.Count("policy.imagined_return"), 2);
}

TEST(PolicyBackpropLearner, ThreadsChangeNoBit) {
  std::vector<std::string> csv;
  for (const int threads : {1, 2, 8}) {
    // More rollouts than a tile holds.
    TestRun test(Backprop(2), threads, {"policy_backprop.training.starts=70"}, kTiny);
    test.learner->Run();
    csv.push_back(test.log.EpisodesCsv());
  }
  EXPECT_EQ(csv[0], csv[1]);
  EXPECT_EQ(csv[0], csv[2]);
}

TEST(PolicyBackpropLearner, RestoredStateContinuesBitForBit) {
  for (const std::string gaussian : {"false", "true"}) {
    const std::vector<std::string> settings = {"policy_backprop.training.gaussian=" + gaussian};
    TestRun whole(Backprop(4), 1, settings, kTiny);
    whole.learner->Run();
    TestRun first(Backprop(2), 1, settings, kTiny);
    first.learner->Run();
    TensorFile state;
    first.learner->Save(state);
    TestRun second(Backprop(4), 1, settings, kTiny);
    second.learner->Restore(state, first.learner->data());
    second.learner->Run();
    ASSERT_EQ(second.log.episodes().size(), 2u);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(second.log.episodes()[i].episode_return,
                whole.log.episodes()[i + 2].episode_return);
    }
  }
}

TEST(PolicyBackpropLearner, RefusesAStateTrainedOnMoreRowsThanThereAre) {
  TestRun test(Backprop(2), 1, {}, kTiny);
  test.learner->Run();
  TensorFile state;
  state.source = "state.safetensors";
  test.learner->Save(state);
  state.tensors.at("policy_backprop.trained_rows") = {{1}, std::vector<int32_t>{25}};
  TestRun other(Backprop(2), 1, {}, kTiny);
  try {
    other.learner->Restore(state, test.learner->data());
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "state.safetensors: tensor 'policy_backprop.trained_rows': found 25, expected at "
                 "most 24, the rows of the data");
  }
}

TEST(PolicyBackpropLearner, DoubtsAGainByWhatTheLastEpisodeEarned) {
  // Whatever the second training gains, it is less than a million times what the model is wrong by.
  std::vector<std::vector<float>> policies;
  for (const int episodes : {1, 2}) {
    TestRun test(Backprop(episodes), 1, {"policy_backprop.training.doubt=1e6"}, kTiny);
    test.learner->Run();
    EXPECT_EQ(test.Values("policy.doubted"),
              episodes == 1 ? std::vector<double>({0}) : std::vector<double>({0, 1}));
    policies.push_back(
        std::get<std::vector<float>>(test.learner->Model().tensors.at("policy.parameters").values));
  }
  EXPECT_EQ(policies[0], policies[1]);
}

TEST(PolicyBackpropLearner, KeepsThePolicyBesideTheModel) {
  TestRun test(Backprop(2), 1, {}, kTiny);
  test.learner->Run();
  const TensorFile model = test.learner->Model();
  EXPECT_TRUE(model.tensors.contains("model.parameters"));
  EXPECT_TRUE(model.tensors.contains("policy.parameters"));
}

TEST(PolicyBackpropLearner, IsJudgedWithoutNoise) {
  TestRun test(Backprop(2), 1, {"policy_backprop.training.gaussian=true"}, kTiny);
  test.learner->Run();
  Policy& policy = test.learner->controller();
  const std::vector<double> observation = {0.1, 0.2, -0.3, 0.4};
  std::vector<double> first(1);
  std::vector<double> second(1);
  policy.Act({.observation = observation, .key = Key{1, 0}}, first);
  policy.Act({.observation = observation, .key = Key{2, 0}}, second);
  EXPECT_EQ(first, second);
}

TEST(PolicyBackpropLearner, AskingForTheControllerChangesNoBitOfTheRun) {
  const std::vector<std::string> gaussian = {"policy_backprop.training.gaussian=true"};
  TestRun plain(Backprop(3), 1, gaussian, kTiny);
  plain.learner->Run();
  TestRun asked(Backprop(3), 1, gaussian, kTiny);
  asked.checkpoint = [&] {
    std::vector<double> action(1);
    asked.learner->controller().Act(
        {.observation = std::vector<double>{0.1, 0.2, 0.3, 0.4}, .key = Key{1, 0}}, action);
  };
  asked.learner->Run();
  EXPECT_EQ(plain.log.EpisodesCsv(), asked.log.EpisodesCsv());
}

TEST(PolicyBackpropLearner, TrainsWhenSoManyTransitionsAreNewAndAtTheEnd) {
  // Episodes of 12 steps: 24 are new after two, 12 at the end of the fifth.
  TestRun test(Backprop(5), 1, {"policy_backprop.train_every=20"}, kTiny);
  test.learner->Run();
  std::vector<int> steps;
  for (const MetricRow& row : test.log.metrics()) {
    if (row.name == "policy.imagined_return") steps.push_back(row.total_steps);
  }
  EXPECT_EQ(steps, (std::vector<int>{24, 48, 60}));
}

TEST(PolicyBackpropLearner, NamesWhatIsWrong) {
  EXPECT_THROW(TestRun(Backprop(1), 1, {"policy_backprop.training.steps=0"}, kTiny), InputError);
  EXPECT_THROW(TestRun(Backprop(1), 1, {"policy_backprop.policy.omit=[\"sliderr\"]"}, kTiny),
               InputError);
}

}  // namespace
}  // namespace foreplan
