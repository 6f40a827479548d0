// A data set on disk that only grows: a folder of files, each with the rows since the file before.
#pragma once

#include <cstdint>
#include <filesystem>

#include "foreplan/data/dataset.h"

namespace foreplan {

/// Writes the rows of `data` from `first_row` on into folder/transitions-<first row>.safetensors.
/// Nothing is written when there are no such rows. Throws RunError naming file and cause.
void WriteSegment(const std::filesystem::path& folder, const Dataset& data, int64_t first_row);

/// Removes the files whose rows begin at `row` or behind it, which a process that was killed may
/// have left. Throws RunError naming folder and cause.
void RemoveSegmentsFrom(const std::filesystem::path& folder, int64_t row);

/// Where the rows from `first_row` on begin.
[[nodiscard]] std::filesystem::path SegmentFile(const std::filesystem::path& folder,
                                                int64_t first_row);

/// Whether the folder has a file that WriteSegment wrote.
[[nodiscard]] bool HasSegments(const std::filesystem::path& folder);
/// The file that holds row 0.
[[nodiscard]] std::filesystem::path FirstSegment(const std::filesystem::path& folder);

/// Replaces the rows of `data` by the first `rows` of the folder (what a later file holds is left
/// alone), or by all of them when rows < 0. Throws InputError naming the file: one that is missing
/// or damaged, holds no rows, does not fit `data`, or goes on beyond `rows`; then `data` stays as
/// it was.
void ReadSegments(const std::filesystem::path& folder, int64_t rows, Dataset& data);

}  // namespace foreplan
