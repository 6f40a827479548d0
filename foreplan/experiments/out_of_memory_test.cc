// Memory that ends at any allocation of what loads something or goes on with a run: an error, never
// a crash, and nothing is lost.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/data/files.h"
#include "foreplan/data/recording.h"
#include "foreplan/experiments/stored_model.h"
#include "foreplan/experiments/testing/allocation_faults.h"
#include "foreplan/experiments/testing/small_runs.h"
#include "foreplan/policies/stored_policy.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

using testing::QuietSession;
using testing::SmallExperiment;

enum ExitCode { kDone, kError };

/// What becomes of a process that does `work` when that allocation fails.
int ExitCodeWithout(int64_t allocation, const std::function<void()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    testing::SetAllocationFaults(allocation);
    int code = kDone;
    try {
      work();
    } catch (const std::exception&) {
      code = kError;
    }
    _exit(code);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

class OutOfMemory : public ::testing::TestWithParam<std::string> {
 protected:
  OutOfMemory() {
    folder_ = fs::path(::testing::TempDir()) / ("out_of_memory_" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void SetUp() override {
    if (!testing::HasAllocationFaults()) GTEST_SKIP() << "sanitizers have allocations of their own";
  }
  ~OutOfMemory() override { fs::remove_all(folder_); }

  /// A run of that many episodes.
  fs::path Run(const std::string& algorithm, int episodes) const {
    fs::path run = folder_ / (algorithm + std::to_string(episodes));
    const auto session = QuietSession(SmallExperiment(algorithm, episodes));
    session->Create(run);
    session->Run();
    return run;
  }

  /// So many allocations of `work` fail, spread over all, each in a process of its own. `prepare`
  /// comes before each.
  static void FailAt(
      int64_t points, const std::function<void()>& work,
      const std::function<void()>& prepare = [] {}) {
    prepare();
    testing::SetAllocationFaults(-1);
    work();
    const int64_t allocations = testing::Allocations();
    const int64_t stride = std::max<int64_t>(1, allocations / points);
    int64_t errors = 0;
    for (int64_t at = stride / 2; at < allocations; at += stride) {
      prepare();
      const int code = ExitCodeWithout(at, work);
      ASSERT_GE(code, 0) << "crashes without allocation " << at << " of " << allocations;
      errors += code == kError ? 1 : 0;
    }
    EXPECT_GT(errors, 0);
  }

  /// Of a loop that goes on for an episode.
  void GoesOn(const std::string& algorithm, int64_t points, bool to_the_end) const {
    const int episodes = algorithm == "local_models" ? 8 : 2;
    const fs::path stopped = Run(algorithm, episodes);
    const fs::path run = folder_ / "run";
    const auto copy = [&] {
      fs::remove_all(run);
      fs::copy(stopped, run, fs::copy_options::recursive);
    };
    const auto go_on = [&](bool runs) {
      const auto session = QuietSession(SmallExperiment(algorithm, episodes + 1));
      session->Resume(run);
      if (runs) session->Run();
    };
    FailAt(
        points, [&] { go_on(to_the_end); }, copy);
    // What the last of them left comes to the same.
    EXPECT_NO_THROW(go_on(true));
    const std::string found = ReadFile(run / "episodes.csv");
    copy();
    go_on(true);
    EXPECT_EQ(found, ReadFile(run / "episodes.csv"));
  }

  void Loads(int64_t points) const {
    const fs::path run = Run("dhmbpo", 3);
    const fs::path recording = *fs::directory_iterator(run / "recordings");
    const fs::path table = folder_ / "log.csv";
    WriteFileAtomically(table, "time,x [mm],v,u\n0,1,2,3\n0.1,2,3,4\n0.2,3,4,5\n0.3,4,5,6\n");
    const std::vector<std::function<void()>> works = {
        [] { (void)LoadExperiment(testing::kSmallTask, {}); },
        [&] { (void)OpenStoredModel(run); },
        [&] { (void)StoredPolicy::Open(run); },
        [&] { (void)ReadRecording(recording, {}); },
        [&] { (void)ReadRecording(table, {}); },
        [&] { (void)ReadStoredData(run); },
    };
    for (const auto& work : works) FailAt(points, work);
  }

  fs::path folder_;
};

TEST_F(OutOfMemory, LoadingAnythingEndsWithAnError) { Loads(30); }

TEST_P(OutOfMemory, ARunThatGoesOnEndsWithAnErrorAndGoesOn) { GoesOn(GetParam(), 40, true); }

INSTANTIATE_TEST_SUITE_P(Loops, OutOfMemory,
                         ::testing::Values("mpc", "policy_backprop", "local_models", "dhmbpo",
                                           "sac"),
                         [](const auto& test) { return test.param; });

/// FOREPLAN_ALLOCATIONS=all: every one, which takes a quarter of an hour.
int64_t ManyPoints() {
  const char* chosen = std::getenv("FOREPLAN_ALLOCATIONS");
  return chosen != nullptr && std::string_view(chosen) == "all"
             ? std::numeric_limits<int64_t>::max()
             : 1000;
}

using OutOfMemoryGate = OutOfMemory;

TEST_F(OutOfMemoryGate, LoadingAnythingEndsWithAnErrorAtMostAllocations) { Loads(ManyPoints()); }

TEST_F(OutOfMemoryGate, ResumingARunEndsWithAnErrorAtMostAllocations) {
  GoesOn("mpc", ManyPoints(), false);
}

}  // namespace
}  // namespace foreplan
