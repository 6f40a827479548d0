#include "foreplan/experiments/comparison/run_folders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "foreplan/core/testing/message_of.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class RunFoldersTest : public testing::Test {
 protected:
  RunFoldersTest() : folder_(fs::path(testing::TempDir()) / "run_folders") {
    fs::remove_all(folder_);
    for (const char* run : {"b_icem", "a_icem", "mppi", "c*"}) {
      fs::create_directories(folder_ / run / "checkpoint");
      std::ofstream(folder_ / run / "checkpoint" / "state.safetensors") << "not looked at";
      std::ofstream(folder_ / run / "config.toml") << "name = \"arm\"\n";
    }
    fs::create_directories(folder_ / "notes_of_icem");
    std::ofstream(folder_ / "icem.txt") << "a file";
  }
  ~RunFoldersTest() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string Name(const std::string& name) const { return folder_ / name; }

  /// Of the runs found, without the folder.
  [[nodiscard]] std::vector<std::string> Runs(const std::vector<std::string>& names) const {
    std::vector<std::string> found;
    for (const fs::path& run : Find(names).runs) {
      found.push_back(run.lexically_relative(folder_).string());
    }
    return found;
  }

  [[nodiscard]] RunFolders Find(const std::vector<std::string>& names) const {
    std::vector<std::string> paths;
    for (const std::string& name : names) paths.push_back(Name(name));
    return FindRunFolders(paths);
  }

  fs::path folder_;
};

TEST_F(RunFoldersTest, PatternsGiveTheirRunsSortedAndOnce) {
  EXPECT_THAT(Runs({"*icem*"}), ElementsAre("a_icem", "b_icem"));
  EXPECT_THAT(Runs({"mppi", "?_icem", "*"}), ElementsAre("mppi", "a_icem", "b_icem", "c*"));
  EXPECT_THAT(Runs({"[b]_icem", "b_icem"}), ElementsAre("b_icem"));
  EXPECT_THAT(Runs({"mppi/../mppi", "mppi"}), SizeIs(1));
  fs::create_directory_symlink(folder_ / "mppi", folder_ / "link");
  EXPECT_THAT(Runs({"mppi", "link"}), ElementsAre("mppi"));
}

TEST_F(RunFoldersTest, WhatIsNoRunIsNamedWhereAPatternFoundIt) {
  EXPECT_THAT(Find({"*icem*"}).skipped, ElementsAre(Name("icem.txt"), Name("notes_of_icem")));
  EXPECT_THAT(Find({"mppi"}).skipped, IsEmpty());
  // A name is taken at its word: reading it will say what is missing.
  EXPECT_THAT(Runs({"notes_of_icem"}), ElementsAre("notes_of_icem"));
}

TEST_F(RunFoldersTest, AFolderWithSuchANameIsNoPattern) {
  EXPECT_FALSE(IsPattern(Name("c*")));
  EXPECT_TRUE(IsPattern(Name("d*")));
  EXPECT_FALSE(IsPattern(Name("nothing")));
  EXPECT_THAT(Runs({"c*"}), ElementsAre("c*"));
}

TEST_F(RunFoldersTest, APatternWithoutARunIsAnError) {
  EXPECT_EQ(MessageOf([&] {
              static_cast<void>(Find({"mppi", "x*"}));
            }),
            "\"" + Name("x*") + "\": found nothing of that pattern, expected folders of runs");
  EXPECT_EQ(MessageOf([&] { static_cast<void>(Find({"notes*"})); }),
            "\"" + Name("notes*") +
                "\": found no run among what is there of that pattern, expected folders of runs");
}

}  // namespace
}  // namespace foreplan
