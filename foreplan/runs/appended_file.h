// A file that only grows: what is written once is never written again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace foreplan {

/// Appends durably and knows how far it came: length and checksum of all bytes so far. A checkpoint
/// that keeps this mark says what of the file it counts; what a killed process wrote after it is
/// cut off when the run goes on.
class AppendedFile {
 public:
  struct Mark {
    uint64_t bytes = 0;
    uint32_t crc32c = 0;  // of them
    bool operator==(const Mark&) const = default;
  };

  /// Begins the file with these bytes; atomically. Throws RunError when the disk refuses.
  void Begin(const std::filesystem::path& file, std::string_view bytes);
  /// The cost does not depend on the length of the file. Throws RunError when the disk refuses; the
  /// file then ends where it ended before (unless the disk refuses that too: Resume puts it right).
  void Append(const std::filesystem::path& file, std::string_view bytes);
  /// What stands before the mark. Throws InputError when the file is shorter, or not the one that
  /// was marked.
  [[nodiscard]] static std::string Read(const std::filesystem::path& file, Mark mark);
  /// The same, and cuts off what stands behind it.
  std::string Resume(const std::filesystem::path& file, Mark mark);

  [[nodiscard]] Mark mark() const { return mark_; }

 private:
  Mark mark_;
};

/// "bytes:crc32c", as it stands in a checkpoint.
[[nodiscard]] std::string MarkText(AppendedFile::Mark mark);
/// The inverse. Throws InputError: `where`, found, expected.
[[nodiscard]] AppendedFile::Mark ParseMark(std::string_view text, std::string_view where);

}  // namespace foreplan
