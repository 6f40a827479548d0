#include "foreplan/data/array_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/memory.h"
#include "foreplan/core/spawn_settings.h"
#include "foreplan/data/array_stream.h"

extern char** environ;

namespace foreplan {
namespace {

std::string Cause(int error) { return std::generic_category().message(error); }

/// A running program whose output is read; ended on every way out.
class Program {
 public:
  Program(const std::vector<std::string>& command, const std::string& source) : source_(source) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw CannotStart(command, errno);
    output_ = ends[0];
    std::vector<std::string> words = command;
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    SpawnSettings settings;
    settings.Give(STDOUT_FILENO, ends[1]);
    settings.Open(STDERR_FILENO, "/dev/null", O_WRONLY);
    const int error = posix_spawn(&child_, arguments[0], settings.actions(), settings.attributes(),
                                  arguments.data(), environ);
    close(ends[1]);
    if (error != 0) {
      close(output_);
      throw CannotStart(command, error);
    }
  }
  ~Program() {
    close(output_);
    End();
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Fills `bytes`; throws what the failure means.
  void Read(std::span<char> bytes, std::chrono::milliseconds patience) {
    while (!bytes.empty()) {
      pollfd waiting{output_, POLLIN, 0};
      const int ready = poll(&waiting, 1, static_cast<int>(patience.count()));
      if (ready < 0 && errno == EINTR) continue;
      if (ready == 0) {
        throw InputError(
            fmt::format("{}: its reader did nothing for {} s, expected an undamaged file", source_,
                        patience.count() / 1000.0));
      }
      const ssize_t count = read(output_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) throw Stopped();
      bytes = bytes.subspan(static_cast<size_t>(count));
    }
  }

 private:
  [[nodiscard]] InputError CannotStart(const std::vector<std::string>& command, int error) const {
    return InputError(fmt::format("{}: its reader {} cannot be started: {}", source_,
                                  command.front(), Cause(error)));
  }

  /// The output is at its end too early.
  [[nodiscard]] InputError Stopped() {
    const int status = End();  // one that is ending already keeps its status
    const std::string how =
        WIFSIGNALED(status) ? fmt::format("crashed ({})", strsignal(WTERMSIG(status))) : "stopped";
    return InputError(fmt::format("{}: its reader {}, expected an undamaged file", source_, how));
  }

  /// Kills it and what it started, and waits for the end; the status of the child, 0 where another
  /// part of this process took it.
  int End() {
    if (child_ < 0) return 0;
    kill(-child_, SIGKILL);
    int status = 0;
    while (waitpid(child_, &status, 0) < 0) {
      if (errno == EINTR) continue;
      status = 0;
      break;
    }
    child_ = -1;
    return status;
  }

  const std::string& source_;
  int output_ = -1;
  pid_t child_ = -1;
};

/// Trusts nothing that it reads.
class ArrayStreamReader {
 public:
  ArrayStreamReader(Program& program, const std::string& source, std::chrono::milliseconds patience)
      : program_(program), source_(source), patience_(patience) {}

  std::vector<NamedArray> Read() {
    Expect(Next() == ArrayRecord::kBegin && bytes_.empty());
    std::vector<NamedArray> arrays;
    for (;;) {
      const ArrayRecord kind = Next();
      if (kind == ArrayRecord::kEnd) {
        Expect(bytes_.size() == sizeof(uint64_t) && Number(0) == arrays.size());
        return arrays;
      }
      Expect(kind == ArrayRecord::kArray);
      arrays.push_back(Array());
    }
  }

 private:
  void Expect(bool holds) const {
    if (holds) return;
    throw InputError(
        fmt::format("{}: its reader gave no arrays, expected an undamaged file", source_));
  }

  [[nodiscard]] uint64_t Number(size_t place) const {
    uint64_t number = 0;
    std::memcpy(&number, bytes_.data() + place * sizeof(number), sizeof(number));
    return number;
  }

  /// The next record; its bytes are in bytes_.
  ArrayRecord Next() {
    std::array<uint64_t, 2> head{};
    program_.Read({reinterpret_cast<char*>(head.data()), sizeof(head)}, patience_);
    Expect(head[1] <= kLongestArrayRecord);
    bytes_.resize(head[1]);
    program_.Read(bytes_, patience_);
    const auto kind = static_cast<ArrayRecord>(head[0]);
    if (kind == ArrayRecord::kError) {
      std::string text(bytes_.data(), std::min<size_t>(bytes_.size(), 500));
      std::ranges::replace_if(
          text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, '?');
      throw InputError(fmt::format("{}: {}", source_, text));
    }
    return kind;
  }

  NamedArray Array() {
    constexpr size_t kMostDimensions = 32;
    Expect(bytes_.size() >= sizeof(uint64_t));
    const uint64_t dimensions = Number(0);
    Expect(dimensions >= 1 && dimensions <= kMostDimensions &&
           bytes_.size() >= (1 + dimensions) * sizeof(uint64_t));
    NamedArray array;
    array.name.assign(bytes_.begin() + static_cast<ptrdiff_t>((1 + dimensions) * sizeof(uint64_t)),
                      bytes_.end());
    double count = 1;
    for (size_t i = 0; i < dimensions; ++i) {
      array.shape.push_back(static_cast<int64_t>(Number(1 + i)));
      Expect(array.shape.back() >= 0);
      count *= static_cast<double>(array.shape.back());
    }
    // Read, as a data set, in use.
    CheckMemory(fmt::format("{}: {}", source_, array.name), 3 * sizeof(double) * count);
    // Grows by what comes: a file may promise more than it has.
    while (array.values.size() < static_cast<size_t>(count)) {
      Expect(Next() == ArrayRecord::kValues && !bytes_.empty() &&
             bytes_.size() % sizeof(double) == 0);
      const size_t before = array.values.size();
      const size_t more = bytes_.size() / sizeof(double);
      Expect(more <= static_cast<size_t>(count) - before);
      array.values.resize(before + more);
      std::memcpy(array.values.data() + before, bytes_.data(), bytes_.size());
    }
    return array;
  }

  Program& program_;
  const std::string& source_;
  std::chrono::milliseconds patience_;
  std::vector<char> bytes_;
};

}  // namespace

std::vector<NamedArray> ReadArraysFromProgram(const std::vector<std::string>& command,
                                              const std::string& source,
                                              std::chrono::milliseconds patience) {
  Program program(command, source);
  return ArrayStreamReader(program, source, patience).Read();
}

}  // namespace foreplan
