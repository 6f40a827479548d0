// Learners made of plain structs, without a configuration.
#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/learners/aggregate.h"
#include "foreplan/learners/fit_then_plan.h"
#include "foreplan/learners/mpc.h"
#include "foreplan/learners/policy_backprop.h"
#include "foreplan/learners/testing/test_run.h"
#include "foreplan/models/ensembles/ensemble_model.h"
#include "foreplan/planners/icem.h"

namespace foreplan {
namespace {

constexpr int kSeed = 3;

RunOptions TwoEpisodes(const std::string& algorithm) {
  RunOptions run = Episodes(2, algorithm);
  run.seed = kSeed;
  return run;
}

/// What kTinyRun and the task's file say, written down; the first stream of the seed is the
/// model's.
ModelLearnerParts TinyParts(const LearnerContext& context, int horizon = 4) {
  EnsembleOptions model;
  model.members = 2;
  model.width = 8;
  FitOptions fit;
  fit.min_steps = fit.max_steps = 5;
  const Key key = Key{static_cast<uint64_t>(context.run.seed), 0}.Fold(0);
  ModelLearnerParts parts;
  parts.model = std::make_shared<EnsembleModel>(context.task.spec(), context.task.encoding(), model,
                                                fit, key, context.executor);
  IcemOptions icem;
  icem.population = 20;
  icem.horizon = horizon;
  icem.elites = 4;
  icem.execute = IcemExecute::kBest;
  parts.planner = std::make_shared<Icem>(icem, ProblemOf(context, *parts.model));
  return parts;
}

std::vector<double> Returns(Learner& learner, const LearnerContext& context) {
  RunLog log;
  learner.AddObserver(
      std::make_shared<LogObserver>(log, context.run, context.task.episode_length()));
  learner.Run();
  std::vector<double> returns;
  for (const EpisodeRow& row : log.episodes()) returns.push_back(row.episode_return);
  return returns;
}

std::vector<double> FromConfiguration(const std::string& algorithm) {
  TestRun test(TwoEpisodes(algorithm), 1,
               {"policy_backprop.policy.width=8", "policy_backprop.training.steps=3",
                "policy_backprop.training.starts=2"});
  test.learner->Run();
  std::vector<double> returns;
  for (const EpisodeRow& row : test.log.episodes()) returns.push_back(row.episode_return);
  return returns;
}

LearnerContext Context(const std::string& algorithm) {
  return {.task = Task::Load("cartpole_closed_form", kTinyRun).first,
          .run = TwoEpisodes(algorithm)};
}

TEST(PlainOptions, ARunThatCannotBeIsRefused) {
  LearnerContext context = Context("mpc");
  context.run.episodes = -3;
  const std::string expected = "run.episodes: found -3, expected an integer in [0, 1000000000]";
  EXPECT_EQ(MessageOf([&] { MpcLearner(context, {}, TinyParts(context)); }), expected);
  Config config;
  EXPECT_EQ(MessageOf([&] { MakeLearner("local_models", config, context); }), expected);
}

TEST(PlainOptions, MakeTheSameLearnersAsAConfiguration) {
  {
    const LearnerContext context = Context("mpc");
    MpcOptions options;
    options.refit_every = 10;
    MpcLearner learner(context, options, TinyParts(context));
    EXPECT_EQ(Returns(learner, context), FromConfiguration("mpc"));
  }
  {
    const LearnerContext context = Context("aggregate");
    AggregateLearner learner(context, {}, TinyParts(context));
    EXPECT_EQ(Returns(learner, context), FromConfiguration("aggregate"));
  }
  {
    const LearnerContext context = Context("fit_then_plan");
    FitThenPlanLearner learner(context, {}, TinyParts(context));
    EXPECT_EQ(Returns(learner, context), FromConfiguration("fit_then_plan"));
  }
  {
    const LearnerContext context = Context("policy_backprop");
    BackpropPolicyOptions policy;
    policy.width = 8;
    PolicyGradientOptions training;
    training.steps = 3;
    training.starts = 2;
    ModelLearnerParts parts = TinyParts(context);
    parts.planner = nullptr;
    PolicyBackpropLearner learner(context, {}, policy, training, std::move(parts));
    EXPECT_EQ(Returns(learner, context), FromConfiguration("policy_backprop"));
  }
}

TEST(PlainOptions, WhatIsMissingOrDoesNotFitIsNamed) {
  const LearnerContext context = Context("mpc");
  EXPECT_EQ(MessageOf([&] { MpcLearner(context, {}, {}); }),
            "learner: found no model, expected one of the task");
  ModelLearnerParts parts = TinyParts(context);
  parts.planner = nullptr;
  EXPECT_EQ(MessageOf([&] { MpcLearner(context, {}, parts); }),
            "learner: found no planner, expected one");
  LearnerContext other = context;
  other.task = Task::Load("pendulum").first;
  EXPECT_EQ(MessageOf([&] { MpcLearner(other, {}, TinyParts(context)); }),
            "learner: found a model of 4 observed numbers and 1 actions, expected 3 and 1 as task "
            "pendulum has");
  WholePlanOptions at_once;
  at_once.search = PlanSearch::kAtOnce;
  EXPECT_EQ(MessageOf([&] { AggregateLearner(context, at_once, TinyParts(context)); }),
            "learner: found a planner of 4 steps, expected one of 25, the whole plan that it "
            "searches at once");
}

}  // namespace
}  // namespace foreplan
