#include "foreplan/core/read_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>

#include "foreplan/core/error.h"
#include "foreplan/core/memory.h"

namespace foreplan {
namespace {

InputError Unreadable(const std::filesystem::path& file, int error) {
  return InputError(
      fmt::format("{}: cannot be read: {}", file.string(), std::generic_category().message(error)));
}

std::string_view KindOf(mode_t mode) {
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  if (S_ISSOCK(mode)) return "a socket";
  return "no file";
}

void CheckRegular(const std::filesystem::path& file, mode_t mode) {
  if (S_ISREG(mode)) return;
  if (S_ISDIR(mode)) throw Unreadable(file, EISDIR);
  throw InputError(
      fmt::format("{}: found {}, expected a regular file", file.string(), KindOf(mode)));
}

/// An open file that closes on every way out. Opening does not wait: a pipe without a writer would.
class Opened {
 public:
  explicit Opened(const std::filesystem::path& file)
      : descriptor_(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (descriptor_ < 0) throw Unreadable(file, errno);
  }
  ~Opened() { close(descriptor_); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

void CheckSize(const std::filesystem::path& file, uint64_t bytes, uint64_t most) {
  if (bytes <= most) return;
  throw InputError(
      fmt::format("{}: found {} bytes, expected at most {}", file.string(), bytes, most));
}

}  // namespace

std::string ReadFile(const std::filesystem::path& file, uint64_t most) {
  const Opened opened(file);
  struct stat status {};
  if (fstat(opened.get(), &status) != 0) throw Unreadable(file, errno);
  CheckRegular(file, status.st_mode);
  const auto size = static_cast<uint64_t>(status.st_size);
  CheckSize(file, size, most);
  CheckMemory(file.string(), static_cast<double>(size));
  std::string bytes;
  bytes.reserve(size);
  char block[65536];
  for (;;) {
    const ssize_t count = read(opened.get(), block, sizeof(block));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Unreadable(file, errno);
    if (count == 0) return bytes;
    bytes.append(block, static_cast<size_t>(count));
    CheckSize(file, bytes.size(), most);  // it may grow
  }
}

void CheckRegularFile(const std::filesystem::path& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) throw Unreadable(file, errno);
  CheckRegular(file, status.st_mode);
}

}  // namespace foreplan
