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
                          "of 9 s; consequences that come later are not seen: "
                          "planner.horizon_seconds says how far plans look ahead"));
  EXPECT_THAT(NotesOfStep("0.05"), IsEmpty());
  EXPECT_THAT(NotesOfStep("0.01", "[planner.icem]\nhorizon = 30\n"), IsEmpty());
  EXPECT_THAT(NotesOfStep("0.01", "[planner]\nhorizon_seconds = 0.3\n"), IsEmpty());
  EXPECT_THAT(NotesOfStep("0.01", "[planner.cem]\nhorizon = 90\n"), ::testing::SizeIs(1));
  EXPECT_THAT(NotesOfStep("0.01", "[run]\nalgorithm = \"policy_backprop\"\n"), IsEmpty());
}

TEST(Experiment, SaysThatADefaultHorizonIsShortBesideTheEpisode) {
  // 30 steps of 0.05 s are 1.5 s: 3 % of 900 steps, 1 % of 3000.
  const std::string file = ::testing::TempDir() + "/long.toml";
  std::ofstream(file) << "name = \"long\"\nreward = \"-square(u)\"\nepisode_length = 3000\n"
                         "[system]\ntype = \"pendulum\"\n";
  EXPECT_THAT(NotesOf(file, {}),
              ElementsAre(HasSubstr("30 steps by default, which is 1.5 s of an episode of 150 s")));
  EXPECT_THAT(NotesOf(file, {"planner.horizon_seconds=1.5"}), IsEmpty());
}

TEST(Experiment, LooksAsFarAheadAsSecondsOfTheTaskSay) {
  RunFlags flags;
  flags.assignments = {"planner.horizon_seconds=1", "system.timestep=0.02"};
  Experiment experiment = LoadExperiment("pendulum", flags);
  EXPECT_EQ(HorizonOf(experiment).steps, 50);
  EXPECT_DOUBLE_EQ(HorizonOf(experiment).seconds, 1);
  EXPECT_DOUBLE_EQ(HorizonOf(experiment).episode_seconds, 4);
  // As it was said: with another period it is as long.
  const std::string file = ::testing::TempDir() + "/of_seconds.toml";
  std::ofstream(file) << ConfigText(experiment, "");
  flags.assignments = {"system.timestep=0.05"};
  Experiment again = LoadExperiment(file, flags);
  EXPECT_EQ(HorizonOf(again).steps, 20);
}

TEST(Experiment, ADeadlineIsThatOfMpc) {
  RunFlags flags;
  flags.assignments = {"mpc.deadline_ms=9"};
  flags.deadline_ms = 3.5;
  Experiment experiment = LoadExperiment("pendulum", flags);
  EXPECT_THAT(ConfigText(experiment, ""), HasSubstr("deadline_ms = 3.5"));
}

}  // namespace
}  // namespace foreplan
