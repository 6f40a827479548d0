// The loops v0.5 and v1.0.
#include "foreplan/learners/whole_plans.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/learners/testing/test_run.h"
#include "foreplan/models/model_error.h"

namespace foreplan {
namespace {

TEST(FitThenPlan, FitsOnceAndMeasuresTheModelWhereItIsUsed) {
  TestRun test(Episodes(5, "fit_then_plan"), 1, {"fit_then_plan.base_episodes=2"});
  test.learner->Run();
  std::vector<std::string> controllers;
  for (const EpisodeRow& episode : test.log.episodes()) controllers.push_back(episode.controller);
  EXPECT_EQ(controllers, (std::vector<std::string>{"uniform", "uniform", "plan", "plan", "plan"}));
  EXPECT_EQ(test.Count("fit.seconds"), 1);
  EXPECT_EQ(test.Count("model.base.one_step_rmse"), 1);
  EXPECT_EQ(test.Count("model.one_step_rmse"), 3);  // of each planned episode
}

TEST(Aggregate, RefitsAfterEachRound) {
  TestRun test(Episodes(5, "aggregate"), 1, {"aggregate.base_episodes=2"});
  test.learner->Run();
  EXPECT_EQ(test.Count("fit.seconds"), 1 + 3);
  EXPECT_EQ(test.Count("model.base.one_step_rmse"), 1 + 3);
  EXPECT_EQ(test.Count("model.one_step_rmse"), 3);
}

TEST(WholePlans, LastTheEpisodeUnlessReplanned) {
  struct Case {
    std::string execution, search;
    size_t planned;  // steps of a plan
  };
  for (const Case& plan : {Case{"open_loop", "imagined_mpc", 25}, Case{"open_loop", "at_once", 25},
                           Case{"tracked", "imagined_mpc", 25}, Case{"tracked", "at_once", 25},
                           Case{"replanned", "at_once", 4}}) {
    TestRun test(
        Episodes(2, "fit_then_plan"), 1,
        {"fit_then_plan.execution=" + plan.execution, "fit_then_plan.search=" + plan.search});
    test.learner->Run();
    // Imagined returns are compared with realised ones over each plan's horizon that was finished.
    EXPECT_EQ(test.Count("planning.imagined_return"), 1) << plan.execution;
    auto& policy = dynamic_cast<PlanningPolicy&>(test.learner->controller());
    const std::vector<double> at_rest(4);
    double action = 0;
    policy.Reset(Key{});
    policy.Act({.observation = at_rest, .time = 0, .key = Key{}}, {&action, 1});
    ASSERT_NE(policy.new_plan(), nullptr);
    EXPECT_EQ(policy.new_plan()->actions.size(), plan.planned) << plan.execution << plan.search;
    // What the user wrote stands.
    ConfigWriter writer;
    WriteLearnerOptions("fit_then_plan", test.run, test.loaded.second, writer);
    EXPECT_NE(writer.text().find("horizon = 4"), std::string::npos) << writer.text();
  }
}

TEST(WholePlans, ArePolishedOnRequest) {
  const std::vector<std::string> settings = {"fit_then_plan.execution=tracked"};
  TestRun plain(Episodes(2, "fit_then_plan"), 1, settings);
  plain.learner->Run();
  TestRun polished(Episodes(2, "fit_then_plan"), 1,
                   TestRun::Joined(settings, {"fit_then_plan.polish=10"}));
  polished.learner->Run();
  EXPECT_GT(polished.Values("planning.imagined_return").back(),
            plain.Values("planning.imagined_return").back());
}

TEST(WholePlans, TheBasePolicyIsJudgedOnAnEpisodeOfItsOwn) {
  TestRun test(Episodes(1, "fit_then_plan"));
  std::vector<TensorFile> states;
  test.checkpoint = [&] { test.learner->Save(states.emplace_back()); };
  test.learner->Run();
  const auto model = MakeLearnedModel(test.loaded.first, test.loaded.second, Key{}, test.executor);
  model->Restore(states.back());
  const Dataset& data = test.learner->data();
  ASSERT_EQ(test.Count("model.base.one_step_rmse"), 1);
  // Not on the one that it was fitted to.
  EXPECT_NE(test.Values("model.base.one_step_rmse")[0],
            ModelJudge(*model).Judge(data, 0, 25).one_step_rmse);
}

TEST(WholePlans, ShorterThanTheEpisodeAreFollowedByOthers) {
  TestRun test(Episodes(2, "aggregate"), 1,
               {"aggregate.horizon=10", "aggregate.execution=tracked"});
  test.learner->Run();
  EXPECT_EQ(test.log.episodes().back().steps, 25);
}

TEST(WholePlans, BeginWithDataOfAFile) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "base_data.safetensors";
  TestRun base(Episodes(2));
  base.learner->Run();
  TensorFile data;
  base.learner->data().Save(data);
  WriteTensors(file, data);
  const std::vector<std::string> settings = {"fit_then_plan.base_episodes=0",
                                             "fit_then_plan.data=" + file.string()};
  TestRun test(Episodes(2, "fit_then_plan"), 1, settings);
  test.learner->Run();
  EXPECT_EQ(test.log.episodes().front().controller, "plan");
  EXPECT_EQ(test.Count("fit.seconds"), 1);
  EXPECT_EQ(test.learner->data().size(), 4 * 25);
}

TEST(FitThenPlan, BeginsWithALogOfOthers) {
  TestRun base(Episodes(1, "fit_then_plan"), 1, {});
  base.learner->Run();
  const Dataset& data = base.learner->data();
  std::string csv = "hinge,hinge_velocity,slider,slider_velocity,slide,time\n";  // in any order
  for (int64_t row = 0; row < data.size(); ++row) {
    const auto o = data.observation(row);
    csv += fmt::format("{},{},{},{},{},{}\n", o[1], o[3], o[0], o[2], data.action(row)[0],
                       0.04 * static_cast<double>(row));
  }
  const auto file = std::filesystem::path(::testing::TempDir()) / "base_log.csv";
  std::ofstream(file) << csv;
  TestRun test(Episodes(1, "fit_then_plan"), 1,
               {"fit_then_plan.base_episodes=0", "fit_then_plan.data=" + file.string()});
  const Dataset begun = test.learner->data();
  ASSERT_EQ(begun.size(), data.size() - 1);  // what follows the last row is not in the log
  for (int64_t row = 0; row < begun.size(); ++row) {
    EXPECT_TRUE(std::ranges::equal(begun.observation(row), data.observation(row)));
    EXPECT_TRUE(std::ranges::equal(begun.next_observation(row), data.next_observation(row)));
  }
  test.learner->Run();
  const Dataset& grown = test.learner->data();
  EXPECT_EQ(grown.episode(begun.size() - 1), 1);
  EXPECT_EQ(grown.episode(begun.size()), 2);  // its own episode is another one
}

TEST(WholePlans, ThreadsChangeNoBitAndRestoredStateContinues) {
  for (const std::string algorithm : {"fit_then_plan", "aggregate"}) {
    const std::vector<std::string> settings = {algorithm + ".execution=tracked"};
    TestRun whole(Episodes(4, algorithm), 1, settings);
    whole.learner->Run();
    TestRun threaded(Episodes(4, algorithm), 2, settings);
    threaded.learner->Run();
    EXPECT_EQ(whole.log.EpisodesCsv(), threaded.log.EpisodesCsv());
    TestRun first(Episodes(2, algorithm), 1, settings);
    first.learner->Run();
    TensorFile state;
    first.learner->Save(state);
    TestRun second(Episodes(4, algorithm), 1, settings);
    second.learner->Restore(state, first.learner->data());
    second.learner->Run();
    ASSERT_EQ(whole.log.episodes().size(), 4U);
    ASSERT_EQ(second.log.episodes().size(), 2U);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(second.log.episodes()[i].episode_return,
                whole.log.episodes()[i + 2].episode_return);
    }
  }
}

TEST(WholePlans, WrongInputIsTheUsersError) {
  const auto message = [](const std::vector<std::string>& settings,
                          const std::string& model = "") -> std::string {
    RunOptions run = Episodes(2, "aggregate");
    run.model = model;
    try {
      const TestRun test(run, 1, settings);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message({"aggregate.base_episodes=0"}).find("aggregate.data"), std::string::npos);
  EXPECT_NE(message({"aggregate.data=no_such.safetensors"}).find("no_such.safetensors"),
            std::string::npos);
  EXPECT_NE(message({"aggregate.data=some.csv"}, "folder")
                .find("aggregate.data: found 'some.csv' beside run.model = 'folder'"),
            std::string::npos);
  EXPECT_NE(message({"aggregate.execution=closed"}).find("open_loop"), std::string::npos);
}

}  // namespace
}  // namespace foreplan
