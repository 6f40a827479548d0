// Replays of MuJoCo tasks whose conditions look different.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "foreplan/data/gzip.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/experiments/animation.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

/// A step of the planar arm, begun in that condition.
EpisodeRecording OneStep(const Task& task, int condition) {
  const auto system = task.MakeSystem(condition);
  EpisodeRecording r;
  r.task = task.name();
  r.condition = condition;
  r.dt = system->spec().dt;
  r.observation = system->spec().observation;
  r.state = system->spec().state;
  r.action = system->spec().action;
  system->Reset(Key{1, 2});
  std::vector<double> state(r.state.size());
  std::vector<double> observation(r.observation.size());
  for (int t = 0; t < 2; ++t) {
    system->GetState(state);
    system->Observe(observation);
    r.states.insert(r.states.end(), state.begin(), state.end());
    r.observations.insert(r.observations.end(), observation.begin(), observation.end());
    static_cast<void>(system->Step(std::vector<double>(r.action.size(), 0.0)));
  }
  r.actions.assign(r.action.size(), 0.0);
  r.rewards = {0};
  r.ends = {StepEnd::kTruncated};
  return r;
}

/// Where the replay has the goal.
std::vector<double> Goal(const Task& task, int condition) {
  const Animation animation = MakeAnimation(OneStep(task, condition), task);
  const TensorFile file = ParseTensors(Gunzip(animation.bytes, 1 << 24, "animation"), "animation");
  const auto scene = nlohmann::json::parse(file.metadata.at("animation"))["scene"];
  for (const auto& body : scene["bodies"]) {
    if (body["name"] == "goal") return body["position"].get<std::vector<double>>();
  }
  ADD_FAILURE() << "no goal in " << scene;
  return {};
}

// The goal is the end of the arm's observation.
TEST(MujocoAnimation, IsOfTheConditionThatWasRecorded) {
  const Task task = Task::Load("planar_arm").first;
  ASSERT_EQ(task.condition_count(), 4);
  for (int condition = 0; condition < 4; ++condition) {
    const EpisodeRecording step = OneStep(task, condition);
    const auto x = std::ranges::find(step.observation, "goal_x", &Component::name);
    ASSERT_NE(x, step.observation.end());
    const auto at = static_cast<size_t>(x - step.observation.begin());
    const std::vector<double> goal = Goal(task, condition);
    EXPECT_NEAR(goal[0], step.observations[at], 1e-12);
    EXPECT_NEAR(goal[1], step.observations[at + 1], 1e-12);
  }
}

}  // namespace
}  // namespace foreplan
