#include "foreplan/models/model_error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "foreplan/core/thread_pool.h"
#include "foreplan/models/ensembles/ensemble_model.h"
#include "foreplan/models/ensembles/testing/known_members.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"

namespace foreplan {
namespace {

using testing::KnownMembers;

/// Rows from the origin to where the first component has changed by `changes`.
Dataset Changed(const std::vector<double>& changes) {
  Dataset data(2, 1);
  for (const double change : changes) {
    data.Add(std::vector<double>{0, 0}, std::vector<double>{0}, std::vector<double>{change, 0}, 1);
  }
  return data;
}

TEST(ModelJudge, ErrorsAreThoseOfTheMembersMeanInTheScaleOfChanges) {
  // The mean of 1 and 2 is off by 0.5 and -1.5 of changes 2 and 0: in units of 0.5, 1 and -3.
  const KnownMembers model({{{1, 0}, {1, 1}}, {{2, 0}, {1, 1}}}, {0.5, 0});
  const ModelError error = ModelJudge(model).Judge(Changed({2, 0}), 0, 2, 1);
  EXPECT_EQ(error.rows, 2);
  EXPECT_DOUBLE_EQ(error.one_step_rmse, std::sqrt((1.0 + 9.0) / 2));
  EXPECT_DOUBLE_EQ(error.component_rmse[0], error.one_step_rmse);
  EXPECT_EQ(error.component_rmse[1], 0);  // constant, and left out of everything
}

TEST(ModelJudge, EpistemicShareIsTheVarianceOfTheMembersMeansOverTheWhole) {
  // Means 1 and 3: variance 1 about their mean (all members are there, none is estimated).
  // Deviations 1 and sqrt(5): mean variance 3.
  const KnownMembers two({{{1, 0}, {1, 1}}, {{3, 0}, {std::sqrt(5.0), 1}}}, {1, 0});
  EXPECT_DOUBLE_EQ(ModelJudge(two).Judge(Changed({2}), 0, 1).epistemic_share, 1.0 / (1 + 3));
  const KnownMembers one({{{1, 0}, {1, 1}}}, {1, 0});
  EXPECT_EQ(ModelJudge(one).Judge(Changed({2}), 0, 1).epistemic_share, 0);
}

TEST(ModelJudge, MembersOnEitherSideOfHalfATurnAgree) {
  // Where an angle wraps they say 0.1 and -0.1 and a turn: a mean of 0, a variance of 0.1^2.
  Encoding encoding;
  encoding.sin_cos = {"angle"};
  EnvironmentSpec spec;
  spec.observation = {{"angle", "rad"}, {"rate", "rad/s"}};
  const KnownMembers model({{{0.1, 0}, {1, 1}}, {{2 * M_PI - 0.1, 0}, {1, 1}}}, {1, 0},
                           {spec, encoding});
  const ModelError error = ModelJudge(model).Judge(Changed({0}), 0, 1, 1);
  EXPECT_NEAR(error.one_step_rmse, 0, 1e-14);  // rounding of 2 pi
  EXPECT_NEAR(error.open_loop_rmse, 0, 1e-14);
  EXPECT_NEAR(error.epistemic_share, 0.01 / 1.01, 1e-12);
}

TEST(ModelJudge, WhatIsNoNumberShows) {
  const double nan = std::nan("");
  const KnownMembers model({{{1, 0}, {1, 1}}, {{nan, 0}, {1, 1}}}, {1, 0});
  const ModelError error = ModelJudge(model).Judge(Changed({1, 1}), 0, 2);
  EXPECT_TRUE(std::isnan(error.one_step_rmse));
  EXPECT_TRUE(std::isnan(error.epistemic_share));
  EXPECT_EQ(error.coverage_90, 0);
}

TEST(ModelJudge, CoverageIsThatOfTheCentralNinetyPercent) {
  // Errors in deviations; 90 % of a normal distribution lie within 1.645 of them, 95 % within 1.96.
  const KnownMembers model({{{0, 0}, {2, 1}}}, {1, 0});
  const Dataset data = Changed({0, 2 * 1.6, -2 * 1.64, 2 * 1.65, -2 * 1.9, 2 * 2.5});
  EXPECT_DOUBLE_EQ(ModelJudge(model).Judge(data, 0, 6).coverage_90, 3.0 / 6);
  // Of two members the deviation is that of the mixture: variance 4 + 2.25 = 2.5^2.
  const KnownMembers two({{{1.5, 0}, {2, 1}}, {{-1.5, 0}, {2, 1}}}, {1, 0});
  const Dataset wider = Changed({2.5 * 1.64, -2.5 * 1.65});
  EXPECT_DOUBLE_EQ(ModelJudge(two).Judge(wider, 0, 2).coverage_90, 1.0 / 2);
}

TEST(ModelJudge, OpenLoopFeedsTheMeanBack) {
  // Predicted: 1 a step; recorded: 1.5 a step. After four steps off by 2.
  const KnownMembers model({{{1, 0}, {1, 1}}}, {1, 0});
  Dataset data(2, 1);
  for (int row = 0; row < 8; ++row) {
    data.Add(std::vector<double>{1.5 * row, 0}, std::vector<double>{0},
             std::vector<double>{1.5 * (row + 1), 0}, 1);
  }
  const ModelError error = ModelJudge(model).Judge(data, 0, 8, 4);
  EXPECT_EQ(error.open_loop_runs, 2);
  EXPECT_DOUBLE_EQ(error.open_loop_rmse, 2);
}

TEST(ModelJudge, OpenLoopNeverGoesThroughAHoleOrIntoAnotherEpisode) {
  const KnownMembers model({{{1, 0}, {1, 1}}}, {1, 0});
  ModelJudge judge(model);
  // An episode that is predicted exactly, but for a row that is missing after the fifth.
  Dataset logged(2, 1);
  for (int row = 0; row < 11; ++row) {
    if (row == 5) continue;
    logged.Add(std::vector<double>{1.0 * row, 0}, std::vector<double>{0},
               std::vector<double>{row + 1.0, 0}, 1);
  }
  const ModelError across = judge.Judge(logged, 0, 10, 10);
  EXPECT_EQ(across.open_loop_runs, 0);
  const ModelError beside = judge.Judge(logged, 0, 10, 5);
  EXPECT_EQ(beside.open_loop_runs, 2);
  EXPECT_EQ(beside.open_loop_rmse, 0);
  EXPECT_EQ(judge.Judge(logged, 0, 10, 4).open_loop_runs, 1);  // 0-3; 4-7 has the hole

  Dataset episodes(2, 1);  // of 7 steps
  for (int row = 0; row < 21; ++row) {
    episodes.Add(std::vector<double>{1.0 * row, 0}, std::vector<double>{0},
                 std::vector<double>{row + 1.0, 0}, row / 7);
  }
  // Of 0-4, 5-9, 10-14 and 15-19 the first and the last do not cross an episode's end.
  EXPECT_EQ(judge.Judge(episodes, 0, 21, 5).open_loop_runs, 2);
}

TEST(ModelJudge, OneStepOfOpenLoopIsTheOneStepError) {
  const EnsembleModel model(testing::ToySpec(), testing::kToyEncoding, testing::SmallOptions(), {},
                            Key{1, 1}, std::make_shared<SerialExecutor>());
  const ModelError one = ModelJudge(model).Judge(testing::ToyData(60, 2), 0, 60, 1);
  EXPECT_EQ(one.open_loop_runs, 60);
  EXPECT_NEAR(one.open_loop_rmse, one.one_step_rmse, 1e-12);  // rounding
  double squares = 0;
  for (const double rmse : one.component_rmse) squares += rmse * rmse / 3;
  EXPECT_NEAR(std::sqrt(squares), one.one_step_rmse, 1e-12);
}

}  // namespace
}  // namespace foreplan
