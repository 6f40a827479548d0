// What the loops do with experience, at small sizes: when they fit, what they judge, what an
// episode begins with, what is safe at which time.
#include "foreplan/learners/model_learner.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/data/segments.h"
#include "foreplan/learners/testing/saved_states.h"
#include "foreplan/learners/testing/test_run.h"

namespace foreplan {
namespace {

constexpr int kLength = 25;  // of an episode of kTinyRun

/// Steps of the run at which a metric was recorded.
std::vector<int> StepsOf(const TestRun& test, const std::string& metric) {
  std::vector<int> steps;
  for (const MetricRow& row : test.log.metrics()) {
    if (row.name == metric) steps.push_back(row.total_steps);
  }
  return steps;
}

// One episode of the base policy, then two of planning.
TEST(RefitEvery, FitsAtTheVeryStepThatMakesSoManyNew) {
  TestRun test(Episodes(3), 1, {"mpc.refit_every=7"});
  test.learner->Run();
  EXPECT_EQ(StepsOf(test, "fit.seconds"), (std::vector<int>{25, 32, 39, 46, 50, 57, 64, 71, 75}));
}

TEST(RefitEvery, OneFitsAtEveryStep) {
  TestRun test(Episodes(2), 1, {"mpc.refit_every=1"});
  test.learner->Run();
  std::vector<int> every;
  for (int step = 25; step <= 50; ++step) every.push_back(step);
  EXPECT_EQ(StepsOf(test, "fit.seconds"), every);
}

TEST(RefitEvery, MoreThanAnEpisodeFitsAtItsEnd) {
  TestRun test(Episodes(3), 1, {"mpc.refit_every=1000"});
  test.learner->Run();
  EXPECT_EQ(StepsOf(test, "fit.seconds"), (std::vector<int>{25, 50, 75}));
}

TEST(RefitEvery, DividesAnEpisodeThatIsItsMultiple) {
  // The fit that is due at the last step is that after the episode, once.
  TestRun test(Episodes(2), 1, {"mpc.refit_every=5"});
  test.learner->Run();
  EXPECT_EQ(StepsOf(test, "fit.seconds"), (std::vector<int>{25, 30, 35, 40, 45, 50}));
}

TEST(ModelLearner, JudgesNewDataByTheModelBeforeItsRefit) {
  TestRun test(Episodes(2), 1, {"mpc.refit_every=0"});
  SavedStates saved(test);
  test.learner->Run();
  ASSERT_EQ(saved.states.size(), 4U);  // after an episode and after its fit, twice
  const std::vector<double> recorded = test.Values("model.one_step_rmse");
  ASSERT_EQ(recorded.size(), 1U);
  const auto error_of = [&](const TensorFile& state) {
    const auto model =
        MakeLearnedModel(test.loaded.first, test.loaded.second, Key{}, test.executor);
    model->Restore(state);
    return ModelJudge(*model).Judge(test.learner->data(), kLength, 2 * kLength).one_step_rmse;
  };
  EXPECT_EQ(recorded[0], error_of(saved.states[1].tensors));
  EXPECT_NE(recorded[0], error_of(saved.states[3].tensors));
}

TEST(ModelLearner, EveryEpisodeBeginsElsewhereAndActsByOtherNoise) {
  TestRun test(Episodes(4), 1, {"mpc.base_episodes=4"});
  test.learner->Run();
  const Dataset data = test.learner->data();
  ASSERT_EQ(data.size(), 4 * kLength);
  std::set<double> starts;
  std::set<double> actions;
  for (int64_t row = 0; row < data.size(); ++row) {
    EXPECT_EQ(data.episode(row), row / kLength + 1);
    if (row % kLength == 0) starts.insert(data.observation(row)[0]);
    actions.insert(data.action(row)[0]);
  }
  EXPECT_EQ(starts.size(), 4U);
  EXPECT_EQ(actions.size(), static_cast<size_t>(data.size()));  // uniform numbers
}

TEST(ModelLearner, PlansForThePlanningReward) {
  // Physics find the cart-pole after one episode. What is logged is where the cart goes to, what is
  // planned for is the other side.
  const TestTask opposed{
      .name = "cartpole_closed_form",
      .settings = {"episode_length=25", "model.kind=physics", "reward=\"slider\"",
                   "planning_reward=\"-slider\"", "planner.icem.population=20",
                   "planner.icem.horizon=8", "planner.icem.elites=4"}};
  TestRun test(Episodes(2), 1, {}, opposed);
  test.learner->Run();
  // A push of 3 to the left all along goes to about -1 within a second.
  EXPECT_LT(test.log.episodes().back().episode_return, -2);
  // What is imagined and realised of plans is of that reward, too.
  EXPECT_GT(test.Values("planning.realised_return").back(), 0);
}

TEST(ModelLearner, TheModelSeesDataInTheScaleOfAllOfThem) {
  // Nothing held out: the second fit's normalisers are of both episodes. The target of a component
  // is its change.
  TestRun test(Episodes(2), 1, {"mpc.refit_every=0", "fit.holdout_share=0"});
  test.learner->Run();
  const Dataset data = test.learner->data();
  ASSERT_EQ(data.size(), 2 * kLength);
  const TensorFile model = test.learner->Model();
  const std::array<int64_t, 1> four = {4};
  const std::vector<double>& mean = model.Doubles("model.target_mean", four);
  const std::vector<double>& scale = model.Doubles("model.target_scale", four);
  for (size_t i = 0; i < 4; ++i) {
    double sum = 0;
    double squares = 0;
    for (int64_t row = 0; row < data.size(); ++row) {
      const double change = data.next_observation(row)[i] - data.observation(row)[i];
      sum += change;
      squares += change * change;
    }
    const auto rows = static_cast<double>(data.size());
    // Sums in another order: rounding of 50 numbers.
    EXPECT_NEAR(mean[i], sum / rows, 1e-12) << i;
    EXPECT_NEAR(scale[i], std::sqrt(squares / rows - std::pow(sum / rows, 2)), 1e-9) << i;
  }
}

TEST(ModelLearner, SaysHowEveryEpisodeEnded) {
  RunOptions run;
  run.steps = 40;
  TestRun cut(run);
  cut.learner->Run();
  ASSERT_EQ(cut.log.episodes().size(), 2U);
  EXPECT_EQ(cut.log.episodes()[0].end, EpisodeEnd::kLength);
  EXPECT_EQ(cut.log.episodes()[1].end, EpisodeEnd::kCutOff);
  TestRun diverging(Episodes(1), 1, {"system.timestep=1"});
  diverging.learner->Run();
  EXPECT_EQ(diverging.log.episodes()[0].end, EpisodeEnd::kDiverged);
  EXPECT_NE(diverging.log.episodes()[0].note, "");
  TestRun terminated(Episodes(1), 1,
                     {"reward=\"1\"", "termination=\"abs(slider_velocity) > 0.1\""});
  terminated.learner->Run();
  EXPECT_EQ(terminated.log.episodes()[0].end, EpisodeEnd::kTerminated);
}

// A value function would take the last state of a terminated episode for worthless, that of a
// truncated one not.
TEST(ModelLearner, DataSayHowEveryStepEndedAndWhatItEarned) {
  RunOptions run;
  run.steps = 40;  // an episode of 25 steps, and 15 of another
  TestRun cut(run);
  cut.learner->Run();
  const Dataset& data = cut.learner->data();
  ASSERT_EQ(data.size(), 40);
  std::vector<double> returns(2);
  for (int64_t row = 0; row < data.size(); ++row) {
    EXPECT_EQ(data.end(row), row == 24 || row == 39 ? StepEnd::kTruncated : StepEnd::kContinues)
        << row;
    returns[row < 25 ? 0 : 1] += data.reward(row);
  }
  EXPECT_EQ(returns[0], cut.log.episodes()[0].episode_return);
  EXPECT_EQ(returns[1], cut.log.episodes()[1].episode_return);
  TestRun diverging(Episodes(1), 1, {"reward=\"sqrt(1.2 - abs(slider_velocity))\""});
  diverging.learner->Run();
  const Dataset& lost = diverging.learner->data();
  ASSERT_EQ(diverging.log.episodes()[0].end, EpisodeEnd::kDiverged);
  EXPECT_EQ(lost.end(lost.size() - 1), StepEnd::kTruncated);
  TestRun terminated(Episodes(1), 1,
                     {"reward=\"1\"", "termination=\"abs(slider_velocity) > 0.1\""});
  terminated.learner->Run();
  const Dataset& ended = terminated.learner->data();
  EXPECT_EQ(ended.end(ended.size() - 1), StepEnd::kTerminated);
}

TEST(ModelLearner, AFitThatIsDueWhereTheRunEndsComesAfterTheEpisodeIsSaved) {
  RunOptions run;
  run.steps = 45;  // 20 steps into the second episode, a multiple of refit_every
  TestRun test(run, 1, {"mpc.refit_every=10"});
  SavedStates saved(test);
  test.learner->Run();
  EXPECT_EQ(StepsOf(test, "fit.seconds"), (std::vector<int>{25, 35, 45}));
  ASSERT_EQ(saved.states.size(), 4U);
  EXPECT_EQ(saved.states[2].episodes, 2U);
  EXPECT_EQ(saved.states[2].fits, 2);
}

class EveryLearner : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Loops, EveryLearner,
                         testing::Values("mpc", "fit_then_plan", "aggregate", "policy_backprop"));

// With what a next training reads of the last episode, and with plans beyond an episode.
TEST_P(EveryLearner, SavesAnEpisodeBeforeItsFitAndGoesOnFromThereBitForBit) {
  const std::vector<std::string> small = {
      "mpc.refit_every=10",
      "policy_backprop.policy.width=8",
      "policy_backprop.training.steps=3",
      "policy_backprop.training.starts=2",
      "policy_backprop.training.horizon=3",
      "policy_backprop.training.restarts=0",
  };
  CheckEverySavedState(Episodes(3, GetParam()), small, {});
}

TEST(ModelLearner, RefusesAStateWhoseCountersCannotBe) {
  TestRun test(Episodes(2));
  test.learner->Run();
  TensorFile state;
  state.source = "state.safetensors";
  test.learner->Save(state);
  const auto message = [&](size_t counter, int32_t value) -> std::string {
    TensorFile wrong = state;
    std::get<std::vector<int32_t>>(wrong.tensors.at("learner.counters").values)[counter] = value;
    TestRun other(Episodes(2));
    try {
      other.learner->Restore(wrong, test.learner->data());
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message(0, -1),
            "state.safetensors: tensor 'learner.counters', element 0: found -1, expected a count "
            "from 0 to 1000000000");
  EXPECT_EQ(message(3, 51),
            "state.safetensors: tensor 'learner.counters': found 51 and 50 rows fitted and judged, "
            "expected at most the 50 of the data");
  EXPECT_EQ(message(3, 50), "");
}

TEST(ModelLearner, AModelLearnedInAnotherEncodingIsRefused) {
  TestRun test(Episodes(2));
  test.learner->Run();
  const std::vector<std::string> of_same_sizes = {"encoding.absolute=['hinge_velocity']"};
  const std::string expected =
      "model.safetensors: found a model learned with encoding.absolute = [], expected "
      "[hinge_velocity]";

  TensorFile state;
  state.source = "model.safetensors";
  test.learner->Save(state);
  TestRun other(Episodes(2), 1, of_same_sizes);
  EXPECT_EQ(MessageOf([&] { other.learner->Restore(state, test.learner->data()); }), expected);

  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / "model_to_begin_with";
  std::filesystem::create_directories(folder / "model");
  std::filesystem::create_directories(folder / "data");
  std::ofstream(folder / "config.toml") << "\n";
  WriteTensors(folder / "model/model.safetensors", test.learner->Model());
  WriteSegments(folder / "data", test.learner->data(), 0);
  RunOptions begins = Episodes(3);
  begins.model = folder.string();
  EXPECT_EQ(MessageOf([&] { const TestRun run(begins); }), "");
  EXPECT_EQ(MessageOf([&] { const TestRun run(begins, 1, of_same_sizes); }),
            (folder / "model").string() + "/" + expected);
}

}  // namespace
}  // namespace foreplan
