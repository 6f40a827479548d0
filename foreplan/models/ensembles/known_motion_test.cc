// Components whose motion is known are never learned: an ensemble moves them exactly.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/core/executor.h"
#include "foreplan/models/ensembles/ensemble_model.h"
#include "foreplan/models/ensembles/testing/toy_ensemble.h"
#include "foreplan/models/learned_model.h"
#include "foreplan/models/rollout_tape.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

using Numbers = std::vector<double>;

constexpr size_t kFirst = 4;  // of what the task adds: time, filtered action, action before
constexpr double kDt = 2 * 0.04;

Task TimedTask() {
  Config config = Config::FromString(
      "name = 't'\nepisode_length = 20\nreward = 'time * previous.u[0]'\naction_repeat = 2\n"
      "action_filter = 0.1\n[system]\ntype = 'cartpole'\n[encoding]\nsin_cos = ['hinge']",
      "t.toml");
  return Task::FromConfig(config, ".");
}

/// Rows of episodes under random actions.
Dataset DataOf(const Task& task) {
  Dataset data(task.spec().observation_dim(), task.spec().action_dim());
  const auto system = task.MakeSystem();
  Random random(Key{3, 3});
  Numbers observation(task.spec().observation.size());
  Numbers next = observation;
  for (int episode = 0; episode < 4; ++episode) {
    system->Reset(Key{1, static_cast<uint64_t>(episode)});
    system->Observe(observation);
    for (int step = 0; step < 20; ++step) {
      const Numbers action{random.Uniform(-3, 3)};
      EXPECT_EQ(system->Step(action).status, StepStatus::kOk);
      system->Observe(next);
      data.Add(observation, action, next, episode);
      observation = next;
    }
  }
  return data;
}

EnsembleOptions Options(Propagation propagation) {
  EnsembleOptions options = testing::SmallOptions();
  options.members = 2;
  options.propagation = propagation;
  return options;
}

std::unique_ptr<EnsembleModel> Fitted(const Task& task, Propagation propagation) {
  auto model = std::make_unique<EnsembleModel>(task.spec(), task.encoding(), Options(propagation),
                                               testing::QuickFit(50), Key{1, 1},
                                               std::make_shared<SerialExecutor>());
  model->Fit(DataOf(task), Key{2, 2});
  return model;
}

TEST(KnownMotion, IsThatOfTheTaskAtEveryStepOfARolloutHoweverItIsSampled) {
  const Task task = TimedTask();
  for (const Propagation propagation :
       {Propagation::kTsInf, Propagation::kTs1, Propagation::kExpectation}) {
    const auto fitted = Fitted(task, propagation);
    const std::shared_ptr<const Dynamics> model = fitted->snapshot();
    const auto workspace = model->MakeWorkspace(1);
    const auto system = task.MakeSystem();
    system->Reset(Key{5, 5});
    EXPECT_EQ(system->Step(Numbers{1.5}).status, StepStatus::kOk);
    Numbers state(task.spec().observation.size());
    Numbers truth = state;
    system->Observe(state);
    for (int step = 0; step < 6; ++step) {
      const Numbers action{0.5 * step - 1};
      Numbers next(state.size());
      model->Step({.rows = 1,
                   .state = state.data(),
                   .action = action.data(),
                   .next_state = next.data(),
                   .time = step,
                   .key = Key{7, 7}},
                  *workspace);
      ASSERT_EQ(system->Step(action).status, StepStatus::kOk);
      system->Observe(truth);
      for (size_t i = kFirst; i < truth.size(); ++i) {
        EXPECT_NEAR(next[i], truth[i], 1e-14) << i << " at " << step;
      }
      EXPECT_EQ(next[kFirst + 2], action[0]);
      state = next;
    }
    EXPECT_NEAR(state[kFirst], 7 * kDt, 1e-14);
  }
}

TEST(KnownMotion, IsNeitherAnInputNorAnErrorUnlessItActs) {
  const Task task = TimedTask();
  const auto fitted = Fitted(task, Propagation::kTsInf);
  for (size_t i = kFirst; i < task.spec().observation.size(); ++i) {
    EXPECT_EQ(fitted->scale()[i], 0);
  }
  const FeatureMap features(task.spec(), task.encoding());
  EXPECT_EQ(features.inputs(), 5 + 1 + 1);  // the cart-pole, what acts, the decision
  const Numbers observation(7, 0.5);
  const Numbers next(7, 9.0);
  Numbers target(7);
  features.Target(observation.data(), next.data(), target.data());
  for (size_t i = kFirst; i < 7; ++i) EXPECT_EQ(target[i], 0);
}

TEST(KnownMotion, HasItsDerivativesInModelsAndTapes) {
  const Task task = TimedTask();
  const auto fitted = Fitted(task, Propagation::kExpectation);
  const std::shared_ptr<const Dynamics> model = fitted->snapshot();
  const Numbers state{0.1, 0.4, -0.2, 0.3, 0.4, 0.6, -0.5};
  const Numbers action{0.7};
  EXPECT_LT(CheckDerivatives(*model, state, action, 1e-3), 1e-3);  // networks are of floats
  Numbers A(49), B(7);
  const auto workspace = model->MakeDerivativeWorkspace(1);
  model->Linearize({1, state.data(), action.data(), A.data(), B.data()}, *workspace);
  const auto& known = task.encoding().known;
  for (size_t i = kFirst; i < 7; ++i) {
    for (size_t j = 0; j < 7; ++j) {
      EXPECT_EQ(A[i * 7 + j], i == j ? known[i - kFirst].keep : 0) << i << ", " << j;
    }
    EXPECT_EQ(B[i], known[i - kFirst].gain);
  }
  // Back through a tape: the rows of A and B.
  const auto tape = model->MakeTape(1, 1);
  Numbers next(7);
  tape->Step({.rows = 1,
              .state = state.data(),
              .action = action.data(),
              .next_state = next.data(),
              .key = {}});
  for (size_t i = 0; i < 7; ++i) {
    Numbers by_next(7), none(7), by_state(7), by_action(1);
    by_next[i] = 1;
    tape->PullBack(0, by_next.data(), none.data(), by_state.data(), by_action.data());
    for (size_t j = 0; j < 7; ++j) EXPECT_NEAR(by_state[j], A[i * 7 + j], 1e-5) << i << ", " << j;
    EXPECT_NEAR(by_action[0], B[i], 1e-5) << i;
  }
}

TEST(KnownMotion, IsRefusedByPhysics) {
  const Task task = TimedTask();
  Config config = Config::FromString(
      "[model]\nkind = 'physics'\n[model.physics]\nunknowns = ['cart_mass = 1 in [0.1, 10]']", "t");
  try {
    (void)MakeLearnedModel(task, config, Key{1, 1}, std::make_shared<SerialExecutor>());
    FAIL() << "no error";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("found physics in a task that adds 'episode_time'"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace foreplan
