// Runs whose process is killed, whose machine loses power, whose disk is full or fails, at every
// change of a file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "foreplan/data/files.h"
#include "foreplan/data/segments.h"
#include "foreplan/experiments/run_session.h"
#include "foreplan/experiments/testing/file_faults.h"
#include "foreplan/experiments/testing/scripted_runs.h"
#include "foreplan/learners/testing/scripted_learner.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

using testing::FileFaults;
using testing::kSteps;

/// The exit code of a process that does `work` with those faults.
template <typename Work>
int ExitCodeWith(const FileFaults& faults, Work work) {
  const pid_t child = fork();
  if (child == 0) {
    testing::SetFileFaults(faults);
    try {
      work();
    } catch (...) {
      _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class FaultyRuns : public testing::ScriptedRuns {
 protected:
  /// Runs that end at each of their changes of files in turn go on to what one has that did not;
  /// how many ends there were.
  [[nodiscard]] int EndAtEveryChange(FileFaults::Kind kind, int episodes) const {
    const std::map<std::string, std::string> whole = FilesOf(WholeRun("whole", episodes));
    for (int ends = 0;; ++ends) {
      const fs::path run = folder_ / "ended";
      const FileFaults faults{.kind = kind,
                              .at = ends,
                              .calls = 3,
                              .seed = static_cast<uint64_t>(ends),
                              .folder = folder_.string()};
      const int code = ExitCodeWith(faults, [&] {
        const auto session = Session(episodes);
        session->Create(run);
        session->Run();
      });
      if (code == 0) return ends;
      const bool is_killed = kind == FileFaults::Kind::kKill || kind == FileFaults::Kind::kPowerCut;
      EXPECT_EQ(code, is_killed ? testing::kKilledByFault : 1) << ends;
      const auto session = Session(episodes);
      EXPECT_NO_THROW(session->CreateOrResume(run)) << ends;
      session->Run();
      const bool equal = FilesOf(run) == whole;
      EXPECT_TRUE(equal) << "ended at change " << ends;
      EXPECT_FALSE(fs::exists(run.string() + ".incomplete")) << ends;
      if (!equal) return ends;
      fs::remove_all(run);
    }
  }
};

TEST_F(FaultyRuns, KilledAtAnyWriteItGoesOnAsIfItHadNeverStopped) {
  // Ten files with at least a write and a rename each, and three more checkpoints.
  EXPECT_GT(EndAtEveryChange(FileFaults::Kind::kKill, 3), 50);
}

// What was not flushed may be there, or half of it, or nothing.
TEST_F(FaultyRuns, WithoutPowerAtAnyWriteItGoesOnAsIfItHadNeverStopped) {
  EXPECT_GT(EndAtEveryChange(FileFaults::Kind::kPowerCut, 2), 50);
}

TEST_F(FaultyRuns, WithoutPowerWhileItRecordsItGoesOnWithWholeRecordings) {
  record_ = RecordedEpisodes::kAll;
  EXPECT_GT(EndAtEveryChange(FileFaults::Kind::kPowerCut, 2), 50);
}

TEST_F(FaultyRuns, WithADiskThatIsFullForAWhileItGoesOnAsIfItHadNeverStopped) {
  EXPECT_GT(EndAtEveryChange(FileFaults::Kind::kFull, 2), 50);
}

TEST_F(FaultyRuns, WithADiskThatFailsForAWhileItGoesOnAsIfItHadNeverStopped) {
  EXPECT_GT(EndAtEveryChange(FileFaults::Kind::kError, 2), 50);
}

TEST_F(FaultyRuns, KilledBetweenTheFilesOfAnEpisodeItGoesOnToo) {
  // The first episode fills a segment and begins another.
  first_rows_ = Dataset(4, 1).segment_rows() - 2;
  EXPECT_GT(EndAtEveryChange(FileFaults::Kind::kKill, 2), 50);
  for (const int64_t row : {int64_t{0}, first_rows_, first_rows_ + 2, first_rows_ + kSteps}) {
    EXPECT_TRUE(fs::is_regular_file(SegmentFile(folder_ / "whole" / "data", row))) << row;
  }
}

TEST_F(FaultyRuns, KilledWhileItRecordsItGoesOnWithWholeRecordings) {
  record_ = RecordedEpisodes::kAll;
  EXPECT_GT(EndAtEveryChange(FileFaults::Kind::kKill, 2), 50);
}

TEST_F(FaultyRuns, KilledAgainWhileItGoesOnItGoesOnAgain) {
  const std::map<std::string, std::string> whole = FilesOf(WholeRun("whole", 3));
  const fs::path run = folder_ / "run";
  int kills = 0;
  // Every process comes a little further than the one before.
  while (ExitCodeWith(
             {.kind = FileFaults::Kind::kKill, .at = 2 + kills, .folder = folder_.string()}, [&] {
               const auto session = Session(3);
               session->CreateOrResume(run);
               session->Run();
             }) != 0) {
    ASSERT_LT(++kills, 200);
  }
  EXPECT_GT(kills, 3);
  EXPECT_EQ(FilesOf(run), whole);
}

// The one before is as good a place to go on from: what comes after it is made again.
TEST_F(FaultyRuns, WithALastCheckpointThatDoesNotHoldItGoesOnFromTheOneBefore) {
  const std::map<std::string, std::string> whole = FilesOf(WholeRun("whole", 3));
  const auto spoil = [](const fs::path& file) {
    std::string bytes = ReadFile(file);
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    WriteFileAtomically(file, bytes);
  };
  const std::vector<std::function<void(const fs::path&)>> kinds = {
      [&](const fs::path& run) { spoil(run / "checkpoint/state.safetensors"); },
      [&](const fs::path& run) { fs::remove(run / "checkpoint/state.safetensors"); },
      // What the last episode added; the checkpoint before knows nothing of it.
      [&](const fs::path& run) { spoil(SegmentFile(run / "data", DataOf(run).size() - kSteps)); },
      [&](const fs::path& run) { spoil(run / "episodes.csv"); },
  };
  for (const auto& damage : kinds) {
    const fs::path run = WholeRun("run", 2);
    damage(run);
    const auto session = Session(3);
    session->Resume(run);
    EXPECT_THAT(session->notes(),
                ::testing::ElementsAre(::testing::EndsWith("the checkpoint before it")));
    EXPECT_EQ(ReadFile(run / "checkpoint/state.safetensors"),
              ReadFile(run / "checkpoint/previous.safetensors"));
    session->Run();
    EXPECT_EQ(FilesOf(run), whole);
    fs::remove_all(run);
  }
}

}  // namespace
}  // namespace foreplan
