// A finished run that is made a longer one is the run that was as long from its beginning.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "apps/program_testing.h"

namespace foreplan::apps {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;

struct Loop {
  std::string name;
  int first = 0;  // episodes of the run that is prolonged
  int whole = 0;
  std::vector<std::string> more = {};  // arguments
};

class ProlongedRun : public ProgramTest, public testing::WithParamInterface<Loop> {
 protected:
  /// Of what may not depend on where it paused, the bytes by name.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> FilesOf(
      const std::string& run) const {
    std::vector<std::pair<std::string, std::string>> files;
    for (const std::string& file : Files()) {
      const std::string name = file.substr(file.find('/') + 1);
      const bool counts = name == "episodes.csv" || name == "config.toml" ||
                          name.starts_with("data/") || name.starts_with("model/") ||
                          name.starts_with("recordings/");
      if (file.starts_with(run + "/") && counts && fs::is_regular_file(work() / file)) {
        files.emplace_back(name, FileText(work() / file));
      }
    }
    return files;
  }
};

TEST_P(ProlongedRun, IsTheLongerRunToTheBit) {
  const auto run = [&](int episodes, const std::string& out) {
    return RunProgram(
        TinyRun(Concatenated(GetParam().more, {"--algorithm", GetParam().name, "--episodes",
                                               std::to_string(episodes), "--out", out})));
  };
  const ProgramResult whole = run(GetParam().whole, "whole");
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  ASSERT_EQ(run(GetParam().first, "run").exit_code, 0);
  const ProgramResult longer =
      RunProgram({"run", "--resume", "run", "--episodes", std::to_string(GetParam().whole)});
  ASSERT_EQ(longer.exit_code, 0) << longer.err;
  const auto files = FilesOf("run");
  const auto expected = FilesOf("whole");
  ASSERT_EQ(files.size(), expected.size());
  EXPECT_GE(files.size(), 4U);
  for (size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(files[i].first, expected[i].first);
    EXPECT_EQ(files[i].second, expected[i].second) << files[i].first;
  }
  // What it is now is what it goes on as.
  EXPECT_EQ(RunProgram({"run", "--resume", "run"}).exit_code, 0);
  EXPECT_EQ(FilesOf("run"), expected);
}

INSTANTIATE_TEST_SUITE_P(
    Loops, ProlongedRun,
    testing::Values(Loop{"mpc", 2, 4}, Loop{"mpc", 1, 3, {"--set", "mpc.refit_every=0"}},
                    Loop{"aggregate", 2, 3}, Loop{"fit_then_plan", 2, 3},
                    Loop{"policy_backprop", 2, 4, {"--set", "policy_backprop.training.steps=5"}},
                    Loop{"local_models", 8, 16, {"--set", "local_models.rollouts=4", "--record"}},
                    Loop{"sac", 3, 4, {"--set", "actor_critic.base_steps=30"}}),
    [](const auto& test) { return test.param.name + std::to_string(test.index); });

class BoundsOfARun : public ProgramTest {
 protected:
  [[nodiscard]] ProgramResult Resume(const std::vector<std::string>& more) const {
    return RunProgram(Concatenated({"run", "--resume", "run"}, more));
  }
};

TEST_F(BoundsOfARun, BelowWhatIsDoneAreRefusedAndNothingChanges) {
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "3", "--out", "run"})).exit_code, 0);
  const std::string config = FileText(work() / "run/config.toml");
  const ProgramResult fewer = Resume({"--episodes", "2"});
  EXPECT_EQ(fewer.exit_code, 2);
  EXPECT_THAT(fewer.err, HasSubstr("run: run.episodes: found 2, expected at least the 3 that are "
                                   "done"));
  const ProgramResult shorter = Resume({"--steps", "89"});
  EXPECT_EQ(shorter.exit_code, 2);
  EXPECT_THAT(shorter.err,
              HasSubstr("run.steps: found 89, expected at least the 90 that are done"));
  EXPECT_EQ(FileText(work() / "run/config.toml"), config);
}

TEST_F(BoundsOfARun, MayBeStepsInThePlaceOfEpisodes) {
  ASSERT_EQ(RunProgram(TinyRun({"--steps", "75", "--out", "whole"})).exit_code, 0);
  ASSERT_EQ(RunProgram(TinyRun({"--episodes", "2", "--out", "run"})).exit_code, 0);
  const ProgramResult longer = Resume({"--steps", "75"});
  ASSERT_EQ(longer.exit_code, 0) << longer.err;
  EXPECT_EQ(FileText(work() / "run/episodes.csv"), FileText(work() / "whole/episodes.csv"));
  EXPECT_EQ(FileText(work() / "run/config.toml"), FileText(work() / "whole/config.toml"));
}

// The longer run would have gone on within that episode.
TEST_F(BoundsOfARun, CannotBeMovedBehindAnEpisodeThatTheyCutOff) {
  ASSERT_EQ(RunProgram(TinyRun({"--steps", "50", "--out", "run"})).exit_code, 0);
  const ProgramResult longer = Resume({"--steps", "90"});
  EXPECT_EQ(longer.exit_code, 2);
  EXPECT_THAT(longer.err, HasSubstr("run: its last episode was cut off by run.steps = 50"));
}

// It was trained on fewer transitions than it waits for, as there were no more to come.
TEST_F(BoundsOfARun, CannotBeMovedBehindATrainingThatTheyBrought) {
  const auto run = [&](const char* episodes) {
    return RunProgram(TinyRun(
        {"--algorithm", "policy_backprop", "--set", "policy_backprop.training.steps=3", "--set",
         "policy_backprop.train_every=60", "--episodes", episodes, "--out", "run"}));
  };
  ASSERT_EQ(run("3").exit_code, 0);
  const ProgramResult longer = Resume({"--episodes", "4"});
  EXPECT_EQ(longer.exit_code, 2);
  EXPECT_THAT(longer.err, HasSubstr("policy_backprop.train_every = 60"));
  fs::remove_all(work() / "run");
  ASSERT_EQ(run("2").exit_code, 0);  // the training was due
  const ProgramResult due = Resume({"--episodes", "3"});
  EXPECT_EQ(due.exit_code, 0) << due.err;
}

}  // namespace
}  // namespace foreplan::apps
