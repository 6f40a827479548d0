// A data set on disk that only grows: a folder of files, each with rows that follow those of the
// file before. They are what a checkpoint counts, and what others read.
#pragma once

#include <cstdint>
#include <filesystem>

#include "foreplan/data/dataset.h"

namespace foreplan {

/// Writes the rows of `data` from `first_row` on into folder/transitions-<first row>.safetensors. A
/// file holds rows of one segment of the data set, a megabyte or one row: rows that go on beyond it
/// are several files, so that neither writer nor reader ever holds more of them twice. Nothing is
/// written when there are no such rows. Throws RunError naming file and cause: also a number that
/// is not finite, which ReadSegments would refuse.
void WriteSegments(const std::filesystem::path& folder, const Dataset& data, int64_t first_row);

/// Removes the files whose rows begin at `row` or behind it, which a process that was killed may
/// have left. Throws RunError naming folder and cause.
void RemoveSegmentsFrom(const std::filesystem::path& folder, int64_t row);

/// The file whose first row is `first_row`.
[[nodiscard]] std::filesystem::path SegmentFile(const std::filesystem::path& folder,
                                                int64_t first_row);

/// Whether the folder has a file that WriteSegments wrote.
[[nodiscard]] bool HasSegments(const std::filesystem::path& folder);
/// The file that holds row 0.
[[nodiscard]] std::filesystem::path FirstSegment(const std::filesystem::path& folder);

/// Replaces the rows of `data` by the first `rows` of the folder (what a later file holds is left
/// alone), or by all of them when rows < 0. Files may hold any number of rows, as those of earlier
/// versions do. Throws InputError naming the file: one that is missing
/// or damaged, holds no rows, does not fit `data`, or goes on beyond `rows`; then `data` stays as
/// it was.
void ReadSegments(const std::filesystem::path& folder, int64_t rows, Dataset& data);

/// Checksum of all that is known of the rows from `first_row` on, one after the other, whatever
/// files they are in; `before`: of the rows before them.
[[nodiscard]] uint32_t RowsChecksum(const Dataset& data, int64_t first_row, uint32_t before = 0);

}  // namespace foreplan
