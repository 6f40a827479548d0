#include "foreplan/data/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
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

/// Makes a rename inside `directory` survive a power cut, where the file system can.
bool SyncDirectory(const std::filesystem::path& directory) {
  const Descriptor descriptor(directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY);
  return descriptor.is_open() && (fsync(descriptor.get()) == 0 || errno == EINVAL);
}

std::string Cause(int error) { return std::generic_category().message(error); }

constexpr std::string_view kTemporary = ".tmp";

std::filesystem::path TemporaryNameOf(const std::filesystem::path& file, int number) {
  std::filesystem::path name = file;
  return name += number == 0 ? std::string(kTemporary) : fmt::format("{}-{}", kTemporary, number);
}

bool IsTemporary(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  const size_t begin = name.rfind(kTemporary);
  if (begin == std::string::npos || begin == 0) return false;
  const std::string_view number = std::string_view(name).substr(begin + kTemporary.size());
  return number.empty() || (number.starts_with('-') && number.size() > 1 &&
                            number.find_first_not_of("0123456789", 1) == std::string_view::npos);
}

/// Whether the open file is still the one of that name.
bool HasName(int descriptor, const std::filesystem::path& name) {
  struct stat opened {};
  struct stat named {};
  return fstat(descriptor, &opened) == 0 && stat(name.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

/// A file that is written and then gets its name.
class TemporaryFile {
 public:
  /// Beside `file`. One that a killed writer left is taken over; one that a writer holds is not.
  /// Where the file system knows no locks there is one name.
  explicit TemporaryFile(const std::filesystem::path& file) {
    for (int number = 0;;) {
      name_ = TemporaryNameOf(file, number);
      descriptor_.emplace(name_, O_WRONLY | O_CREAT);
      if (!descriptor_->is_open()) return;
      if (flock(descriptor_->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        ++number;
      } else if (HasName(descriptor_->get(), name_)) {
        return;
      }  // else its writer has just given it its name
    }
  }

  /// Writes and flushes to the disk; false with errno set when one of them fails.
  bool Write(std::string_view bytes) {
    return descriptor_->is_open() && ftruncate(descriptor_->get(), 0) == 0 &&
           WriteAll(descriptor_->get(), bytes) && fsync(descriptor_->get()) == 0;
  }
  /// The same of its name, in the place of what has it; the lock is let go of afterwards.
  bool Name(const std::filesystem::path& file) {
    return rename(name_.c_str(), file.c_str()) == 0 && descriptor_->Close();
  }
  /// Where it is still this writer's.
  void Remove() const {
    if (descriptor_->is_open()) unlink(name_.c_str());
  }

 private:
  std::filesystem::path name_;
  std::optional<Descriptor> descriptor_;
};

}  // namespace

void ThrowRefused(const std::filesystem::path& file, int error) {
  throw RunError(fmt::format("{}: cannot be written: {}", file.string(), Cause(error)));
}

void WriteFileAtomically(const std::filesystem::path& file, std::string_view bytes) {
  TemporaryFile temporary(file);
  if (!temporary.Write(bytes) || !temporary.Name(file)) {
    const int error = errno;
    temporary.Remove();
    ThrowRefused(file, error);
  }
  if (!SyncDirectory(file.parent_path())) {
    throw RunError(fmt::format("{}: directory cannot be flushed: {}", file.string(), Cause(errno)));
  }
}

void KeepFileAs(const std::filesystem::path& file, const std::filesystem::path& to) {
  const std::filesystem::path temporary = TemporaryNameOf(to, 0);
  std::error_code error;
  std::filesystem::remove(temporary, error);
  if (link(file.c_str(), temporary.c_str()) != 0) return WriteFileAtomically(to, ReadFile(file));
  const bool is_named = rename(temporary.c_str(), to.c_str()) == 0;
  const int cause = errno;
  std::filesystem::remove(temporary, error);  // a rename between two names of one file does nothing
  if (!is_named) ThrowRefused(to, cause);
}

std::vector<std::filesystem::path> TemporaryFilesIn(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> temporary;
  for (auto entry = std::filesystem::recursive_directory_iterator(folder, error);
       !error && entry != std::filesystem::recursive_directory_iterator(); entry.increment(error)) {
    if (entry->is_regular_file(error) && IsTemporary(entry->path())) {
      temporary.push_back(entry->path());
    }
  }
  return temporary;
}

std::error_code MakeFolderDurably(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.empty() || std::filesystem::is_directory(folder, error)) return {};
  const std::filesystem::path name = folder.has_filename() ? folder : folder.parent_path();
  if (const std::error_code above = MakeFolderDurably(name.parent_path())) return above;
  std::filesystem::create_directory(name, error);
  if (!error && !SyncDirectory(name.parent_path())) error = {errno, std::generic_category()};
  return error;
}

void RenameDurably(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (rename(from.c_str(), to.c_str()) == 0 && SyncDirectory(to.parent_path())) return;
  throw RunError(
      fmt::format("{}: cannot be made of {}: {}", to.string(), from.string(), Cause(errno)));
}

}  // namespace foreplan
