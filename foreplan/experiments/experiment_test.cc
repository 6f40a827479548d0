// What is said of a configuration in layers.
#include "foreplan/experiments/experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace foreplan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> NotesOf(const std::string& task,
                                 const std::vector<std::string>& assignments) {
  RunFlags flags;
  flags.assignments = assignments;
  return LoadExperiment(task, flags).notes;
}

TEST(Experiment, SaysThatAFilesPlanningRewardOutlivesAnotherReward) {
  const std::string file = ::testing::TempDir() + "/denser.toml";
  std::ofstream(file) << "name = \"denser\"\nreward = \"-square(u)\"\n"
                         "planning_reward = \"-square(u) - theta_dot\"\nepisode_length = 9\n"
                         "[system]\ntype = \"pendulum\"\n";
  EXPECT_THAT(NotesOf(file, {}), IsEmpty());
  EXPECT_THAT(NotesOf(file, {"reward=\"-abs(u)\""}),
              ElementsAre(HasSubstr("denser.toml:3:1: planning_reward: stays '-square(u) - "
                                    "theta_dot', though --set reward is another")));
  EXPECT_THAT(NotesOf(file, {"reward=\"-abs(u)\"", "planning_reward=\"\""}), IsEmpty());
  EXPECT_THAT(NotesOf(file, {"reward=\"-square(u) - theta_dot\""}), IsEmpty());
  EXPECT_THAT(NotesOf("pendulum", {"reward=\"-abs(u)\""}), IsEmpty());
}

/// Of a pendulum of that step [s] and 900 steps.
std::vector<std::string> NotesOfStep(const std::string& step, const std::string& more = "") {
  const std::string file = ::testing::TempDir() + "/of_step.toml";
  std::ofstream(file) << "name = \"of_step\"\nreward = \"-square(u)\"\nepisode_length = 900\n"
                      << "[system]\ntype = \"pendulum\"\ntimestep = " << step << "\n"
                      << more;
  return NotesOf(file, {});
}

TEST(Experiment, SaysThatADefaultHorizonIsShortInSeconds) {
  EXPECT_THAT(NotesOfStep("0.01"),
              ElementsAre("planner.icem.horizon: 30 steps by default, which is 0.3 s of an episode "
                          "of 9 s; consequences that come later are not seen"));
  EXPECT_THAT(NotesOfStep("0.05"), IsEmpty());
  EXPECT_THAT(NotesOfStep("0.01", "[planner.icem]\nhorizon = 30\n"), IsEmpty());
  EXPECT_THAT(NotesOfStep("0.01", "[planner.cem]\nhorizon = 90\n"), ::testing::SizeIs(1));
  EXPECT_THAT(NotesOfStep("0.01", "[run]\nalgorithm = \"policy_backprop\"\n"), IsEmpty());
}

}  // namespace
}  // namespace foreplan
