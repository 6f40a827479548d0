#include "foreplan/runs/checkpoint.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "foreplan/core/crc32c.h"
#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
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

void ReadData(const RunDirectory& directory, Checkpoint& checkpoint) {
  const TensorFile& state = checkpoint.state;
  ReadSegments(directory.data_folder(), CheckpointInteger(state, kCheckpointRows), checkpoint.data);
  checkpoint.data_checksum = RowsChecksum(checkpoint.data, 0);
  const auto expected = state.metadata.find(kCheckpointDataChecksum);
  if (expected == state.metadata.end()) return;  // of an earlier version
  const std::string found = ChecksumText(checkpoint.data_checksum);
  if (found == expected->second) return;
  throw InputError(
      fmt::format("{}: found checksum {} of the first {} rows, expected the {} of {}: "
                  "they are those of another run, or were changed",
                  directory.data_folder().string(), found, checkpoint.data.size(), expected->second,
                  state.source));
}

/// What `read` makes of the last checkpoint, or, where it throws an InputError, of the one before.
Checkpoint LastThatHolds(const RunDirectory& directory,
                         const std::function<Checkpoint(const std::filesystem::path& file)>& read) {
  try {
    return read(directory.checkpoint_file());
  } catch (const InputError& last) {
    std::error_code error;
    if (!std::filesystem::exists(directory.previous_checkpoint_file(), error)) throw;
    try {
      Checkpoint checkpoint = read(directory.previous_checkpoint_file());
      checkpoint.trouble = last.what();
      return checkpoint;
    } catch (const InputError& previous) {
      throw InputError(fmt::format("{}; nor does the checkpoint before it hold: {}", last.what(),
                                   previous.what()));
    }
  }
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

Checkpoint ReadCheckpoint(const RunDirectory& directory, int observation_dim, int action_dim,
                          const std::function<void(const TensorFile& state)>& check) {
  return LastThatHolds(directory, [&](const std::filesystem::path& file) {
    Checkpoint checkpoint = ReadCheckpointOf(directory, file, observation_dim, action_dim);
    check(checkpoint.state);
    return checkpoint;
  });
}

Checkpoint ReadCheckpointOf(const RunDirectory& directory, const std::filesystem::path& file,
                            int observation_dim, int action_dim) {
  Checkpoint checkpoint{ReadTensors(file), Dataset(observation_dim, action_dim)};
  ReadData(directory, checkpoint);
  return checkpoint;
}

TensorFile ReadLastState(const RunDirectory& directory) {
  return LastThatHolds(directory,
                       [](const std::filesystem::path& file) {
                         return Checkpoint{ReadTensors(file), Dataset(1, 1)};
                       })
      .state;
}

void WriteCheckpoint(const RunDirectory& directory, const TensorFile& state) {
  const std::filesystem::path file = directory.checkpoint_file();
  std::error_code error;
  if (std::filesystem::exists(file, error)) {
    KeepFileAs(file, directory.previous_checkpoint_file());
  }
  WriteTensors(file, state);
}

}  // namespace foreplan
