#include "foreplan/runs/appended_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "foreplan/core/crc32c.h"
#include "foreplan/core/error.h"
#include "foreplan/data/files.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

class AppendedFileTest : public testing::Test {
 protected:
  AppendedFileTest() {
    const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) /
              (std::string("appended_file_") + test.name() + "_" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  ~AppendedFileTest() override { fs::remove_all(folder_); }

  [[nodiscard]] fs::path file() const { return folder_ / "table.csv"; }
  void AddBehindTheMark(std::string_view text) const {
    std::ofstream(file(), std::ios::binary | std::ios::app) << text;
  }

  fs::path folder_;
};

TEST_F(AppendedFileTest, GrowsAndKnowsWhatItHolds) {
  AppendedFile appended;
  appended.Begin(file(), "head\n");
  appended.Append(file(), "one\n");
  appended.Append(file(), "");
  appended.Append(file(), "two\n");
  EXPECT_EQ(ReadFile(file()), "head\none\ntwo\n");
  EXPECT_EQ(appended.mark(), (AppendedFile::Mark{13, Crc32c("head\none\ntwo\n")}));
}

TEST_F(AppendedFileTest, ResumeCutsOffWhatStandsBehindTheMark) {
  AppendedFile before;
  before.Begin(file(), "head\n");
  before.Append(file(), "one\n");
  const AppendedFile::Mark mark = before.mark();
  before.Append(file(), "two\n");
  AddBehindTheMark("half a ro");

  AppendedFile after;
  EXPECT_EQ(after.Resume(file(), mark), "head\none\n");
  EXPECT_EQ(ReadFile(file()), "head\none\n");
  after.Append(file(), "other\n");
  EXPECT_EQ(ReadFile(file()), "head\none\nother\n");
  EXPECT_EQ(after.mark(), (AppendedFile::Mark{15, Crc32c("head\none\nother\n")}));
}

TEST_F(AppendedFileTest, ResumeRefusesAFileThatIsShorterOrAnother) {
  AppendedFile before;
  before.Begin(file(), "head\none\n");
  const AppendedFile::Mark mark = before.mark();
  struct Case {
    std::string text;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"head\non", "found 7 bytes, expected the 9 that the checkpoint counts"},
      {"head\nOne\n", "the file was changed"},
      {"head\nOne\nmore\n", "the file was changed"}};
  for (const Case& test : cases) {
    WriteFileAtomically(file(), test.text);
    try {
      AppendedFile().Resume(file(), mark);
      ADD_FAILURE() << test.text;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith(file().string() + ": found "));
      EXPECT_THAT(error.what(), testing::HasSubstr(test.message));
    }
    EXPECT_EQ(ReadFile(file()), test.text) << "a file that is refused stays as it is";
  }
  fs::remove(file());
  EXPECT_THROW(AppendedFile().Resume(file(), mark), InputError);
}

TEST_F(AppendedFileTest, AnAppendThatTheDiskRefusesLeavesTheMark) {
  AppendedFile appended;
  appended.Begin(file(), "head\n");
  const AppendedFile::Mark mark = appended.mark();
  fs::rename(file(), folder_ / "elsewhere");
  EXPECT_THROW(appended.Append(file(), "one\n"), RunError);
  EXPECT_EQ(appended.mark(), mark);
  fs::rename(folder_ / "elsewhere", file());
  appended.Append(file(), "one\n");
  EXPECT_EQ(ReadFile(file()), "head\none\n");
}

TEST(AppendedFileMark, ReadsBackFromItsText) {
  const AppendedFile::Mark mark{12345678901, 0x00ABCDEF};
  EXPECT_EQ(MarkText(mark), "12345678901:00abcdef");
  EXPECT_EQ(ParseMark(MarkText(mark), "x"), mark);
  for (const char* text : {"", "12", "12:", "12:xyz", ":00", "12:00 ", "-1:00", "1:123456789"}) {
    try {
      static_cast<void>(ParseMark(text, "state: 'a'"));
      ADD_FAILURE() << text;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith("state: 'a': found '"));
    }
  }
}

}  // namespace
}  // namespace foreplan
