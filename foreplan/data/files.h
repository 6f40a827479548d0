// Whole files, written so that a reader never sees half of one; read by core/read_file.h.
#pragma once

#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "foreplan/core/read_file.h"  // IWYU pragma: export

namespace foreplan {

/// Throws RunError naming the file that the disk refuses and the cause; `error`: errno.
[[noreturn]] void ThrowRefused(const std::filesystem::path& file, int error);

/// Temporary file beside the target that no other writer has, fsync, rename. What a writer left
/// that was killed is written anew by the next one. Throws RunError naming file and cause.
void WriteFileAtomically(const std::filesystem::path& file, std::string_view bytes);

/// Makes `to` what `file` is now, whatever becomes of `file`, which is written atomically: another
/// name of the same bytes where the file system knows that, else a copy. For who alone writes `to`.
/// Throws RunError naming it and the cause.
void KeepFileAs(const std::filesystem::path& file, const std::filesystem::path& to);

/// The temporary files that writers left which were killed, in the folder and those within.
[[nodiscard]] std::vector<std::filesystem::path> TemporaryFilesIn(
    const std::filesystem::path& folder);

/// Makes the folder, and those above it that are missing, so that a power cut does not undo it. No
/// error where it is there.
[[nodiscard]] std::error_code MakeFolderDurably(const std::filesystem::path& folder);

/// Renames within a file system, so that a power cut does not undo it. Throws RunError naming the
/// new name and the cause.
void RenameDurably(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace foreplan
