// Whole files in memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>

namespace foreplan {

/// The bytes of a regular file. Throws InputError naming the file and the cause: it cannot be read,
/// is a folder, a pipe, a device or whatever else may never end, or has more than `most` bytes, or
/// more than there is memory for. Never waits for a writer.
std::string ReadFile(const std::filesystem::path& file,
                     uint64_t most = std::numeric_limits<uint64_t>::max());

/// Throws as ReadFile does where `file` is no regular file; for files that libraries open.
void CheckRegularFile(const std::filesystem::path& file);

}  // namespace foreplan
