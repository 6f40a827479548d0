// A data set that grows on disk: what is appended reads back to the bit, whenever its writer died.
#include "foreplan/data/segments.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"
#include "foreplan/data/files.h"
#include "foreplan/data/safetensors.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

using testing::ElementsAre;
using testing::HasSubstr;

class Segments : public testing::Test {
 protected:
  Segments() : folder_(fs::path(testing::TempDir()) / ("segments_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~Segments() override { fs::remove_all(folder_); }

  [[nodiscard]] std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      files.push_back(entry.path().filename().string());
    }
    std::ranges::sort(files);
    return files;
  }

  const fs::path folder_;
};

/// Rows first, first + 1, ... of one observation and one action each, whose numbers tell the row.
void AddRows(int first, int count, Dataset& data) {
  for (int row = first; row < first + count; ++row) {
    data.Add(std::vector{row + 0.1}, std::vector{row + 0.2}, std::vector{row + 0.3}, row / 2);
  }
}

void ExpectRows(const Dataset& data, int64_t count) {
  ASSERT_EQ(data.size(), count);
  for (int row = 0; row < count; ++row) {
    EXPECT_EQ(data.observation(row)[0], row + 0.1);
    EXPECT_EQ(data.action(row)[0], row + 0.2);
    EXPECT_EQ(data.next_observation(row)[0], row + 0.3);
    EXPECT_EQ(data.episode(row), row / 2);
  }
}

TEST_F(Segments, WhatIsAppendedReadsBack) {
  Dataset data(1, 1);
  EXPECT_FALSE(HasSegments(folder_));
  for (const int count : {3, 1, 4}) {
    const int64_t first = data.size();
    AddRows(static_cast<int>(first), count, data);
    WriteSegments(folder_, data, first);
  }
  EXPECT_TRUE(HasSegments(folder_));
  Dataset all(1, 1);
  AddRows(7, 2, all);  // rows that are replaced
  ReadSegments(folder_, -1, all);
  ExpectRows(all, 8);
  Dataset part(1, 1);
  ReadSegments(folder_, 4, part);
  ExpectRows(part, 4);
  ReadSegments(folder_, 0, part);
  ExpectRows(part, 0);
}

TEST_F(Segments, AFileHoldsTheNewRowsAlone) {
  Dataset data(1, 1);
  AddRows(0, 1000, data);
  WriteSegments(folder_, data, 0);
  const std::string before = ReadFile(folder_ / "transitions-000000000000.safetensors");
  AddRows(1000, 1, data);
  WriteSegments(folder_, data, 1000);
  WriteSegments(folder_, data, 1001);  // nothing new
  EXPECT_THAT(Files(), ElementsAre("transitions-000000000000.safetensors",
                                   "transitions-000000001000.safetensors"));
  EXPECT_EQ(ReadFile(folder_ / "transitions-000000000000.safetensors"), before);
  EXPECT_LT(fs::file_size(folder_ / "transitions-000000001000.safetensors"), 1000U);
}

TEST_F(Segments, RowsThatNoCheckpointKnowsAreWrittenAnew) {
  Dataset data(1, 1);
  AddRows(0, 2, data);
  WriteSegments(folder_, data, 0);
  Dataset lost = data;  // killed between these rows and the checkpoint that counts them
  AddRows(50, 3, lost);
  WriteSegments(folder_, lost, 2);
  AddRows(60, 3, lost);
  WriteSegments(folder_, lost, 5);
  ReadSegments(folder_, 2, data);
  RemoveSegmentsFrom(folder_, 2);
  EXPECT_THAT(Files(), ElementsAre("transitions-000000000000.safetensors"));
  AddRows(2, 4, data);
  WriteSegments(folder_, data, 2);
  Dataset read(1, 1);
  ReadSegments(folder_, -1, read);
  ExpectRows(read, 6);
  EXPECT_EQ(Files().size(), 2U);
}

TEST_F(Segments, OtherFilesStay) {
  std::ofstream(folder_ / "transitions-x.safetensors") << "x";
  std::ofstream(folder_ / "notes.txt") << "x";
  Dataset data(1, 1);
  AddRows(0, 1, data);
  WriteSegments(folder_, data, 0);
  RemoveSegmentsFrom(folder_, 0);
  EXPECT_THAT(Files(), ElementsAre("notes.txt", "transitions-x.safetensors"));
}

TEST_F(Segments, RefusesWhatDoesNotFollowAndStaysAsItWas) {
  Dataset data(1, 1);
  AddRows(0, 3, data);
  WriteSegments(folder_, data, 0);
  Dataset kept(1, 1);
  AddRows(0, 1, kept);
  const auto refusal = [&](int64_t rows) {
    return MessageOf([&] { ReadSegments(folder_, rows, kept); });
  };
  EXPECT_THAT(refusal(2), HasSubstr("000000.safetensors: found rows up to 3, expected them to end "
                                    "at 2"));
  EXPECT_THAT(refusal(4), HasSubstr("transitions-000000000003.safetensors: cannot be read"));
  fs::copy_file(folder_ / "transitions-000000000000.safetensors",
                folder_ / "transitions-000000000003.safetensors");
  EXPECT_THAT(refusal(-1), HasSubstr("'data.first_row': found 0, expected 3"));
  ExpectRows(kept, 1);
  Dataset wide(2, 1);
  EXPECT_THAT(MessageOf([&] { ReadSegments(folder_, 3, wide); }), HasSubstr("data.observation"));
}

TEST_F(Segments, AFileWithoutRowsIsRefused) {
  // Behind it the rows would never go on: such a file was no writer's of segments.
  TensorFile none;
  Dataset(1, 1).Save(none);
  WriteTensors(SegmentFile(folder_, 0), none);
  Dataset data(1, 1);
  for (const int64_t rows : {-1, 3}) {
    EXPECT_THAT(MessageOf([&] { ReadSegments(folder_, rows, data); }),
                HasSubstr("transitions-000000000000.safetensors: found no rows, expected some"));
  }
}

/// As AddRows, of 20,000 actions each: a megabyte holds four such rows.
void AddWideRows(int first, int count, Dataset& data) {
  std::vector<double> action(static_cast<size_t>(data.action_dim()));
  for (int row = first; row < first + count; ++row) {
    action.front() = row + 0.2;
    data.Add(std::vector{row + 0.1}, action, std::vector{row + 0.3}, row / 2);
  }
}

constexpr int kWide = 20'000;

TEST_F(Segments, RowsThatGoOnBeyondASegmentAreSeveralFiles) {
  Dataset data(1, kWide);
  ASSERT_EQ(data.segment_rows(), 4);
  AddWideRows(0, 10, data);
  WriteSegments(folder_, data, 0);
  EXPECT_THAT(Files(), ElementsAre("transitions-000000000000.safetensors",
                                   "transitions-000000000004.safetensors",
                                   "transitions-000000000008.safetensors"));
  AddWideRows(10, 1, data);
  WriteSegments(folder_, data, 10);
  AddWideRows(11, 3, data);
  WriteSegments(folder_, data, 11);
  EXPECT_EQ(Files().size(), 6U);  // rows 10, 11 and 12 ... 13
  for (const std::string& file : Files()) EXPECT_LT(fs::file_size(folder_ / file), 1U << 20U);
  Dataset read(1, kWide);
  ReadSegments(folder_, -1, read);
  ExpectRows(read, 14);
}

TEST_F(Segments, NumbersThatNoReaderTakesAreNotWritten) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const int array : {0, 1, 2}) {
    const auto value = [&](int of, double good) { return std::vector{of == array ? nan : good}; };
    Dataset data(1, 1);
    AddRows(0, 2, data);
    WriteSegments(folder_, data, 0);
    AddRows(2, 1, data);
    data.Add(value(0, 1.0), value(1, 0.5), value(2, 1.0), 2);
    const std::string name = std::vector{"observation", "action", "next observation"}[array];
    try {
      WriteSegments(folder_, data, 2);
      ADD_FAILURE() << name;
    } catch (const RunError& error) {
      EXPECT_EQ(error.what(), SegmentFile(folder_, 2).string() + ": " + name +
                                  ": row 1, column 0: found nan, expected a finite number");
    }
    EXPECT_THAT(Files(), ElementsAre("transitions-000000000000.safetensors"));
  }
}

TEST_F(Segments, AFileOfAnEarlierVersionMayHoldMoreAndKnowsNoRewards) {
  Dataset data(1, kWide);
  AddWideRows(0, 9, data);
  TensorFile before;
  data.Save(before);
  before.tensors.erase("data.reward");
  before.tensors.erase("data.end");
  WriteTensors(SegmentFile(folder_, 0), before);
  AddWideRows(9, 2, data);
  WriteSegments(folder_, data, 9);  // a run that went on
  Dataset read(1, kWide);
  ReadSegments(folder_, -1, read);
  ExpectRows(read, 11);
  EXPECT_TRUE(std::isnan(read.reward(8)));
  EXPECT_EQ(read.end(8), StepEnd::kContinues);
}

TEST(RowsChecksum, IsThatOfAllThatIsKnownOfTheRowsWhateverFilesTheyAreIn) {
  const std::vector<double> one = {1, 2};
  const std::vector<double> other = {1, 3};
  const auto make = [&](const Transition& changed) {
    Dataset data(2, 2);
    data.Add(one, one, other, 1);
    data.Add(changed);
    return data;
  };
  const Transition row{.observation = one,
                       .action = one,
                       .next_observation = other,
                       .episode = 2,
                       .reward = 1,
                       .end = StepEnd::kContinues};
  const Dataset data = make(row);
  const uint32_t whole = RowsChecksum(data, 0);
  EXPECT_EQ(RowsChecksum(data, 2), 0U);
  Dataset first(2, 2);
  first.Add(one, one, other, 1);
  EXPECT_EQ(RowsChecksum(data, 1, RowsChecksum(first, 0)), whole);
  Transition changed = row;
  changed.observation = other;
  EXPECT_NE(RowsChecksum(make(changed), 0), whole);
  changed = row, changed.action = other;
  EXPECT_NE(RowsChecksum(make(changed), 0), whole);
  changed = row, changed.next_observation = one;
  EXPECT_NE(RowsChecksum(make(changed), 0), whole);
  changed = row, changed.reward = 2;
  EXPECT_NE(RowsChecksum(make(changed), 0), whole);
  changed = row, changed.episode = 3;
  EXPECT_NE(RowsChecksum(make(changed), 0), whole);
  changed = row, changed.end = StepEnd::kTerminated;
  EXPECT_NE(RowsChecksum(make(changed), 0), whole);
}

}  // namespace
}  // namespace foreplan
