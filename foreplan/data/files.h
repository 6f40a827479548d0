// Whole files, written so that a reader never sees half of one; read by core/read_file.h.
#pragma once

#include <filesystem>
#include <string_view>

#include "foreplan/core/read_file.h"  // IWYU pragma: export

namespace foreplan {

/// Temporary file of its own name beside the target, fsync, rename. Throws RunError naming file and
/// cause.
void WriteFileAtomically(const std::filesystem::path& file, std::string_view bytes);

/// Makes `to` what `file` is now, whatever becomes of `file`, which is written atomically: another
/// name of the same bytes where the file system knows that, else a copy. Throws RunError naming
/// `to` and the cause.
void KeepFileAs(const std::filesystem::path& file, const std::filesystem::path& to);

/// Removes the temporary files that writers left which were killed, in the folder and those within.
/// For who knows that nobody else writes there. What cannot be removed stays.
void RemoveTemporaryFiles(const std::filesystem::path& folder);

/// Renames within a file system, so that a power cut does not undo it. Throws RunError naming the
/// new name and the cause.
void RenameDurably(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace foreplan
