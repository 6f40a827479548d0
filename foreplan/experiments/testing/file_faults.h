// Disks that fail. What is linked with file_faults.cc, or starts with it as a preloaded library,
// makes its changes of files through calls that count them and fail where they are told to.
#pragma once

#include <cstdint>
#include <string>

namespace foreplan::testing {

/// Of the changes of files below a folder: writes, creations, renames, links, removals,
/// truncations, new folders, flushes. They are numbered from 0; a write that fails has written
/// half.
struct FileFaults {
  enum class Kind {
    kNone,
    kKill,      // the process is gone: what the system has, it keeps
    kPowerCut,  // so is the machine: of what was not flushed, `seed` says what is there
    kFull,      // no space
    kError,     // an error of the disk
    kReadOnly,  // nothing may be changed there
  };
  Kind kind = Kind::kNone;
  int64_t at = 0;     // the change that fails
  int64_t calls = 1;  // that fail from there on, where the process goes on
  uint64_t seed = 0;
  std::string folder = {};  // "": changes everywhere
};

/// The exit code of a process that was killed so.
inline constexpr int kKilledByFault = 86;

/// From now on, and counts from 0.
void SetFileFaults(const FileFaults& faults);
[[nodiscard]] int64_t FileChanges();
[[nodiscard]] int64_t FileBytesWritten();

}  // namespace foreplan::testing
