#include "foreplan/runs/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "foreplan/core/crc32c.h"
#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/data/files.h"
#include "foreplan/data/segments.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest()
      : directory_(RunDirectory::Create(
            fs::path(testing::TempDir()) /
            (std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + "_" +
             std::to_string(getpid())))) {}
  ~CheckpointTest() override { fs::remove_all(directory_.path()); }

  /// Rows 0 ... 2 in one file and 3, 4 in another; the checkpoint counts `rows`.
  void Write(const std::string& rows) const {
    Dataset data(1, 1);
    for (int row = 0; row < 5; ++row) {
      const std::vector<double> value = {1.0 * row};
      data.Add(value, value, value, row);
      if (row == 2) WriteSegments(directory_.data_folder(), data, 0);
    }
    WriteSegments(directory_.data_folder(), data, 3);
    TensorFile file;
    file.metadata[kCheckpointRows] = rows;
    file.metadata["seconds"] = "1.5";
    WriteTensors(directory_.checkpoint_file(), file);
  }

  RunDirectory directory_;
};

TEST_F(CheckpointTest, ReadsTheRowsThatItCounts) {
  for (const int rows : {0, 3, 5}) {
    Write(std::to_string(rows));
    const Checkpoint read = ReadCheckpoint(directory_, 1, 1);
    const auto& [checkpoint, data, checksum, trouble] = read;
    ASSERT_EQ(data.size(), rows);
    EXPECT_EQ(checksum, RowsChecksum(data, 0));
    for (int row = 0; row < rows; ++row) EXPECT_EQ(data.observation(row)[0], row);
    EXPECT_EQ(CheckpointNumber(checkpoint, "seconds"), 1.5);
    EXPECT_EQ(CheckpointInteger(checkpoint, kCheckpointRows), rows);
  }
}

TEST_F(CheckpointTest, NamesWhatIsMissingOrNoNumber) {
  const auto message = [](const std::function<void()>& read) -> std::string {
    try {
      read();
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  };
  Write("3");
  fs::remove(SegmentFile(directory_.data_folder(), 0));
  EXPECT_THAT(message([&] { static_cast<void>(ReadCheckpoint(directory_, 1, 1)); }),
              testing::HasSubstr("transitions-000000000000.safetensors"));
  for (const char* rows : {"", "3 ", "-3", "2.5", "all"}) {
    Write(rows);
    EXPECT_THAT(message([&] { static_cast<void>(ReadCheckpoint(directory_, 1, 1)); }),
                testing::HasSubstr("state.safetensors: metadata 'data.rows': found '" +
                                   std::string(rows) + "', expected an integer of at least 0"));
  }
  TensorFile empty;
  empty.source = "state";
  EXPECT_EQ(message([&] { static_cast<void>(CheckpointNumber(empty, "seconds")); }),
            "state: metadata 'seconds' is missing, expected the checkpoint of a run");
}

// --- two generations

/// Changes a byte in the middle.
void Damage(const fs::path& file) {
  std::string bytes = ReadFile(file);
  bytes[bytes.size() / 2] ^= 0x10;
  WriteFileAtomically(file, bytes);
}

TEST_F(CheckpointTest, TheOneBeforeIsReadWhereTheLastDoesNotHold) {
  Write("3");
  TensorFile state = ReadTensors(directory_.checkpoint_file());
  state.metadata["number"] = "2";
  WriteCheckpoint(directory_, state);
  state.metadata["number"] = "3";
  WriteCheckpoint(directory_, state);
  EXPECT_EQ(ReadLastState(directory_).metadata.at("number"), "3");
  EXPECT_EQ(ReadCheckpoint(directory_, 1, 1).trouble, "");
  Damage(directory_.checkpoint_file());
  const Checkpoint before = ReadCheckpoint(directory_, 1, 1);
  EXPECT_EQ(before.state.metadata.at("number"), "2");
  EXPECT_EQ(before.data.size(), 3);
  EXPECT_THAT(before.trouble, testing::HasSubstr("state.safetensors: header: found checksum"));
  EXPECT_EQ(ReadLastState(directory_).metadata.at("number"), "2");
  fs::remove(directory_.checkpoint_file());
  EXPECT_EQ(ReadLastState(directory_).metadata.at("number"), "2");
  Damage(directory_.previous_checkpoint_file());
  EXPECT_THAT(MessageOf([&] { static_cast<void>(ReadCheckpoint(directory_, 1, 1)); }),
              testing::HasSubstr("; nor does the checkpoint before it hold: "));
}

TEST_F(CheckpointTest, AsksWhoKnowsTheOtherFiles) {
  Write("3");
  TensorFile state = ReadTensors(directory_.checkpoint_file());
  state.metadata["number"] = "2";
  WriteCheckpoint(directory_, state);
  const auto refuse = [](const TensorFile& of) {
    if (of.metadata.contains("number")) throw InputError("episodes.csv: too short");
  };
  const Checkpoint before = ReadCheckpoint(directory_, 1, 1, refuse);
  EXPECT_FALSE(before.state.metadata.contains("number"));
  EXPECT_EQ(before.trouble, "episodes.csv: too short");
}

TEST_F(CheckpointTest, RefusesTheDataOfAnotherRun) {
  Write("5");
  TensorFile state = ReadTensors(directory_.checkpoint_file());
  const Dataset data = ReadCheckpoint(directory_, 1, 1).data;
  state.metadata[kCheckpointDataChecksum] = ChecksumText(RowsChecksum(data, 0));
  WriteTensors(directory_.checkpoint_file(), state);
  EXPECT_EQ(ReadCheckpoint(directory_, 1, 1).data.size(), 5);
  Dataset other(1, 1);
  for (int row = 0; row < 5; ++row) {
    const std::vector<double> value = {1.0 * row};
    other.Add(value, value, value, row == 1 ? 7 : row);
  }
  WriteSegments(directory_.data_folder(), other, 0);
  EXPECT_THAT(MessageOf([&] { static_cast<void>(ReadCheckpoint(directory_, 1, 1)); }),
              testing::AllOf(testing::HasSubstr("data: found checksum "),
                             testing::HasSubstr("of the first 5 rows"),
                             testing::HasSubstr("another run, or were changed")));
}

}  // namespace
}  // namespace foreplan
