#include "foreplan/data/recording.h"

#include <fmt/format.h>

#include <cmath>
#include <system_error>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/core/read_file.h"
#include "foreplan/data/array_recording.h"
#include "foreplan/data/episode_recording.h"
#include "foreplan/data/named_array.h"
#include "foreplan/data/quaternions.h"
#include "foreplan/data/resampling.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/data/segments.h"
#include "foreplan/data/steady_columns.h"
#include "foreplan/data/table_recording.h"
#include "foreplan/data/unit_conversion.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

/// A data set's numbers are finite; these are not too large either.
void CheckSizes(const std::string& source, const Dataset& data) {
  const auto check = [&](const char* array, int64_t row, std::span<const double> values) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::abs(values[i]) <= kLargestNumber) continue;
      throw InputError(fmt::format(
          "{}: data.{}: row {}, column {}: found {}, expected a number up to {:g} in size", source,
          array, row, i, values[i], kLargestNumber));
    }
  };
  for (int64_t row = 0; row < data.size(); ++row) {
    check("observation", row, data.observation(row));
    check("action", row, data.action(row));
    check("next_observation", row, data.next_observation(row));
  }
}

/// The names given, or numbered ones as many as the tensor has columns.
std::vector<std::string> NamesOf(const std::vector<std::string>& given, const std::string& kind,
                                 const TensorFile& file) {
  constexpr int64_t kMostColumns = 1'000'000;  // also of an array without rows
  if (!given.empty()) return given;
  const auto found = file.tensors.find("data." + kind);
  if (found == file.tensors.end() || found->second.shape.size() != 2 ||
      found->second.shape[1] < 1 || found->second.shape[1] > kMostColumns) {
    throw InputError(fmt::format(
        "{}: found no tensor 'data.{}' of rows, expected the data of a run", file.source, kind));
  }
  std::vector<std::string> names;
  for (int64_t i = 0; i < found->second.shape[1]; ++i)
    names.push_back(fmt::format("{}_{}", kind, i));
  return names;
}

/// Transitions in the order they stand, their episodes counted anew.
Recording AsRecording(const std::string& source, const Dataset& data, Recording recording) {
  CheckSizes(source, data);
  int episode = 0;
  for (int64_t row = 0; row < data.size(); ++row) {
    if (row == 0 || data.episode(row) != data.episode(row - 1)) ++episode;
    Transition transition = data.transition(row);
    transition.episode = episode;
    recording.Add(transition, row);
  }
  return recording;
}

/// What a run wrote: a file, or the folder of its segments.
Recording ReadRun(const fs::path& path, const RecordingColumns& columns) {
  std::error_code error;
  const bool in_segments = fs::is_directory(path, error);
  const TensorFile file = ReadTensors(in_segments ? FirstSegment(path) : path);
  Recording recording(NamesOf(columns.observation, "observation", file),
                      NamesOf(columns.action, "action", file));
  Dataset data(recording.data.observation_dim(), recording.data.action_dim());
  if (in_segments) {
    ReadSegments(path, -1, data);
  } else {
    data.Restore(file);
  }
  return AsRecording(path.string(), data, std::move(recording));
}

/// The file itself, or what is inside a folder of Minari or of a run.
fs::path DataFile(const fs::path& file) {
  std::error_code error;
  if (!fs::is_directory(file, error)) return file;
  for (const char* inside : {"data/main_data.hdf5", "main_data.hdf5"}) {
    if (fs::exists(file / inside, error)) return file / inside;
  }
  for (const fs::path& inside : {file / "data", file}) {
    if (HasSegments(inside)) return inside;
  }
  throw InputError(
      fmt::format("{}: found a folder, expected a file of data, a folder of Minari with "
                  "data/main_data.hdf5, or one with transitions of a run",
                  file.string()));
}

/// Kinds of files that other programs can save as a table, and how.
std::string HowToConvert(const std::string& suffix) {
  if (suffix == ".xlsx" || suffix == ".xls" || suffix == ".ods") {
    return "; a spreadsheet saves its sheet as CSV";
  }
  if (suffix == ".mat") return "; in MATLAB, writetable(T, 'log.csv') writes a table";
  if (suffix == ".npy") return "; np.savez('log.npz', observations=o, actions=a) names its arrays";
  if (suffix == ".parquet" || suffix == ".feather" || suffix == ".pkl") {
    return "; pandas writes its frames with to_csv('log.csv')";
  }
  if (suffix == ".bag" || suffix == ".db3" || suffix == ".mcap") {
    return "; export the topics of a bag as CSV";
  }
  return "";
}

Recording ReadBySuffix(const fs::path& file, const RecordingColumns& columns,
                       const LogOptions& options) {
  const std::string suffix = file.extension().string();
  const std::string name = file.string();
  if (suffix == ".csv" || suffix == ".tsv" || suffix == ".txt") {
    return ReadTableRecording(file, columns, options);
  }
  std::vector<std::string> others;
  for (const NewName& rename : options.renames) others.push_back(rename.old);
  if (suffix == ".npz") return ReadArrayRecording(name, ReadNpz(file, others), columns, options);
  if (suffix == ".hdf5" || suffix == ".h5") {
    return ReadArrayRecording(name, ReadHdf5(file, others), columns, options);
  }
  if (suffix == ".safetensors") return ReadRun(file, columns);
  if (suffix == ".gz") return AsRecording(name, ReadEpisodeRecording(file), columns);
  throw InputError(
      fmt::format("{}: found a file of kind '{}', expected .csv, .tsv, .txt, .npz, .hdf5, .h5, "
                  ".safetensors or .safetensors.gz{}",
                  name, suffix, HowToConvert(suffix)));
}

std::vector<Component> WithUnits(const std::vector<std::string>& names,
                                 const std::vector<std::string>& units) {
  std::vector<Component> components;
  for (size_t i = 0; i < names.size(); ++i) {
    components.push_back({names[i], i < units.size() ? units[i] : ""});
  }
  return components;
}

/// Throws InputError for what does not go together with a file that foreplan wrote, or with the
/// period that is wanted.
void CheckOptions(const fs::path& file, const RecordingColumns& columns,
                  const LogOptions& options) {
  const std::string suffix = file.extension().string();
  const bool is_own = suffix.empty() || suffix == ".safetensors" || suffix == ".gz";
  if (is_own && !(options.renames.empty() && options.time_unit.empty())) {
    throw InputError(fmt::format(
        "{}: found --rename or --time-unit for data that foreplan wrote, expected neither",
        file.string()));
  }
  constexpr double kRounding = 1e-6;
  if (options.period > 0 && columns.dt > 0 &&
      std::abs(options.period - columns.dt) > kRounding * columns.dt) {
    throw InputError(fmt::format("--period: found {:.6g} s, expected {:.6g} s, the task's period",
                                 options.period, columns.dt));
  }
}

}  // namespace

Recording::Recording(std::vector<std::string> observation_names,
                     std::vector<std::string> action_names)
    : data(static_cast<int>(observation_names.size()), static_cast<int>(action_names.size())),
      observation(std::move(observation_names)),
      action(std::move(action_names)) {}

void Recording::Add(const Transition& transition, int64_t at) {
  const bool is_first = data.size() == 0 || data.episode(data.size() - 1) != transition.episode;
  if (is_first) data.EndEpisode(StepEnd::kTruncated);
  data.Add(transition);
  places.push_back(at);
}

std::string Recording::PlaceOf(int64_t row) const {
  std::string place = fmt::format("{} {}", place_unit, places[static_cast<size_t>(row)]);
  if (place_unit != "step") return place;
  return fmt::format("{} of episode {} of {}", place, data.episode(row),
                     data.episode(data.size() - 1));
}

std::vector<Component> ObservationOf(const Recording& recording) {
  return WithUnits(recording.observation, recording.observation_units);
}

std::vector<Component> ActionOf(const Recording& recording) {
  return WithUnits(recording.action, recording.action_units);
}

Recording ReadRecording(const fs::path& path, const RecordingColumns& columns,
                        const LogOptions& options) {
  const fs::path file = DataFile(path);
  std::error_code error;
  if (!fs::exists(file, error)) {
    throw InputError(
        fmt::format("{}: found no such file, expected logged transitions", file.string()));
  }
  const bool in_segments = fs::is_directory(file, error);
  if (!in_segments) CheckRegularFile(file);
  CheckOptions(file, columns, options);
  Recording recording = in_segments ? ReadRun(file, columns) : ReadBySuffix(file, columns, options);
  if (recording.data.size() == 0) {
    throw InputError(fmt::format(
        "{}: found no transitions, expected at least two consecutive rows of an episode",
        file.string()));
  }
  recording.data.EndEpisode(StepEnd::kTruncated);
  ConvertUnits(file.string(), columns, options, recording);
  CarryQuaternionsOn(recording);
  if (columns.observation.empty()) NoteSteadyColumns(recording);
  if (options.period > 0) recording = Resampled(file.string(), recording, options.period);
  recording.data.EndEpisode(StepEnd::kTruncated);
  recording.episodes = recording.data.episode(recording.data.size() - 1);
  return recording;
}

}  // namespace foreplan
