// What a saved task says: what was said of it, and nothing that only followed from that.
#include "foreplan/systems/task_text.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/systems/task.h"

namespace foreplan {
namespace {

Task FromText(const std::string& text, const std::vector<std::string>& assignments = {}) {
  Config config = Config::FromString(text, "test");
  for (const std::string& assignment : assignments) config.Set(assignment);
  return Task::FromConfig(config, ".");
}

std::string Saved(const Task& task) {
  ConfigWriter writer;
  task.Save(writer, ::testing::TempDir());
  return writer.text();
}

/// `more`: further keys of the task.
std::string Pendulum(const std::string& more) {
  return "name = \"mine\"\nreward = \"-square(u)\"\nepisode_length = 10\n" + more +
         "\n[system]\ntype = \"pendulum\"\n";
}

/// Of a torque of 2.
double PlannedReward(const Task& task) {
  const std::array<double, 3> upright = {1, 0, 0};
  const double torque = 2;
  double reward = 0;
  uint8_t terminated = 0;
  task.planning_reward().Evaluate({.rows = 1,
                                   .observation = upright.data(),
                                   .action = &torque,
                                   .next_observation = upright.data()},
                                  &reward, &terminated);
  return reward;
}

TEST(TaskText, ASavedTaskWithAnotherRewardIsPlannedForThatReward) {
  const std::string saved = Saved(FromText(Pendulum("")));
  EXPECT_EQ(PlannedReward(FromText(saved)), -4);
  EXPECT_EQ(PlannedReward(FromText(saved, {"reward=\"-abs(u)\""})), -2);
}

TEST(TaskText, ASavedPlanningRewardThatWasGivenStays) {
  const std::string saved = Saved(FromText(Pendulum("planning_reward = \"-3 * square(u)\"")));
  EXPECT_EQ(PlannedReward(FromText(saved)), -12);
  EXPECT_EQ(PlannedReward(FromText(saved, {"reward=\"-abs(u)\""})), -12);
  EXPECT_EQ(PlannedReward(FromText(saved, {"reward=\"-abs(u)\"", "planning_reward=\"\""})), -2);
}

TEST(TaskText, ASavedRewardOfTheEnvironmentIsLearnedUntilThereIsOneOfTheTask) {
  const Task task = FromText(Pendulum(""), {"reward=\"environment\""});
  EXPECT_TRUE(task.planning_reward_is_learned());
  EXPECT_TRUE(FromText(Saved(task)).planning_reward_is_learned());
  EXPECT_EQ(PlannedReward(FromText(Saved(task), {"reward=\"-abs(u)\""})), -2);
}

TEST(TaskText, APatternOfTheEncodingIsSavedAsAPattern) {
  const Task task = FromText(Pendulum("[encoding]\nomit = [\"theta_d*\"]\n"));
  ASSERT_EQ(task.encoding().omit.size(), 1U);
  EXPECT_NE(Saved(task).find("omit = [\"theta_d*\"]"), std::string::npos) << Saved(task);
  EXPECT_EQ(FromText(Saved(task)).encoding().omit, task.encoding().omit);
}

}  // namespace
}  // namespace foreplan
