// What a run goes on from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "foreplan/data/dataset.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/runs/run_directory.h"

namespace foreplan {

/// Metadata of a checkpoint. Throws InputError when it is missing, or no number.
[[nodiscard]] const std::string& CheckpointText(const TensorFile& checkpoint,
                                                const std::string& key);
[[nodiscard]] int64_t CheckpointInteger(const TensorFile& checkpoint, const std::string& key);
[[nodiscard]] double CheckpointNumber(const TensorFile& checkpoint, const std::string& key);

/// Metadata: how many rows of the folder's data the checkpoint counts, and their checksum.
inline constexpr const char* kCheckpointRows = "data.rows";
inline constexpr const char* kCheckpointDataChecksum = "data.crc32c";
/// Metadata of a checkpoint, and of the model that was written with it: its number.
inline constexpr const char* kCheckpointNumber = "checkpoint";

/// What a learner goes on from.
struct Checkpoint {
  TensorFile state;
  Dataset data;
  uint32_t data_checksum = 0;  // RowsChecksum
  std::string trouble = {};    // why it is not the last one; "" when it is
};

/// The last checkpoint of a run that holds, with the rows of data that it counts: that is, one that
/// is whole, whose data are those that it was written with, and that `check` does not refuse by an
/// InputError; the last two are kept. Throws InputError naming the file when none holds.
[[nodiscard]] Checkpoint ReadCheckpoint(
    const RunDirectory& directory, int observation_dim, int action_dim,
    const std::function<void(const TensorFile& state)>& check = [](const TensorFile&) {});
/// One of them.
[[nodiscard]] Checkpoint ReadCheckpointOf(const RunDirectory& directory,
                                          const std::filesystem::path& file, int observation_dim,
                                          int action_dim);
/// The last of the checkpoints that is whole, for what it says of the run. Throws InputError naming
/// the file.
[[nodiscard]] TensorFile ReadLastState(const RunDirectory& directory);
/// Writes the checkpoint and keeps the one before it. Throws RunError when the disk refuses; then
/// the last one stays.
void WriteCheckpoint(const RunDirectory& directory, const TensorFile& state);

}  // namespace foreplan
