#include "foreplan/runs/appended_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "foreplan/core/crc32c.h"
#include "foreplan/core/error.h"
#include "foreplan/data/files.h"

namespace foreplan {
namespace {

/// An open file; closed on every way out.
class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& file)
      : descriptor_(open(file.c_str(), O_WRONLY | O_CLOEXEC)) {}
  ~OpenFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }

  /// Writes all bytes at that place and flushes them to the disk; false with errno set.
  bool WriteAt(uint64_t offset, std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t written =
          pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return false;
      bytes.remove_prefix(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
    }
    return fsync(descriptor_) == 0;
  }

  /// False with errno set.
  [[nodiscard]] bool CutTo(uint64_t bytes) const {
    return ftruncate(descriptor_, static_cast<off_t>(bytes)) == 0;
  }

 private:
  int descriptor_;
};

}  // namespace

void AppendedFile::Begin(const std::filesystem::path& file, std::string_view bytes) {
  WriteFileAtomically(file, bytes);
  mark_ = {bytes.size(), Crc32c(bytes)};
}

void AppendedFile::Append(const std::filesystem::path& file, std::string_view bytes) {
  if (bytes.empty()) return;
  const OpenFile opened(file);
  if (!opened.is_open()) ThrowRefused(file, errno);
  if (!opened.WriteAt(mark_.bytes, bytes)) {
    const int error = errno;
    static_cast<void>(opened.CutTo(mark_.bytes));  // the first error is the one to tell
    ThrowRefused(file, error);
  }
  mark_ = {mark_.bytes + bytes.size(), Crc32c(bytes, mark_.crc32c)};
}

std::string AppendedFile::Read(const std::filesystem::path& file, Mark mark) {
  std::string bytes = ReadFile(file);
  if (bytes.size() < mark.bytes) {
    throw InputError(fmt::format("{}: found {} bytes, expected the {} that the checkpoint counts",
                                 file.string(), bytes.size(), mark.bytes));
  }
  bytes.resize(mark.bytes);
  if (const uint32_t found = Crc32c(bytes); found != mark.crc32c) {
    throw InputError(
        fmt::format("{}: found checksum {:08x} of the first {} bytes, expected the checkpoint's "
                    "{:08x}: the file was changed",
                    file.string(), found, mark.bytes, mark.crc32c));
  }
  return bytes;
}

std::string AppendedFile::Resume(const std::filesystem::path& file, Mark mark) {
  std::string bytes = Read(file, mark);
  const OpenFile opened(file);
  if (!opened.is_open() || !opened.CutTo(mark.bytes)) ThrowRefused(file, errno);
  mark_ = mark;
  return bytes;
}

std::string MarkText(AppendedFile::Mark mark) {
  return fmt::format("{}:{:08x}", mark.bytes, mark.crc32c);
}

AppendedFile::Mark ParseMark(std::string_view text, std::string_view where) {
  AppendedFile::Mark mark;
  const char* end = text.data() + text.size();
  const auto [colon, bytes_error] = std::from_chars(text.data(), end, mark.bytes);
  if (bytes_error == std::errc() && colon != end && *colon == ':') {
    const auto [stop, crc_error] = std::from_chars(colon + 1, end, mark.crc32c, 16);
    if (crc_error == std::errc() && stop == end) return mark;
  }
  throw InputError(fmt::format("{}: found '{}', expected bytes:checksum", where, text));
}

}  // namespace foreplan
