#include "foreplan/runs/run_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>

#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/runs/tensorboard.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

class RunTablesTest : public testing::Test {
 protected:
  RunTablesTest() : directory_(RunDirectory::Create(Folder())) {}
  ~RunTablesTest() override { fs::remove_all(directory_.path()); }

  static fs::path Folder() {
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    return fs::path(testing::TempDir()) /
           (std::string("run_tables_") + test.name() + "_" + std::to_string(getpid()));
  }

  static void AddEpisode(int number, RunLog& log) {
    log.AddMetric(number, 10 * number, "fit.loss", 1.0 / number);
    log.AddEpisode({.episode = number,
                    .controller = "mpc",
                    .steps = 10,
                    .total_steps = 10 * number,
                    .episode_return = 0.1 * number,
                    .note = ""});
  }

  /// The CSV files hold what the log holds, and the event file as many bytes.
  void ExpectFilesOf(const RunLog& log) const {
    EXPECT_EQ(ReadFile(directory_.episodes_file()), log.EpisodesCsv());
    EXPECT_EQ(ReadFile(directory_.metrics_file()), log.MetricsCsv());
    EXPECT_EQ(ReadFile(directory_.events_file()).size(), TensorBoardEvents(log, 0).size());
  }

  RunDirectory directory_;
};

TEST_F(RunTablesTest, GrowByWhatIsNew) {
  RunLog log;
  RunTables tables;
  tables.Begin(directory_, log);
  ExpectFilesOf(log);
  for (int episode = 1; episode <= 3; ++episode) {
    AddEpisode(episode, log);
    tables.Append(directory_, log);
    ExpectFilesOf(log);
  }
  tables.Append(directory_, log);
  ExpectFilesOf(log);
}

// The cost of an episode does not grow with the table.
TEST_F(RunTablesTest, AppendTouchesNothingThatStandsThere) {
  RunLog log;
  RunTables tables;
  tables.Begin(directory_, log);
  AddEpisode(1, log);
  tables.Append(directory_, log);
  const std::string first = ReadFile(directory_.episodes_file());
  std::string changed = first;
  changed.back() = '#';
  WriteFileAtomically(directory_.episodes_file(), changed);
  AddEpisode(2, log);
  tables.Append(directory_, log);
  EXPECT_THAT(ReadFile(directory_.episodes_file()), testing::StartsWith(changed));
}

TEST_F(RunTablesTest, GoOnFromTheRowsOfACheckpoint) {
  RunLog log;
  RunTables tables;
  tables.Begin(directory_, log);
  AddEpisode(1, log);
  tables.Append(directory_, log);
  TensorFile checkpoint;
  tables.Save(checkpoint);
  const RunLog saved = log;
  const std::string events = ReadFile(directory_.events_file());
  AddEpisode(2, log);
  tables.Append(directory_, log);  // and then it was killed

  RunLog resumed;
  RunTables others;
  others.Resume(directory_, checkpoint, resumed);
  EXPECT_EQ(resumed.EpisodesCsv(), saved.EpisodesCsv());
  EXPECT_EQ(resumed.MetricsCsv(), saved.MetricsCsv());
  ExpectFilesOf(saved);
  EXPECT_EQ(ReadFile(directory_.events_file()), events) << "their times are when they happened";
  AddEpisode(2, resumed);
  others.Append(directory_, resumed);
  ExpectFilesOf(log);
}

TEST_F(RunTablesTest, EventsSayWhenTheyHappened) {
  const auto now = [] {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  };
  const double before = now();
  RunTables tables;
  tables.Begin(directory_, RunLog());
  const double after = now();
  double wall_time = 0;  // of the first record: 8 + 4 bytes of frame, the field's tag, the number
  const std::string events = ReadFile(directory_.events_file());
  ASSERT_GT(events.size(), 21U);
  std::memcpy(&wall_time, events.data() + 13, sizeof wall_time);
  EXPECT_GE(wall_time, before);
  EXPECT_LE(wall_time, after);
}

TEST_F(RunTablesTest, WritesEventsAnewWhereTheirFileIsGoneOrNoneOfThem) {
  RunLog log;
  RunTables tables;
  tables.Begin(directory_, log);
  AddEpisode(1, log);
  tables.Append(directory_, log);
  TensorFile checkpoint;
  tables.Save(checkpoint);
  const auto expect_events_after = [&](const auto& spoil) {
    spoil(directory_.events_file());
    RunLog resumed;
    RunTables others;
    others.Resume(directory_, checkpoint, resumed);
    ExpectFilesOf(log);
  };
  expect_events_after([](const fs::path& file) { fs::remove(file); });
  expect_events_after([](const fs::path& file) { WriteFileAtomically(file, "no events"); });
}

TEST_F(RunTablesTest, RefuseACheckpointWithoutMarksAndTablesThatWereChanged) {
  RunLog log;
  RunTables tables;
  tables.Begin(directory_, log);
  TensorFile checkpoint;
  checkpoint.source = "state";
  try {
    tables.Resume(directory_, checkpoint, log);
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "state: metadata 'episodes.csv' is missing, expected the checkpoint of a run");
  }
  tables.Save(checkpoint);
  WriteFileAtomically(directory_.metrics_file(), "episode\n");
  EXPECT_THROW(tables.Resume(directory_, checkpoint, log), InputError);
}

}  // namespace
}  // namespace foreplan
