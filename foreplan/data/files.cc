#include "foreplan/data/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>
#include <vector>

#include "foreplan/core/error.h"

namespace foreplan {
namespace {

/// Closes on every way out.
class Descriptor {
 public:
  Descriptor(const std::filesystem::path& file, int flags)
      : descriptor_(open(file.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~Descriptor() { Close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  [[nodiscard]] int get() const { return descriptor_; }
  bool Close() {
    const bool closed = descriptor_ < 0 || close(descriptor_) == 0;
    descriptor_ = -1;
    return closed;
  }

 private:
  int descriptor_;
};

bool WriteAll(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

/// Writes, flushes to the disk and closes; false with errno set when one of them fails.
bool WriteDurably(const std::filesystem::path& file, std::string_view bytes) {
  Descriptor descriptor(file, O_WRONLY | O_CREAT | O_TRUNC);
  return descriptor.is_open() && WriteAll(descriptor.get(), bytes) &&
         fsync(descriptor.get()) == 0 && descriptor.Close();
}

/// Makes a rename inside `directory` survive a power cut, where the file system can.
bool SyncDirectory(const std::filesystem::path& directory) {
  const Descriptor descriptor(directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY);
  return descriptor.is_open() && (fsync(descriptor.get()) == 0 || errno == EINVAL);
}

std::string Cause(int error) { return std::generic_category().message(error); }

constexpr std::string_view kTemporary = ".tmp-";

/// Its own for every call of every process.
std::filesystem::path TemporaryNameOf(const std::filesystem::path& file) {
  static std::atomic<int> calls = 0;
  std::filesystem::path temporary = file;
  return temporary += fmt::format("{}{}-{}", kTemporary, getpid(), ++calls);
}

bool IsTemporary(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  const size_t begin = name.rfind(kTemporary);
  return begin != std::string::npos && begin > 0 &&
         name.find_first_not_of("0123456789-", begin + kTemporary.size()) == std::string::npos;
}

/// Throws what refused `file`, after its temporary file is removed.
[[noreturn]] void ThrowRefused(const std::filesystem::path& file,
                               const std::filesystem::path& temporary) {
  const int error = errno;
  unlink(temporary.c_str());
  throw RunError(fmt::format("{}: cannot be written: {}", file.string(), Cause(error)));
}

}  // namespace

void WriteFileAtomically(const std::filesystem::path& file, std::string_view bytes) {
  const std::filesystem::path temporary = TemporaryNameOf(file);
  const bool replaced =
      WriteDurably(temporary, bytes) && rename(temporary.c_str(), file.c_str()) == 0;
  if (!replaced) ThrowRefused(file, temporary);
  if (!SyncDirectory(file.parent_path())) {
    throw RunError(fmt::format("{}: directory cannot be flushed: {}", file.string(), Cause(errno)));
  }
}

void KeepFileAs(const std::filesystem::path& file, const std::filesystem::path& to) {
  const std::filesystem::path temporary = TemporaryNameOf(to);
  if (link(file.c_str(), temporary.c_str()) != 0) return WriteFileAtomically(to, ReadFile(file));
  if (rename(temporary.c_str(), to.c_str()) != 0) ThrowRefused(to, temporary);
  unlink(temporary.c_str());  // a rename between two names of one file does nothing
}

void RemoveTemporaryFiles(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> temporary;
  for (auto entry = std::filesystem::recursive_directory_iterator(folder, error);
       !error && entry != std::filesystem::recursive_directory_iterator(); entry.increment(error)) {
    if (entry->is_regular_file(error) && IsTemporary(entry->path())) {
      temporary.push_back(entry->path());
    }
  }
  for (const std::filesystem::path& file : temporary) std::filesystem::remove(file, error);
}

void RenameDurably(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (rename(from.c_str(), to.c_str()) == 0 && SyncDirectory(to.parent_path())) return;
  throw RunError(
      fmt::format("{}: cannot be made of {}: {}", to.string(), from.string(), Cause(errno)));
}

}  // namespace foreplan
