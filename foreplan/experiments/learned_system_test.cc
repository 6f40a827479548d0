// A learned model in the place of a system: where it begins, how it steps, what plans in it.
#include "foreplan/experiments/learned_system.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <memory>
#include <set>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

EnvironmentSpec Spec() {
  EnvironmentSpec spec;
  spec.dt = 0.1;
  spec.observation = {{"x", "m"}, {"v", "m/s"}};
  spec.action = {{"push", "N"}};
  spec.action_low = {-1};
  spec.action_high = {2};
  return spec;
}

/// Two episodes of three steps, which begin at x = 1 and x = 2.
Dataset Data() {
  Dataset data(2, 1);
  for (int episode = 1; episode <= 2; ++episode) {
    for (int step = 0; step < 3; ++step) {
      const double x = episode + 0.25 * step;
      const std::array<double, 2> here = {x, 0.5};
      const std::array<double, 2> next = {x + 0.25, 0.5};
      data.Add(here, std::array<double, 1>{0.0}, next, episode);
    }
  }
  return data;
}

/// Small networks with the weights they begin with, by way of their file.
StoredModel Stored(bool with_starts = true) {
  Config config =
      Config::FromString("[model]\nwidth = 8\nhidden_layers = 1\nmembers = 3\n", "test");
  const ModelSubject subject(Spec(), Encoding{});
  const auto model =
      MakeLearnedModel(subject, config, Key{2, 0}, std::make_shared<SerialExecutor>());
  TensorFile file;
  WriteSubject(subject, file);
  WriteModelSections(config, file);
  if (with_starts) WriteStarts(Data(), file);
  model->SavePredictor(file);
  const fs::path path =
      fs::path(testing::TempDir()) / fmt::format("learned_{}.safetensors", getpid());
  WriteTensors(path, file);
  StoredModel stored = OpenStoredModel(path);
  fs::remove(path);
  return stored;
}

LearnedSystem SystemOf(bool sample) {
  return {std::make_shared<const StoredModel>(Stored()), {.model = "", .sample = sample}};
}

std::vector<double> StateOf(const System& system) {
  std::vector<double> state(system.spec().state.size());
  system.GetState(state);
  return state;
}

/// Of a step from there.
std::vector<double> After(System& system, const std::vector<double>& state, double push) {
  system.SetState(state);
  EXPECT_EQ(system.Step(std::array<double, 1>{push}), StepStatus::kOk);
  return StateOf(system);
}

TEST(LearnedSystem, BeginsWhereTheDataBegan) {
  LearnedSystem system = SystemOf(false);
  std::set<double> starts;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    system.Reset(Key{seed, 0});
    const std::vector<double> state = StateOf(system);
    starts.insert(state[0]);
    EXPECT_EQ(state[1], 0.5);
    system.Reset(Key{seed, 0});
    EXPECT_EQ(StateOf(system), state);
  }
  EXPECT_EQ(starts, (std::set<double>{1, 2}));
}

TEST(LearnedSystem, StepsAreTheMeanOfItsMembers) {
  LearnedSystem system = SystemOf(false);
  const StoredModel stored = Stored();
  const std::vector<double> state = {1.5, 0.5};
  const auto workspace = stored.model->MakePredictionWorkspace(1);
  std::vector<double> mean(2);
  std::vector<double> deviation(2);
  std::vector<double> expected(2);
  const double push = 0.7;
  for (int member = 0; member < 3; ++member) {
    stored.model->Predict(member, 1, state.data(), &push, mean.data(), deviation.data(),
                          *workspace);
    for (size_t i = 0; i < 2; ++i) expected[i] += mean[i] / 3;
  }
  const std::vector<double> next = After(system, state, push);
  for (size_t i = 0; i < 2; ++i) EXPECT_NEAR(next[i], expected[i], 1e-6);  // networks are in float
}

TEST(LearnedSystem, ActionsStayWithinWhatWasTried) {
  LearnedSystem system = SystemOf(false);
  const std::vector<double> state = {1.5, 0.5};
  EXPECT_EQ(After(system, state, 7), After(system, state, 2));
  EXPECT_EQ(After(system, state, -7), After(system, state, -1));
  EXPECT_NE(After(system, state, 2), After(system, state, -1));
}

TEST(LearnedSystem, SampledStepsHaveTheSpreadThatTheModelSays) {
  LearnedSystem system = SystemOf(true);
  const StoredModel stored = Stored();
  const auto workspace = stored.model->MakePredictionWorkspace(1);
  std::vector<double> mean(2);
  std::vector<double> deviation(2);
  system.Reset(Key{5, 0});
  std::vector<double> state = StateOf(system);
  const std::vector<double> start = state;
  constexpr int kSteps = 1000;
  double sum = 0;
  double squares = 0;
  for (int step = 0; step < kSteps; ++step) {
    state[0] = start[0];  // the same place, the next draw
    state[1] = start[1];
    const double push = 0.3;
    stored.model->Predict(static_cast<int>(state[2]), 1, state.data(), &push, mean.data(),
                          deviation.data(), *workspace);
    const std::vector<double> next = After(system, state, push);
    EXPECT_EQ(next, After(system, state, push));  // a state goes on in one way
    for (size_t i = 0; i < 2; ++i) {
      const double z = (next[i] - mean[i]) / deviation[i];
      sum += z;
      squares += z * z;
    }
    EXPECT_EQ(next[2], start[2]);  // the member stays
    state = next;
  }
  // 2000 standard normals: five standard errors of mean and of variance.
  EXPECT_NEAR(sum / (2 * kSteps), 0, 5 / std::sqrt(2.0 * kSteps));
  EXPECT_NEAR(squares / (2 * kSteps), 1, 5 * std::sqrt(2 / (2.0 * kSteps)));
}

TEST(LearnedSystem, MembersAreDrawnAtTheStart) {
  LearnedSystem system = SystemOf(true);
  std::set<double> members;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    system.Reset(Key{seed, 0});
    members.insert(StateOf(system)[2]);
  }
  EXPECT_EQ(members, (std::set<double>{0, 1, 2}));
}

TEST(LearnedSystem, DerivativesAreThoseOfTheMeanAndStopAtTheBounds) {
  LearnedSystem system = SystemOf(false);
  const std::vector<double> state = {1.5, 0.5};
  std::array<double, 4> by_state = {};
  std::array<double, 2> by_action = {};
  const auto linearize = [&](double push) {
    system.Linearize(
        {.state = state.data(), .action = &push, .A = by_state.data(), .B = by_action.data()});
  };
  linearize(0.3);
  const double h = 1e-2;  // networks are in float
  for (size_t i = 0; i < 2; ++i) {
    const double slope =
        (After(system, state, 0.3 + h)[i] - After(system, state, 0.3 - h)[i]) / (2 * h);
    EXPECT_NEAR(by_action[i], slope, 1e-3);
    EXPECT_NE(by_action[i], 0);
  }
  linearize(2.5);
  EXPECT_THAT(by_action, testing::Each(0));
}

TEST(LearnedSystem, IsPlannedInByItsModel) {
  const LearnedSystem system = SystemOf(true);
  const std::shared_ptr<const Dynamics> dynamics = DynamicsOf(system);
  EXPECT_TRUE(dynamics->observation_is_state());
  EXPECT_EQ(dynamics->state_dim(), 2);
  EXPECT_EQ(system.spec().state_dim(), 4);
  const Task pendulum = Task::Load("pendulum").first;
  EXPECT_FALSE(DynamicsOf(*pendulum.MakeSystem())->observation_is_state());
  EXPECT_FALSE(IsImagined(pendulum));
}

TEST(LearnedSystem, NeedsStartsAndAPeriod) {
  EXPECT_THAT(
      MessageOf([] { LearnedSystem(std::make_shared<const StoredModel>(Stored(false)), {}); }),
      HasSubstr("found no tensor 'data.starts'"));
  StoredModel without = Stored();
  without.subject.spec.dt = 0;
  const auto shared = std::make_shared<const StoredModel>(std::move(without));
  EXPECT_THAT(MessageOf([&] { LearnedSystem(shared, {}); }), HasSubstr("expected system.dt"));
  EXPECT_EQ(LearnedSystem(shared, {.model = "", .sample = false, .dt = 0.2}).spec().dt, 0.2);
}

}  // namespace
}  // namespace foreplan
