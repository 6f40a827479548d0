#include "foreplan/runs/checkpoint.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <system_error>

#include "foreplan/core/error.h"
#include "foreplan/data/segments.h"

namespace foreplan {
namespace {

template <typename Number>
Number Parsed(const TensorFile& checkpoint, const std::string& key, std::string_view expected) {
  const std::string& text = CheckpointText(checkpoint, key);
  Number value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stop == end && value >= 0) return value;
  throw InputError(fmt::format("{}: metadata '{}': found '{}', expected {}", checkpoint.source, key,
                               text, expected));
}

}  // namespace

const std::string& CheckpointText(const TensorFile& checkpoint, const std::string& key) {
  const auto found = checkpoint.metadata.find(key);
  if (found != checkpoint.metadata.end()) return found->second;
  throw InputError(fmt::format("{}: metadata '{}' is missing, expected the checkpoint of a run",
                               checkpoint.source, key));
}

int64_t CheckpointInteger(const TensorFile& checkpoint, const std::string& key) {
  return Parsed<int64_t>(checkpoint, key, "an integer of at least 0");
}

double CheckpointNumber(const TensorFile& checkpoint, const std::string& key) {
  return Parsed<double>(checkpoint, key, "a number of at least 0");
}

Checkpoint ReadCheckpoint(const RunDirectory& directory, int observation_dim, int action_dim) {
  Checkpoint checkpoint{ReadTensors(directory.checkpoint_file()),
                        Dataset(observation_dim, action_dim)};
  ReadSegments(directory.data_folder(), CheckpointInteger(checkpoint.state, kCheckpointRows),
               checkpoint.data);
  return checkpoint;
}

}  // namespace foreplan
