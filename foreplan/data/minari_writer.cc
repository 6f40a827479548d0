#include "foreplan/data/minari_writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <system_error>

#include "foreplan/core/error.h"
#include "foreplan/data/files.h"
#include "foreplan/data/named_array.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormatVersion = "0.5.0";  // of Minari, which later ones read
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Rows first ... end - 1 of a data set.
struct Rows {
  int64_t first = 0;
  int64_t end = 0;

  [[nodiscard]] int64_t count() const { return end - first; }
};

/// [rows x columns] of what `row` gives.
template <typename RowOf>
NamedArray Matrix(std::string name, Rows rows, int columns, const RowOf& row) {
  NamedArray array{std::move(name), {rows.count(), columns}, {}};
  for (int64_t i = rows.first; i < rows.end; ++i) {
    const std::span<const double> values = row(i);
    array.values.insert(array.values.end(), values.begin(), values.end());
  }
  return array;
}

/// [rows] of what `value` gives.
template <typename ValueOf>
NamedArray Vector(std::string name, Rows rows, const ValueOf& value) {
  NamedArray array{std::move(name), {rows.count()}, {}};
  for (int64_t i = rows.first; i < rows.end; ++i) {
    array.values.push_back(static_cast<double>(value(i)));
  }
  return array;
}

NamedArray Actions(const std::string& name, const Dataset& data, Rows rows) {
  return Matrix(name, rows, data.action_dim(), [&](int64_t row) { return data.action(row); });
}

NamedArray Rewards(const std::string& name, const Dataset& data, Rows rows) {
  return Vector(name, rows, [&](int64_t row) { return data.reward(row); });
}

NamedArray Ends(const std::string& name, const Dataset& data, Rows rows, StepEnd end) {
  return Vector(name, rows, [&](int64_t row) { return data.end(row) == end; });
}

NamedArray Number(std::string name, int64_t value) {
  return {std::move(name), {1}, {static_cast<double>(value)}};
}

bool KnowsRewards(const Dataset& data) {
  for (int64_t row = 0; row < data.size(); ++row) {
    if (std::isnan(data.reward(row))) return false;
  }
  return true;
}

/// Throws InputError where a step does not begin where the one before it ended.
std::vector<Rows> Episodes(const std::string& where, const Recording& recording) {
  const Dataset& data = recording.data;
  std::vector<Rows> episodes;
  for (int64_t row = 0; row < data.size(); ++row) {
    const bool begins = row == 0 || data.episode(row) != data.episode(row - 1);
    if (begins) episodes.push_back({row, row});
    episodes.back().end = row + 1;
    if (begins || data.continues(row)) continue;
    throw InputError(
        fmt::format("{}: found {} that does not begin where the step before ended, expected whole "
                    "episodes for Minari; csv, npz and hdf5 take any",
                    where, recording.PlaceOf(row)));
  }
  return episodes;
}

/// Row first ... end of the episode: what each step began with, and what the last led to.
NamedArray ObservationsOf(const std::string& name, const Dataset& data, Rows episode) {
  NamedArray array = Matrix(name, episode, data.observation_dim(),
                            [&](int64_t row) { return data.observation(row); });
  const std::span<const double> last = data.next_observation(episode.end - 1);
  array.values.insert(array.values.end(), last.begin(), last.end());
  ++array.shape[0];
  return array;
}

std::vector<NamedArray> EpisodeArrays(const Dataset& data, const std::vector<Rows>& episodes) {
  std::vector<NamedArray> arrays;
  for (size_t i = 0; i < episodes.size(); ++i) {
    const Rows rows = episodes[i];
    const std::string group = fmt::format("episode_{}", i);
    arrays.push_back(ObservationsOf(group + "/observations", data, rows));
    arrays.push_back(Actions(group + "/actions", data, rows));
    arrays.push_back(Rewards(group + "/rewards", data, rows));
    arrays.push_back(Ends(group + "/terminations", data, rows, StepEnd::kTerminated));
    arrays.push_back(Ends(group + "/truncations", data, rows, StepEnd::kTruncated));
    arrays.push_back(Number(group + "@id", static_cast<int64_t>(i)));
    arrays.push_back(Number(group + "@total_steps", rows.count()));
  }
  return arrays;
}

/// JSON as Python reads it, which has infinities.
std::string PythonNumber(double value) {
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return nlohmann::json(value).dump();
}

/// A space as Minari writes it.
std::string Box(std::span<const double> low, std::span<const double> high) {
  const auto list = [](std::span<const double> values) {
    std::vector<std::string> numbers;
    for (const double value : values) numbers.push_back(PythonNumber(value));
    return fmt::format("{}", fmt::join(numbers, ", "));
  };
  return fmt::format(
      R"({{"type": "Box", "dtype": "float64", "shape": [{}], "low": [{}], "high": [{}]}})",
      low.size(), list(low), list(high));
}

/// Bounds that are known, widened to what happened.
std::string ActionSpace(const Dataset& data, const MinariDescription& description) {
  const auto nu = static_cast<size_t>(data.action_dim());
  std::vector<double> low = description.action_low;
  std::vector<double> high = description.action_high;
  low.resize(nu, kInfinity);
  high.resize(nu, -kInfinity);
  for (int64_t row = 0; row < data.size(); ++row) {
    for (size_t i = 0; i < nu; ++i) {
      low[i] = std::min(low[i], data.action(row)[i]);
      high[i] = std::max(high[i], data.action(row)[i]);
    }
  }
  return Box(low, high);
}

std::string Metadata(const std::string& id, const Recording& recording, size_t episodes,
                     const MinariDescription& description, uint64_t bytes) {
  const Dataset& data = recording.data;
  const std::vector<double> unbounded(static_cast<size_t>(data.observation_dim()), kInfinity);
  std::vector<double> below(unbounded.size(), -kInfinity);
  nlohmann::ordered_json metadata = {{"total_episodes", episodes},
                                     {"total_steps", recording.data.size()},
                                     {"data_format", "hdf5"},
                                     {"jpeg_encoding", true},
                                     {"observation_space", Box(below, unbounded)},
                                     {"action_space", ActionSpace(data, description)},
                                     {"dataset_id", id},
                                     {"minari_version", kFormatVersion},
                                     {"dataset_size", static_cast<double>(bytes) / 1e6},  // [MB]
                                     {"observation_names", recording.observation},
                                     {"action_names", recording.action}};
  if (!description.algorithm.empty()) metadata["algorithm_name"] = description.algorithm;
  return metadata.dump(2);
}

bool IsMinariLetter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
}

/// "name-v<number>" of the letters that Minari takes.
void CheckId(const fs::path& folder, const std::string& id) {
  const size_t version = id.rfind("-v");
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool valid = version != std::string::npos && version > 0 && version + 2 < id.size() &&
                     std::ranges::all_of(id.substr(0, version), IsMinariLetter) &&
                     std::ranges::all_of(id.substr(version + 2), is_digit);
  if (valid) return;
  throw InputError(fmt::format(
      "{}: found '{}' as the id of a data set, expected letters, digits, - and _ that end in "
      "-v<number>, as pendulum-v0",
      folder.string(), id));
}

}  // namespace

std::string AsMinariName(std::string name) {
  std::ranges::replace_if(
      name, [](char c) { return !IsMinariLetter(c); }, '_');
  return name;
}

void WriteFlatHdf5(const fs::path& file, const Recording& recording) {
  const Dataset& data = recording.data;
  const Rows all{0, data.size()};
  const int no = data.observation_dim();
  std::vector<NamedArray> arrays;
  arrays.push_back(
      Matrix("observations", all, no, [&](int64_t row) { return data.observation(row); }));
  arrays.push_back(Actions("actions", data, all));
  arrays.push_back(Matrix("next_observations", all, no,
                          [&](int64_t row) { return data.next_observation(row); }));
  if (KnowsRewards(data)) arrays.push_back(Rewards("rewards", data, all));
  arrays.push_back(Ends("terminals", data, all, StepEnd::kTerminated));
  arrays.push_back(Ends("timeouts", data, all, StepEnd::kTruncated));
  WriteHdf5(file, arrays);
}

void WriteMinari(const fs::path& folder, const Recording& recording,
                 const MinariDescription& description) {
  const std::string id = folder.filename().string();
  CheckId(folder, id);
  const std::vector<Rows> episodes = Episodes(folder.string(), recording);
  if (!KnowsRewards(recording.data)) {
    throw InputError(fmt::format(
        "{}: found steps whose reward is not known, expected one of every step for Minari",
        folder.string()));
  }
  const fs::path partial = folder.string() + ".partial";
  std::error_code error;
  fs::remove_all(partial, error);
  fs::create_directories(partial / "data", error);
  if (error) throw RunError(fmt::format("{}: {}", partial.string(), error.message()));
  const fs::path data = partial / "data" / "main_data.hdf5";
  try {
    WriteHdf5(data, EpisodeArrays(recording.data, episodes));
    WriteFileAtomically(partial / "data" / "metadata.json",
                        Metadata(id, recording, episodes.size(), description, fs::file_size(data)));
    RenameDurably(partial, folder);
  } catch (...) {
    fs::remove_all(partial, error);
    throw;
  }
}

}  // namespace foreplan
