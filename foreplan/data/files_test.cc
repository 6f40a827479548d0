#include "foreplan/data/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/core/testing/message_of.h"

namespace foreplan {
namespace {

using testing::HasSubstr;

/// An empty directory of its own, gone after the test.
class Files : public testing::Test {
 protected:
  Files() {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~Files() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] std::ptrdiff_t CountEntries() const {
    return std::distance(std::filesystem::directory_iterator(directory_), {});
  }

  const std::filesystem::path directory_ =
      std::filesystem::path(testing::TempDir()) /
      testing::UnitTest::GetInstance()->current_test_info()->name();
};

/// Lets no file of this process grow beyond `bytes`, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*handler_)(int);
  rlimit old_{};
};

TEST_F(Files, WhatIsWrittenReadsBack) {
  std::string bytes;
  for (int i = 0; i < 300000; ++i) bytes += static_cast<char>(i * 7 + i / 256);
  for (const std::string& content : {std::string(), std::string("a\r\n\0b", 5), bytes}) {
    WriteFileAtomically(directory_ / "x", content);
    EXPECT_EQ(ReadFile(directory_ / "x"), content);
  }
  EXPECT_EQ(CountEntries(), 1);
}

TEST_F(Files, ADiskThatFillsUpLeavesTheOldFileAndNothingElse) {
  const std::filesystem::path file = directory_ / "x";
  WriteFileAtomically(file, "old");
  std::string message;
  {
    const FileSizeLimit limit(4096);
    message = MessageOf<RunError>([&] { WriteFileAtomically(file, std::string(10000, 'n')); });
  }
  EXPECT_EQ(message, file.string() + ": cannot be written: File too large");
  EXPECT_EQ(ReadFile(file), "old");
  EXPECT_EQ(CountEntries(), 1);
  WriteFileAtomically(file, std::string(10000, 'n'));
  EXPECT_EQ(ReadFile(file), std::string(10000, 'n'));
}

TEST_F(Files, WriteErrorsNameFileAndCause) {
  const std::filesystem::path missing = directory_ / "missing" / "x";
  EXPECT_EQ(MessageOf<RunError>([&] { WriteFileAtomically(missing, "a"); }),
            missing.string() + ": cannot be written: No such file or directory");
  std::filesystem::create_directories(directory_ / "target" / "inside");
  EXPECT_THAT(MessageOf<RunError>([&] { WriteFileAtomically(directory_ / "target", "a"); }),
              HasSubstr("target: cannot be written: "));
  EXPECT_EQ(CountEntries(), 1);  // the temporary file is gone
}

TEST_F(Files, TwoWritersOfOneFileDoNotMeet) {
  const std::string texts[] = {std::string(100'000, 'a'), std::string(50'000, 'b')};
  std::vector<std::thread> writers;
  for (const std::string& text : texts) {
    writers.emplace_back([&] {
      for (int i = 0; i < 50; ++i) WriteFileAtomically(directory_ / "x", text);
    });
  }
  for (std::thread& writer : writers) writer.join();
  const std::string found = ReadFile(directory_ / "x");
  EXPECT_TRUE(found == texts[0] || found == texts[1]) << found.size();
  EXPECT_EQ(CountEntries(), 1);
}

TEST_F(Files, WhatAKilledWriterLeftIsTakenOver) {
  WriteFileAtomically(directory_ / "x.tmp", std::string(1000, 'h'));
  WriteFileAtomically(directory_ / "x", "whole");
  EXPECT_EQ(ReadFile(directory_ / "x"), "whole");
  EXPECT_EQ(CountEntries(), 1);
}

TEST_F(Files, TemporaryFilesAreKnownByTheirNames) {
  std::filesystem::create_directories(directory_ / "model");
  for (const char* name : {"x", "x.tmp", "x.tmp-1", "x.tmp-", "x.tmp-notes", ".tmp", "x.tmpl",
                           "model/y.safetensors.tmp-12", "model/y.safetensors"}) {
    WriteFileAtomically(directory_ / name, "whole");
  }
  std::vector<std::string> found;
  for (const auto& file : TemporaryFilesIn(directory_)) {
    found.push_back(file.lexically_relative(directory_).string());
  }
  EXPECT_THAT(found,
              testing::UnorderedElementsAre("x.tmp", "x.tmp-1", "model/y.safetensors.tmp-12"));
  EXPECT_TRUE(TemporaryFilesIn(directory_ / "missing").empty());
}

TEST_F(Files, AKeptFileStaysWhatItWas) {
  WriteFileAtomically(directory_ / "x", "first");
  KeepFileAs(directory_ / "x", directory_ / "before");
  WriteFileAtomically(directory_ / "x", "second");
  EXPECT_EQ(ReadFile(directory_ / "before"), "first");
  KeepFileAs(directory_ / "x", directory_ / "before");
  KeepFileAs(directory_ / "x", directory_ / "before");  // one file by now
  EXPECT_EQ(ReadFile(directory_ / "before"), "second");
  EXPECT_EQ(CountEntries(), 2);
  std::filesystem::create_directories(directory_ / "folder" / "inside");
  EXPECT_EQ(MessageOf<RunError>([&] { KeepFileAs(directory_ / "x", directory_ / "folder"); }),
            (directory_ / "folder").string() + ": cannot be written: Is a directory");
  EXPECT_EQ(CountEntries(), 3);
}

TEST_F(Files, RelativeNamesNeedNoDirectory) {
  const std::filesystem::path old = std::filesystem::current_path();
  std::filesystem::current_path(directory_);
  WriteFileAtomically("x", "a");
  std::filesystem::current_path(old);
  EXPECT_EQ(ReadFile(directory_ / "x"), "a");
}

TEST_F(Files, ReadErrorsNameFileAndCause) {
  const std::filesystem::path missing = directory_ / "x";
  EXPECT_EQ(MessageOf<InputError>([&] { ReadFile(missing); }),
            missing.string() + ": cannot be read: No such file or directory");
  EXPECT_EQ(MessageOf<InputError>([&] { ReadFile(directory_); }),
            directory_.string() + ": cannot be read: Is a directory");
}

}  // namespace
}  // namespace foreplan
