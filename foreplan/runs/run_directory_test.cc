#include "foreplan/runs/run_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

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
  const RunDirectory directory = RunDirectory::Create(root_ / "deep" / "run");
  EXPECT_TRUE(fs::is_directory(directory.data_file().parent_path()));
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

TEST_F(RunDirectoryTest, OpensOnlyWhatCanBeResumed) {
  EXPECT_THROW(RunDirectory::Open(root_ / "absent"), InputError);
  const RunDirectory made = RunDirectory::Create(root_ / "run");
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
