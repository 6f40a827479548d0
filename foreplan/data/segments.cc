#include "foreplan/data/segments.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "foreplan/core/crc32c.h"
#include "foreplan/core/error.h"
#include "foreplan/data/safetensors.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

/// Stands for a reward that is not known, which any NaN says.
constexpr double kNoReward = std::numeric_limits<double>::quiet_NaN();

constexpr std::string_view kPrefix = "transitions-";
constexpr std::string_view kSuffix = ".safetensors";

/// The first row of a segment by its name; nothing for other files.
std::optional<int64_t> FirstRow(const fs::path& file) {
  std::string name = file.filename().string();
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  name = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  int64_t row = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), row);
  if (error != std::errc() || end != name.data() + name.size() || row < 0) return std::nullopt;
  return row;
}

void CheckCanBeRead(const fs::path& file, const char* array, std::span<const double> values,
                    int columns) {
  for (int64_t i = 0; i < std::ssize(values); ++i) {
    const double value = values[static_cast<size_t>(i)];
    if (std::isfinite(value)) continue;
    throw RunError(fmt::format("{}: {}: row {}, column {}: found {}, expected a finite number",
                               file.string(), array, i / columns, i % columns, value));
  }
}

}  // namespace

// Twelve digits, so that names sort as rows do.
fs::path SegmentFile(const fs::path& folder, int64_t first_row) {
  return folder / fmt::format("{}{:012}{}", kPrefix, first_row, kSuffix);
}

void WriteSegments(const fs::path& folder, const Dataset& data, int64_t first_row) {
  while (first_row < data.size()) {
    const fs::path file = SegmentFile(folder, first_row);
    const TransitionRows rows = data.RowsFrom(first_row);
    CheckCanBeRead(file, "observation", rows.observation, data.observation_dim());
    CheckCanBeRead(file, "action", rows.action, data.action_dim());
    CheckCanBeRead(file, "next observation", rows.next_observation, data.observation_dim());
    TensorFile tensors;
    data.Save(tensors, first_row, first_row + rows.rows);
    WriteTensors(file, tensors);
    first_row += rows.rows;
  }
}

void RemoveSegmentsFrom(const fs::path& folder, int64_t row) {
  try {
    std::vector<fs::path> behind;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (FirstRow(entry.path()).value_or(-1) >= row) behind.push_back(entry.path());
    }
    for (const fs::path& file : behind) fs::remove(file);
  } catch (const fs::filesystem_error& error) {
    throw RunError(
        fmt::format("{}: old data cannot be removed: {}", folder.string(), error.code().message()));
  }
}

fs::path FirstSegment(const fs::path& folder) { return SegmentFile(folder, 0); }

bool HasSegments(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(FirstSegment(folder), error);
}

uint32_t RowsChecksum(const Dataset& data, int64_t first_row, uint32_t before) {
  uint32_t checksum = before;
  const auto add = [&](const auto& values) {
    checksum =
        Crc32c({reinterpret_cast<const char*>(values.data()), values.size_bytes()}, checksum);
  };
  for (int64_t row = first_row; row < data.size(); ++row) {
    add(data.observation(row));
    add(data.action(row));
    add(data.next_observation(row));
    const double reward = std::isnan(data.reward(row)) ? kNoReward : data.reward(row);
    const auto end = static_cast<int32_t>(data.end(row));
    const int32_t episode = data.episode(row);
    add(std::span(&reward, 1));
    add(std::span(&episode, 1));
    add(std::span(&end, 1));
  }
  return checksum;
}

void ReadSegments(const fs::path& folder, int64_t rows, Dataset& data) {
  Dataset read(data.observation_dim(), data.action_dim());
  while (read.size() != rows) {
    const fs::path file = SegmentFile(folder, read.size());
    std::error_code error;
    if (rows < 0 && read.size() > 0 && !fs::exists(file, error)) break;
    const int64_t before = read.size();
    read.Append(ReadTensors(file));
    if (read.size() == before) {
      throw InputError(fmt::format("{}: found no rows, expected some", file.string()));
    }
    if (rows >= 0 && read.size() > rows) {
      throw InputError(fmt::format("{}: found rows up to {}, expected them to end at {}",
                                   file.string(), read.size(), rows));
    }
  }
  data = std::move(read);
}

}  // namespace foreplan
