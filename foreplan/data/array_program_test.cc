// Whatever a program that reads files for us does, this process gets arrays or one line.
#include "foreplan/data/array_program.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <new>
#include <string>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/array_stream.h"
#include "foreplan/data/files.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;

using Numbers = std::vector<uint64_t>;

std::string Bytes(const Numbers& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(uint64_t)};
}

std::string Record(ArrayRecord kind, const std::string& bytes) {
  return Bytes({static_cast<uint64_t>(kind), bytes.size()}) + bytes;
}

std::string Values(const std::vector<double>& values) {
  return Record(ArrayRecord::kValues,
                {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)});
}

const std::string kBegin = Record(ArrayRecord::kBegin, "");
const std::string kArray = Record(ArrayRecord::kArray, Bytes({2, 2, 2}) + "x");  // [2 x 2]
const std::string kWhole =
    kBegin + kArray + Values({1, 2, 3}) + Values({4}) + Record(ArrayRecord::kEnd, Bytes({1}));

class ArrayProgram : public testing::Test {
 protected:
  ArrayProgram() : file_(fs::path(testing::TempDir()) / ("stream_" + std::to_string(getpid()))) {}
  ~ArrayProgram() override { fs::remove(file_); }

  /// Of a program that writes these bytes, and then does what the shell is told.
  std::vector<NamedArray> Read(const std::string& stream, const std::string& then = "",
                               std::chrono::milliseconds patience = std::chrono::minutes(1)) {
    std::ofstream(file_, std::ios::binary) << stream;
    return ReadArraysFromProgram({"/bin/sh", "-c", "cat '" + file_.string() + "'; " + then}, "a.h5",
                                 patience);
  }
  std::string Refusal(const std::string& stream, const std::string& then = "",
                      std::chrono::milliseconds patience = std::chrono::minutes(1)) {
    try {
      Read(stream, then, patience);
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith("a.h5: "));
      EXPECT_THAT(error.what(), testing::Not(HasSubstr("\n")));
      return error.what();
    }
    return "";
  }

  const fs::path file_;
};

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which need room themselves
TEST_F(ArrayProgram, MemoryGrowsByWhatComesNotByWhatIsPromised) {
  const std::string promise = kBegin + Record(ArrayRecord::kArray, Bytes({1, 200'000'000}) + "x");
  const pid_t child = fork();
  if (child == 0) {
    std::ifstream status("/proc/self/statm");
    rlim_t pages = 0;
    status >> pages;
    const rlim_t most = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (rlim_t{512} << 20U);
    const rlimit limit{most, most};
    setrlimit(RLIMIT_AS, &limit);
    try {
      Read(promise + Values({1, 2, 3}));
    } catch (const InputError&) {
      _exit(0);
    } catch (const std::bad_alloc&) {  // 1.6 GB
      _exit(1);
    }
    _exit(2);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}
#endif

TEST_F(ArrayProgram, GivesWhatItWrote) {
  const std::vector<NamedArray> arrays = Read(kWhole);
  ASSERT_EQ(arrays.size(), 1U);
  EXPECT_EQ(arrays[0].name, "x");
  EXPECT_EQ(arrays[0].shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(arrays[0].values, (std::vector<double>{1, 2, 3, 4}));
  EXPECT_TRUE(Read(kBegin + Record(ArrayRecord::kEnd, Bytes({0}))).empty());
}

TEST_F(ArrayProgram, ItsOwnLineIsTheError) {
  EXPECT_EQ(Refusal(kBegin + Record(ArrayRecord::kError, "x: found a\nb, expected c")),
            "a.h5: x: found a?b, expected c");
}

TEST_F(ArrayProgram, ACrashIsOneLine) {
  EXPECT_EQ(Refusal(kBegin + kArray, "kill -SEGV $$"),
            "a.h5: its reader crashed (Segmentation fault), expected an undamaged file");
  EXPECT_THAT(Refusal("", "exit 1"), HasSubstr("its reader stopped"));
  EXPECT_THAT(Refusal(kWhole.substr(0, kWhole.size() - 1)), HasSubstr("its reader stopped"));
}

TEST_F(ArrayProgram, OneThatDoesNothingIsEnded) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(Refusal(kBegin, "sleep 100", std::chrono::milliseconds(50)),
              HasSubstr("did nothing for 0.05 s"));
  // Far below the 100 s that it would take, far above what a busy machine needs.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(50));
}

TEST_F(ArrayProgram, OneThatClosesItsOutputIsEnded) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(Refusal(kBegin, "exec >&-; sleep 30"), HasSubstr("expected an undamaged file"));
  // Far below the 30 s that it would take, far above what a busy machine needs.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(15));
}

TEST_F(ArrayProgram, WhatItStartedEndsWithIt) {
  const fs::path held = file_.string() + ".held";
  ASSERT_EQ(mkfifo(held.c_str(), 0600), 0);
  const int end = open(held.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(end, 0);
  // The shell and what it starts hold the pipe open, until the last of them has ended.
  EXPECT_THAT(Refusal(kBegin, "exec 3> '" + held.string() + "'; sleep 100; true",
                      std::chrono::milliseconds(500)),
              HasSubstr("did nothing"));
  pollfd waiting{end, POLLIN, 0};
  EXPECT_EQ(poll(&waiting, 1, 10000), 1);  // [ms], far below the 100 s
  EXPECT_NE(waiting.revents & POLLHUP, 0);
  close(end);
  fs::remove(held);
}

TEST_F(ArrayProgram, TheTerminalsInterruptIsNotForIt) {
  // Ctrl-C goes to the group of processes in front. The fifth word is the process's group: one of
  // its own is told by a crash.
  EXPECT_THAT(Refusal(kBegin, "test $(cut -d' ' -f5 /proc/$$/stat) = $$ && kill -SEGV $$"),
              HasSubstr("its reader crashed (Segmentation fault)"));
}

TEST_F(ArrayProgram, RubbishIsOneLine) {
  const std::string end = Record(ArrayRecord::kEnd, Bytes({1}));
  for (const std::string& stream : {
           std::string("Segmentation fault, and some text behind it"),
           Values({1}),
           kBegin + Values({1}),
           kBegin + Record(ArrayRecord::kEnd, Bytes({1})),                   // arrays are missing
           kBegin + kArray + end,                                            // numbers are missing
           kBegin + kArray + Values({1, 2, 3, 4, 5}) + end,                  // too many
           kBegin + kArray + Record(ArrayRecord::kValues, "1234567") + end,  // half a number
           kBegin + Record(ArrayRecord::kArray, "") + end,
           kBegin + Record(ArrayRecord::kArray, Bytes({0})) + end,
           kBegin + Record(ArrayRecord::kArray, Bytes({9, 1})) + end,
           kBegin + Record(ArrayRecord::kArray, Bytes({1, ~uint64_t{0}})) + end,
           Bytes({static_cast<uint64_t>(ArrayRecord::kBegin), ~uint64_t{0}}),
       }) {
    EXPECT_THAT(Refusal(stream), HasSubstr("its reader gave no arrays"));
  }
  EXPECT_THAT(Refusal(kBegin + Record(ArrayRecord::kArray, Bytes({2, 1 << 30, 1 << 30}) + "x")),
              HasSubstr("x: found a need of"));
}

TEST_F(ArrayProgram, WorksWhereSignalsOfChildrenAreIgnoredOrBlocked) {
  const auto old_handler = std::signal(SIGCHLD, SIG_IGN);
  EXPECT_EQ(Read(kWhole).size(), 1U);
  EXPECT_THAT(Refusal("", "exit 1"), HasSubstr("its reader stopped"));
  std::signal(SIGCHLD, old_handler);

  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  for (const int signal : {SIGCHLD, SIGTERM, SIGPIPE}) sigaddset(&blocked, signal);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  EXPECT_EQ(Read(kWhole).size(), 1U);
  // What is blocked where it works; a shell would unblock everything.
  const fs::path status = file_.string() + ".status";
  EXPECT_THROW(ReadArraysFromProgram({"/bin/cp", "/proc/self/status", status.string()}, "a.h5",
                                     std::chrono::minutes(1)),
               InputError);
  EXPECT_THAT(ReadFile(status), HasSubstr("SigBlk:\t0000000000000000"));
  fs::remove(status);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(ArrayProgram, OneThatIsMissingIsNamed) {
  try {
    ReadArraysFromProgram({"/absent/reader"}, "a.h5", std::chrono::seconds(1));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "a.h5: its reader /absent/reader cannot be started: No such file or directory");
  }
}

}  // namespace
}  // namespace foreplan
