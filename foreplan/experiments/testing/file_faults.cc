// The calls by which a program changes files, defined here instead of in the C library. Nothing is
// really flushed: a process that is killed loses nothing of what the system has, and a power cut is
// played from what was flushed.
//
// Preloaded, the program is told by its environment:
//   FOREPLAN_FILE_FAULTS         kill|power_cut|full|error|read_only:AT[:CALLS[:SEED]]
//   FOREPLAN_FILE_FAULTS_FOLDER  where changes count
//   FOREPLAN_FILE_FAULTS_LOG     file that gets a line per change: what it is, and of which file
#include "foreplan/experiments/testing/file_faults.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foreplan::testing {
namespace {

namespace fs = std::filesystem;

// --- the calls themselves

int RealOpen(const char* path, int flags, mode_t mode = 0) {
  return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
ssize_t RealWrite(int file, const void* bytes, size_t count) {
  return syscall(SYS_write, file, bytes, count);
}
int RealRename(const char* from, const char* to) {
  return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int RealUnlink(const char* path) {
  return static_cast<int>(syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}

std::string PathOf(int file) {
  std::array<char, PATH_MAX> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  const ssize_t length = readlink(link.c_str(), path.data(), path.size());
  return length < 0 ? "" : std::string(path.data(), static_cast<size_t>(length));
}

std::string Absolute(const char* path) { return fs::absolute(path).lexically_normal().string(); }

std::optional<std::string> BytesOf(const char* path) {
  const int file = RealOpen(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::string bytes;
  std::array<char, 1 << 16> buffer{};
  for (ssize_t count = 0; (count = read(file, buffer.data(), buffer.size())) > 0;) {
    bytes.append(buffer.data(), static_cast<size_t>(count));
  }
  close(file);
  return bytes;
}

void Replace(const char* path, std::string_view bytes) {
  const int file = RealOpen(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  while (file >= 0 && !bytes.empty()) {
    const ssize_t count = RealWrite(file, bytes.data(), bytes.size());
    if (count <= 0) break;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  if (file >= 0) close(file);
}

// --- what was not flushed yet

/// A name that a power cut may take back.
struct NameChange {
  enum class Kind { kCreated, kRenamed, kRemoved, kFolder } kind;
  std::string path;
  std::string from = {};                     // of a rename
  std::optional<std::string> replaced = {};  // what stood under `path`, where something did
};

/// A file whose bytes a power cut may take back.
struct ByteChange {
  int file = -1;        // of our own, which outlives its name
  std::string flushed;  // its bytes
};

class Disk {
 public:
  void BytesChange(int file) {
    struct stat status {};
    if (fstat(file, &status) != 0 || bytes_.contains(status.st_ino)) return;
    const std::string path = "/proc/self/fd/" + std::to_string(file);
    bytes_[status.st_ino] = {fcntl(file, F_DUPFD_CLOEXEC, 0), BytesOf(path.c_str()).value_or("")};
  }
  void NameChanges(NameChange change) { names_.push_back(std::move(change)); }
  void FolderMoves(const std::string& from, const std::string& to) {
    if (to.empty()) return;
    const auto move = [&](std::string& path) {
      if (path.starts_with(from + '/')) path.replace(0, from.size(), to);
    };
    for (NameChange& name : names_) move(name.path), move(name.from);
  }
  void IsFlushed(int file) {
    struct stat status {};
    if (fstat(file, &status) != 0) return;
    if (S_ISDIR(status.st_mode)) {
      const fs::path folder = PathOf(file);
      std::erase_if(names_, [&](const NameChange& name) {
        return fs::path(name.path).parent_path() == folder;
      });
      return;
    }
    const auto found = bytes_.find(status.st_ino);
    if (found == bytes_.end()) return;
    close(found->second.file);
    bytes_.erase(found);
  }

  /// Of names that were changed in this order the first ones stay; of bytes all, none or some.
  void LosePower(uint64_t seed) {
    for (const auto& [inode, change] : bytes_) Lose(change, Next(seed));
    const size_t kept = Next(seed) % (names_.size() + 1);
    while (names_.size() > kept) {
      const NameChange last = names_.back();
      names_.pop_back();
      TakeBack(last);
      FolderMoves(last.path, last.from);
    }
  }

 private:
  /// splitmix64
  static uint64_t Next(uint64_t& state) {
    uint64_t z = (state += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  static void Lose(const ByteChange& change, uint64_t choice) {
    const std::string path = "/proc/self/fd/" + std::to_string(change.file);
    const std::string now = BytesOf(path.c_str()).value_or("");
    if (choice % 3 == 0) return;
    if (choice % 3 == 1) return Replace(path.c_str(), change.flushed);
    const size_t least = std::min(now.size(), change.flushed.size());
    Replace(path.c_str(), now.substr(0, least + (choice / 3) % (now.size() - least + 1)));
  }
  static void TakeBack(const NameChange& change) {
    const char* path = change.path.c_str();
    if (change.kind == NameChange::Kind::kRenamed) RealRename(path, change.from.c_str());
    if (change.kind == NameChange::Kind::kCreated) RealUnlink(path);
    if (change.kind == NameChange::Kind::kFolder) {
      std::error_code error;
      fs::remove_all(change.path, error);
    }
    if (change.replaced) Replace(path, *change.replaced);
  }

  std::map<ino_t, ByteChange> bytes_;
  std::vector<NameChange> names_;
};

// --- faults

struct State {
  FileFaults faults;
  int64_t changes = 0;
  int64_t bytes = 0;
  bool is_dying = false;  // what it changes now is no change
  int log = -1;
  Disk disk;
  std::recursive_mutex mutex;
};

FileFaults FaultsOfTheEnvironment() {
  const auto text = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  FileFaults faults{.folder = text("FOREPLAN_FILE_FAULTS_FOLDER")};
  const std::string fault = text("FOREPLAN_FILE_FAULTS");
  const std::string kind = fault.substr(0, fault.find(':'));
  if (kind == "kill") faults.kind = FileFaults::Kind::kKill;
  if (kind == "power_cut") faults.kind = FileFaults::Kind::kPowerCut;
  if (kind == "full") faults.kind = FileFaults::Kind::kFull;
  if (kind == "error") faults.kind = FileFaults::Kind::kError;
  if (kind == "read_only") faults.kind = FileFaults::Kind::kReadOnly;
  if (kind.size() < fault.size()) {
    std::sscanf(fault.c_str() + kind.size(), ":%ld:%ld:%lu", &faults.at, &faults.calls,
                &faults.seed);
  }
  return faults;
}

State& TheState() {
  static State& state = []() -> State& {
    auto* made = new State;  // outlives whatever runs at the end of the process
    made->faults = FaultsOfTheEnvironment();
    if (const char* log = std::getenv("FOREPLAN_FILE_FAULTS_LOG")) {
      made->log = RealOpen(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    }
    return *made;
  }();
  return state;
}

bool Counts(const State& state, const std::string& path) {
  return !state.is_dying && !path.empty() && path.front() == '/' &&
         (state.faults.folder.empty() || path.starts_with(state.faults.folder));
}

/// What becomes of a change.
enum class Fate { kHappens, kFails, kLast };

/// With which a change fails; 0: the process ends.
int ErrorOf(FileFaults::Kind kind) {
  switch (kind) {
    case FileFaults::Kind::kFull:
      return ENOSPC;
    case FileFaults::Kind::kError:
      return EIO;
    case FileFaults::Kind::kReadOnly:
      return EROFS;
    default:
      return 0;
  }
}

/// The next change, of that file; errno says why it fails.
Fate NextChange(State& state, const char* what, const std::string& path) {
  const FileFaults& faults = state.faults;
  const int64_t number = state.changes++;
  if (state.log >= 0) {
    const std::string line = std::string(what) + ' ' + path + '\n';
    RealWrite(state.log, line.data(), line.size());
  }
  if (faults.kind == FileFaults::Kind::kNone || number < faults.at ||
      number >= faults.at + faults.calls) {
    return Fate::kHappens;
  }
  errno = ErrorOf(faults.kind);
  return errno != 0 ? Fate::kFails : Fate::kLast;
}

[[noreturn]] void Die(State& state) {
  state.is_dying = true;
  if (state.faults.kind == FileFaults::Kind::kPowerCut) state.disk.LosePower(state.faults.seed);
  _exit(kKilledByFault);
}

/// A change that is made whole or not at all.
template <typename Change, typename Record>
int Make(const char* what, const std::string& path, Change change, Record record) {
  State& state = TheState();
  const std::scoped_lock lock(state.mutex);
  if (!Counts(state, path)) return change();
  const Fate fate = NextChange(state, what, path);
  if (fate == Fate::kLast) Die(state);
  if (fate == Fate::kFails) return -1;
  record(state.disk);
  return change();
}

template <typename Write>
ssize_t MakeWrite(int file, size_t count, Write write) {
  State& state = TheState();
  const std::scoped_lock lock(state.mutex);
  const std::string path = PathOf(file);
  if (!Counts(state, path)) return write(count);
  const Fate fate = NextChange(state, "write", path);
  state.disk.BytesChange(file);
  if (fate != Fate::kHappens) {
    const int error = errno;
    if (count > 1) write(count / 2);
    if (fate == Fate::kLast) Die(state);
    errno = error;
    return -1;
  }
  const ssize_t written = write(count);
  if (written > 0) state.bytes += written;
  return written;
}

int MakeOpen(const char* name, int flags, mode_t mode) {
  State& state = TheState();
  const std::scoped_lock lock(state.mutex);
  const std::string path = Absolute(name);
  const bool creates = (flags & O_CREAT) != 0 && access(name, F_OK) != 0;
  const bool empties = (flags & O_TRUNC) != 0 && !creates;
  if (!Counts(state, path) || (!creates && !empties)) return RealOpen(name, flags, mode);
  const Fate fate = NextChange(state, creates ? "create" : "empty", path);
  if (fate == Fate::kLast) Die(state);
  if (fate == Fate::kFails) return -1;
  if (creates) state.disk.NameChanges({.kind = NameChange::Kind::kCreated, .path = path});
  if (empties) {
    const int before = RealOpen(name, O_RDWR | O_CLOEXEC);
    if (before >= 0) state.disk.BytesChange(before), close(before);
  }
  return RealOpen(name, flags, mode);
}

}  // namespace

void SetFileFaults(const FileFaults& faults) {
  State& state = TheState();
  const std::scoped_lock lock(state.mutex);
  state.faults = faults;
  state.changes = state.bytes = 0;
  state.disk = Disk();
}
int64_t FileChanges() { return TheState().changes; }
int64_t FileBytesWritten() { return TheState().bytes; }

}  // namespace foreplan::testing

extern "C" {
using foreplan::testing::Absolute;
using foreplan::testing::BytesOf;
using foreplan::testing::Disk;
using foreplan::testing::Make;
using foreplan::testing::MakeOpen;
using foreplan::testing::MakeWrite;
using foreplan::testing::NameChange;
using foreplan::testing::PathOf;

ssize_t write(int file, const void* bytes, size_t count) {
  return MakeWrite(file, count, [&](size_t n) { return syscall(SYS_write, file, bytes, n); });
}
ssize_t pwrite(int file, const void* bytes, size_t count, off_t at) {
  return MakeWrite(file, count,
                   [&](size_t n) { return syscall(SYS_pwrite64, file, bytes, n, at); });
}
ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t at) {
  return pwrite(file, bytes, count, at);
}
int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(rest, int)) : mode_t{0};
  va_end(rest);
  return MakeOpen(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(rest, int)) : mode_t{0};
  va_end(rest);
  return MakeOpen(path, flags, mode);
}
int rename(const char* from, const char* to) noexcept {
  const std::string old = Absolute(from);
  const std::string path = Absolute(to);
  return Make(
      "rename", path, [&] { return foreplan::testing::RealRename(from, to); },
      [&](Disk& disk) {
        disk.FolderMoves(old, path);
        disk.NameChanges({NameChange::Kind::kRenamed, path, old, BytesOf(to)});
      });
}
int link(const char* from, const char* to) noexcept {
  const std::string path = Absolute(to);
  return Make(
      "link", path,
      [&] { return static_cast<int>(syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0)); },
      [&](Disk& disk) { disk.NameChanges({.kind = NameChange::Kind::kCreated, .path = path}); });
}
int unlink(const char* name) noexcept {
  const std::string path = Absolute(name);
  return Make(
      "remove", path, [&] { return foreplan::testing::RealUnlink(name); },
      [&](Disk& disk) {
        disk.NameChanges({NameChange::Kind::kRemoved, path, "", BytesOf(name)});
      });
}
int remove(const char* name) noexcept {
  struct stat status {};
  const bool is_folder = lstat(name, &status) == 0 && S_ISDIR(status.st_mode);
  return is_folder ? rmdir(name) : unlink(name);
}
int mkdir(const char* name, mode_t mode) noexcept {
  const std::string path = Absolute(name);
  return Make(
      "folder", path, [&] { return static_cast<int>(syscall(SYS_mkdirat, AT_FDCWD, name, mode)); },
      [&](Disk& disk) { disk.NameChanges({.kind = NameChange::Kind::kFolder, .path = path}); });
}
int ftruncate(int file, off_t size) noexcept {
  return Make(
      "cut", PathOf(file), [&] { return static_cast<int>(syscall(SYS_ftruncate, file, size)); },
      [&](Disk& disk) { disk.BytesChange(file); });
}
int fsync(int file) {
  return Make(
      "flush", PathOf(file), [] { return 0; }, [&](Disk& disk) { disk.IsFlushed(file); });
}
}
