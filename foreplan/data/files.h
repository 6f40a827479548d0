// Whole files, written so that a reader never sees half of one.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace foreplan {

/// Temporary file beside the target, fsync, rename. Throws RunError naming file and cause.
void WriteFileAtomically(const std::filesystem::path& file, std::string_view bytes);

/// Renames within a file system, so that a power cut does not undo it. Throws RunError naming the
/// new name and the cause.
void RenameDurably(const std::filesystem::path& from, const std::filesystem::path& to);

/// Throws InputError naming the file and the cause.
std::string ReadFile(const std::filesystem::path& file);

}  // namespace foreplan
