// Recorded episodes played again on the system that they are of, and what is found when they are
// not.
#include "foreplan/experiments/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "foreplan/core/random.h"

namespace foreplan {
namespace {

constexpr int kSteps = 12;

Task Pendulum() { return Task::Load("pendulum").first; }

/// One episode of random torques.
StateRecording Recorded(const Task& task) {
  const auto system = task.MakeSystem();
  Random random(Key{3, 3});
  RecordedEpisode episode;
  std::vector<double> state(system->spec().state.size());
  std::vector<double> observation(task.spec().observation.size());
  std::vector<double> next(observation.size());
  const auto append = [](std::vector<double>& all, const std::vector<double>& row) {
    all.insert(all.end(), row.begin(), row.end());
  };
  const auto see = [&](std::vector<double>& observed) {
    system->GetState(state);
    system->Observe(observed);
    append(episode.states, state);
    append(episode.observations, observed);
  };
  system->Reset(Key{1, 0});
  see(observation);
  for (int step = 0; step < kSteps; ++step) {
    const std::vector<double> action = {
        random.Uniform(task.spec().action_low[0], task.spec().action_high[0])};
    EXPECT_EQ(system->Step(action), StepStatus::kOk);
    see(next);
    double reward = 0;
    uint8_t terminated = 0;
    task.reward().Evaluate({1, observation.data(), action.data(), next.data()}, &reward,
                           &terminated);
    append(episode.actions, action);
    episode.rewards.push_back(reward);
    episode.ends.push_back(step + 1 == kSteps ? StepEnd::kTruncated : StepEnd::kContinues);
    observation = next;
  }
  return {{episode}, {}};
}

TEST(Replay, FindsNothingWhereTheSystemIsTheSame) {
  const Task task = Pendulum();
  for (const ReplayMode mode : {ReplayMode::kOneStep, ReplayMode::kFreeRunning}) {
    const ReplayErrors errors = Replay(task, Recorded(task), mode);
    EXPECT_EQ(errors.steps, kSteps);
    EXPECT_THAT(errors.state, testing::Each(0));
    EXPECT_THAT(errors.observation, testing::Each(0));
    EXPECT_EQ(errors.reward, 0);
    EXPECT_EQ(errors.wrong_ends, 0);
    EXPECT_EQ(errors.diverged, 0);
  }
}

TEST(Replay, OneStepFromEveryStateAndFreeRunningDiffer) {
  const Task task = Pendulum();
  StateRecording recording = Recorded(task);
  const size_t ns = task.MakeSystem()->spec().state.size();
  recording.episodes[0].states[5 * ns] += 0.1;  // one row is off, in one component
  const ReplayErrors free_running = Replay(task, recording, ReplayMode::kFreeRunning);
  EXPECT_NEAR(free_running.state[0], 0.1, 1e-12);
  EXPECT_EQ(free_running.state[1], 0);
  const ReplayErrors one_step = Replay(task, recording, ReplayMode::kOneStep);
  EXPECT_GE(one_step.state[0], 0.1 - 1e-12);
  EXPECT_GT(one_step.state[1], 1e-4);  // and leads elsewhere
}

TEST(Replay, WrongEndsAreCounted) {
  const Task task = Pendulum();
  StateRecording recording = Recorded(task);
  recording.episodes[0].ends[3] = StepEnd::kTerminated;
  recording.episodes[0].ends[7] = StepEnd::kTerminated;
  EXPECT_EQ(Replay(task, recording, ReplayMode::kOneStep).wrong_ends, 2);
  recording.episodes[0].ends.clear();
  EXPECT_FALSE(Replay(task, recording, ReplayMode::kOneStep).wrong_ends.has_value());
}

TEST(Replay, WhatIsNotRecordedIsNotCompared) {
  const Task task = Pendulum();
  StateRecording recording = Recorded(task);
  const double nothing = ReplayErrors::kNotRecorded;
  for (double& value : recording.episodes[0].observations) value = nothing;
  for (double& value : recording.episodes[0].rewards) value = nothing;
  recording.episodes[0].rewards[2] = 1e6;
  const ReplayErrors errors = Replay(task, recording, ReplayMode::kOneStep);
  EXPECT_THAT(errors.state, testing::Each(0));
  for (const double error : errors.observation) EXPECT_TRUE(std::isnan(error));
  EXPECT_GT(errors.reward, 9e5);
}

}  // namespace
}  // namespace foreplan
