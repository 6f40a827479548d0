#include "foreplan/runs/run_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <thread>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

class RunDirectoryTest : public testing::Test {
 protected:
  RunDirectoryTest() {
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) /
            (std::string("run_directory_") + test.name() + "_" + std::to_string(getpid()));
    fs::create_directories(root_);
  }
  ~RunDirectoryTest() override { fs::remove_all(root_); }

  fs::path root_;
};

TEST_F(RunDirectoryTest, CreatesTheFoldersOfARun) {
  RunDirectory directory = RunDirectory::Create(root_ / "deep" / "run");
  directory.Complete();
  EXPECT_EQ(directory.path(), root_ / "deep" / "run");
  EXPECT_TRUE(fs::is_directory(directory.data_folder()));
  EXPECT_TRUE(fs::is_directory(directory.model_file().parent_path()));
  EXPECT_TRUE(fs::is_directory(directory.checkpoint_file().parent_path()));
}

TEST_F(RunDirectoryTest, RefusesWhatExists) {
  std::ofstream(root_ / "file") << "x";
  fs::create_symlink(root_ / "nowhere", root_ / "link");
  for (const fs::path& path : {root_, root_ / "file", root_ / "link"}) {
    try {
      RunDirectory::Create(path);
      ADD_FAILURE() << "made " << path;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith(path.string() + ": exists already"));
    }
  }
}

TEST_F(RunDirectoryTest, WhatCannotBeLookedUpIsWrongInput) {
  // With ".incomplete" behind it the name is longer than names may be, 255 bytes.
  EXPECT_THROW((void)RunDirectory::Create(root_ / std::string(250, 'r')), InputError);
}

TEST_F(RunDirectoryTest, HasItsNameOnlyWhenItIsComplete) {
  {
    const RunDirectory killed = RunDirectory::Create(root_ / "run");
    std::ofstream(killed.config_file()) << "half";
    EXPECT_FALSE(fs::exists(root_ / "run"));
    EXPECT_EQ(killed.path(), root_ / "run.incomplete");
  }
  try {
    RunDirectory::Open(root_ / "run");
    ADD_FAILURE() << "opened what is not there";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("run.incomplete', which a program left"));
    EXPECT_THAT(error.what(), testing::HasSubstr("start it again"));
  }
  RunDirectory again = RunDirectory::Create(root_ / "run" / "");  // with a slash at the end
  EXPECT_FALSE(fs::exists(again.config_file())) << "what was left is removed";
  std::ofstream(again.config_file()) << "whole";
  again.Complete();
  EXPECT_EQ(again.path(), root_ / "run");
  EXPECT_TRUE(fs::is_regular_file(root_ / "run" / "config.toml"));
  EXPECT_FALSE(fs::exists(root_ / "run.incomplete"));
}

TEST_F(RunDirectoryTest, IsHeldByOneProcessAtATime) {
  const fs::path path = root_ / "run";
  auto held = std::make_unique<RunDirectory>(RunDirectory::Create(path));
  EXPECT_THROW(RunDirectory::Create(path), InputError) << "removed what another one is making";
  held->Complete();
  std::ofstream(held->config_file()) << "x";
  std::ofstream(held->checkpoint_file()) << "x";
  RunDirectory other = RunDirectory::Open(path);
  try {
    other.Lock();
    ADD_FAILURE() << "two processes would write into one run";
  } catch (const InputError& error) {
    EXPECT_EQ(error.what(), fmt::format("{}: another process {} is working in this folder",
                                        path.string(), getpid()));
  }
  held.reset();
  other.Lock();
  other.Lock();  // again, by who has it
}

TEST_F(RunDirectoryTest, IsNotKeptFromOthersByWhoAsksWhetherItIsInUse) {
  RunDirectory made = RunDirectory::Create(root_ / "run");
  made.Complete();
  EXPECT_TRUE(made.IsInUse()) << "by this process, as the next object sees it";
  const int folder = open(made.path().c_str(), O_RDONLY | O_DIRECTORY);
  made = RunDirectory::Create(root_ / "another");  // lets go of the first
  ASSERT_EQ(flock(folder, LOCK_SH), 0);            // as IsInUse does, but longer
  std::jthread asking([folder] {
    std::this_thread::sleep_for(std::chrono::milliseconds(15));
    close(folder);
  });
  std::ofstream(root_ / "run" / "config.toml") << "x";
  fs::create_directories(root_ / "run" / "checkpoint");
  std::ofstream(root_ / "run" / "checkpoint" / "state.safetensors") << "x";
  RunDirectory other = RunDirectory::Open(root_ / "run");
  EXPECT_NO_THROW(other.Lock());
}

TEST_F(RunDirectoryTest, OpensOnlyWhatCanBeResumed) {
  EXPECT_THROW(RunDirectory::Open(root_ / "absent"), InputError);
  RunDirectory made = RunDirectory::Create(root_ / "run");
  made.Complete();
  std::ofstream(made.config_file()) << "x";
  try {
    RunDirectory::Open(made.path());
    ADD_FAILURE() << "opened a run without checkpoint";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("'checkpoint/state.safetensors' is missing"));
  }
  std::ofstream(made.checkpoint_file()) << "x";
  EXPECT_EQ(RunDirectory::Open(made.path()).config_file(), made.config_file());
}

TEST_F(RunDirectoryTest, NamesAreFreshAndSayWhatRan) {
  const fs::path first = RunDirectory::FreshPath(root_, "pendulum", "mpc", 3);
  EXPECT_THAT(first.filename().string(), testing::MatchesRegex("pendulum-mpc-3-[0-9]+-[0-9]+"));
  // The clock may tick between two calls, so all names of the next seconds are taken here.
  for (int i = 0; i < 3; ++i) {
    const fs::path path = RunDirectory::FreshPath(root_, "pendulum", "mpc", 3);
    EXPECT_TRUE(fs::create_directory(path)) << path;
  }
}

}  // namespace
}  // namespace foreplan
