// Which runs a grid makes, and that none is made twice.
#include "foreplan/experiments/comparison/run_grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "foreplan/core/testing/message_of.h"
#include "foreplan/data/files.h"
#include "foreplan/experiments/comparison/compared_runs.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(RunGrid, ValuesAreDividedAtCommasOutsideBracketsAndQuotes) {
  EXPECT_THAT(AssignmentsOf("model.width=64,200"),
              ElementsAre("model.width=64", "model.width=200"));
  EXPECT_THAT(AssignmentsOf("reward=-square(u),min(a, b)"),
              ElementsAre("reward=-square(u)", "reward=min(a, b)"));
  EXPECT_THAT(AssignmentsOf("encoding.omit=['a', 'b'],[]"),
              ElementsAre("encoding.omit=['a', 'b']", "encoding.omit=[]"));
  EXPECT_THAT(AssignmentsOf("name='a,b'"), ElementsAre("name='a,b'"));
  EXPECT_EQ(MessageOf([] { AssignmentsOf("model.width"); }),
            "--vary: found 'model.width', expected KEY=a,b");
  EXPECT_EQ(MessageOf([] { AssignmentsOf("model.width=64,"); }),
            "--vary: found an empty value in 'model.width=64,', expected KEY=a,b");
}

class RunGridOnDisk : public ::testing::Test {
 protected:
  RunGridOnDisk() {
    grid_.folder = fs::path(::testing::TempDir()) / "run_grid";
    fs::remove_all(grid_.folder);
    grid_.task = "pendulum";
    grid_.flags.episodes = 2;
    grid_.flags.assignments = {"episode_length=12", "model.width=8", "model.members=2",
                               "fit.min_steps=5", "fit.max_steps=5"};
    for (const char* planner : {"icem", "random_shooting"}) {
      grid_.flags.assignments.push_back("planner." + std::string(planner) + ".population=12");
      grid_.flags.assignments.push_back("planner." + std::string(planner) + ".horizon=3");
    }
    grid_.planners = {"icem", "random_shooting"};
    grid_.seeds = 2;
    ::testing::internal::CaptureStderr();
  }
  ~RunGridOnDisk() override {
    ::testing::internal::GetCapturedStderr();
    fs::remove_all(grid_.folder);
  }

  [[nodiscard]] std::vector<std::string> Run() const {
    std::vector<std::string> names;
    for (const fs::path& run : RunAll(grid_, {})) {
      names.push_back(run.lexically_relative(grid_.folder).string());
    }
    return names;
  }

  RunGrid grid_;
};

TEST_F(RunGridOnDisk, HasARunPerPlannerAndSeedAndDoesNoneAgain) {
  const std::vector<std::string> four = {"icem/seed-0", "icem/seed-1", "random_shooting/seed-0",
                                         "random_shooting/seed-1"};
  EXPECT_EQ(Run(), four);
  const auto first = ReadFile(grid_.folder / "icem/seed-1/episodes.csv");
  const auto written = fs::last_write_time(grid_.folder / "icem/seed-1/data");
  grid_.seeds = 3;
  EXPECT_EQ(Run().size(), 6U);
  EXPECT_EQ(ReadFile(grid_.folder / "icem/seed-1/episodes.csv"), first);
  EXPECT_EQ(fs::last_write_time(grid_.folder / "icem/seed-1/data"), written);
  // The seed reaches the runs, the planner is what differs.
  const auto runs = ReadComparedRuns(RunAll(grid_, {}));
  EXPECT_EQ(runs[1].seed, 1);
  EXPECT_EQ(runs[1].group, "icem");
  EXPECT_EQ(runs[3].group, "random_shooting");
  EXPECT_NE(ReadFile(grid_.folder / "icem/seed-0/episodes.csv"), first);
}

TEST_F(RunGridOnDisk, TimesEveryValueOfAVariedKey) {
  grid_.planners = {};
  grid_.varied = {"model.width=8,12", "mpc.refit_every=5,0"};
  grid_.seeds = 1;
  EXPECT_THAT(Run(), ElementsAre("model.width=8+mpc.refit_every=5/seed-0",
                                 "model.width=8+mpc.refit_every=0/seed-0",
                                 "model.width=12+mpc.refit_every=5/seed-0",
                                 "model.width=12+mpc.refit_every=0/seed-0"));
}

TEST_F(RunGridOnDisk, WhatCannotBeIsSaidBeforeTheFirstRun) {
  grid_.planners = {"icem", "icen"};
  EXPECT_THAT(MessageOf([&] { static_cast<void>(Run()); }), HasSubstr("did you mean 'icem'"));
  EXPECT_FALSE(fs::exists(grid_.folder));
  grid_.planners = {"icem"};
  grid_.seeds = 1;
  static_cast<void>(Run());
  grid_.flags.episodes = 3;
  EXPECT_THAT(MessageOf([&] { static_cast<void>(Run()); }), HasSubstr("use another --out"));
}

}  // namespace
}  // namespace foreplan
