// Whole files, written so that a reader never sees half of one; read by core/read_file.h.
#pragma once

#include <filesystem>
#include <string_view>

#include "foreplan/core/read_file.h"  // IWYU pragma: export

namespace foreplan {

/// Temporary file beside the target, fsync, rename. Throws RunError naming file and cause.
void WriteFileAtomically(const std::filesystem::path& file, std::string_view bytes);

/// Renames within a file system, so that a power cut does not undo it. Throws RunError naming the
/// new name and the cause.
void RenameDurably(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace foreplan
