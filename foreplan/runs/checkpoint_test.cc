#include "foreplan/runs/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
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
    const auto [checkpoint, data] = ReadCheckpoint(directory_, 1, 1);
    ASSERT_EQ(data.size(), rows);
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

}  // namespace
}  // namespace foreplan
