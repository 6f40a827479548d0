// What a run goes on from.
#pragma once

#include <cstdint>
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

/// Metadata: how many rows of the folder's data the checkpoint counts.
inline constexpr const char* kCheckpointRows = "data.rows";

/// What a learner goes on from.
struct Checkpoint {
  TensorFile state;
  Dataset data;
};

/// The checkpoint of a run with the rows of data that it counts. Throws InputError naming the file.
[[nodiscard]] Checkpoint ReadCheckpoint(const RunDirectory& directory, int observation_dim,
                                        int action_dim);

}  // namespace foreplan
