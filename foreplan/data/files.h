// Whole files, written so that a reader never sees half of one.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace foreplan {

/// Temporary file beside the target, fsync, rename. Throws RunError naming file and cause.
void WriteFileAtomically(const std::filesystem::path& file, std::string_view bytes);

/// Throws InputError naming the file and the cause.
std::string ReadFile(const std::filesystem::path& file);

}  // namespace foreplan
