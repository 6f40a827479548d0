#include "foreplan/data/log_writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/csv_cell.h"
#include "foreplan/data/unit.h"
#include "foreplan/data/zip_writer.h"

namespace foreplan {
namespace {

/// Quoted also where a reader of logs would see a separator or a comment.
std::string Quoted(const std::string& text) { return CsvCell(text, ";\t#"); }

/// "x [m]"; units that no reader would split off again are left out.
std::string Header(const std::string& name, const std::string& unit) {
  const bool is_read_back = !unit.empty() && ParseUnit(unit).has_value();
  return Quoted(is_read_back ? fmt::format("{} [{}]", name, unit) : name);
}

std::string UnitOf(const std::vector<std::string>& units, size_t i) {
  return i < units.size() ? units[i] : "";
}

bool BeginsEpisode(const Dataset& data, int64_t row) {
  return row == 0 || data.episode(row) != data.episode(row - 1);
}

bool EndsEpisode(const Dataset& data, int64_t row) {
  return row + 1 == data.size() || BeginsEpisode(data, row + 1);
}

/// Every step begins where the one before it in its episode ended.
bool StepsFollow(const Dataset& data) {
  for (int64_t row = 1; row < data.size(); ++row) {
    if (!BeginsEpisode(data, row) && !data.continues(row)) return false;
  }
  return true;
}

class CsvWriter {
 public:
  explicit CsvWriter(const Recording& recording)
      : recording_(recording), data_(recording.data), follow_(StepsFollow(data_)) {}

  std::string Text() {
    WriteHeader();
    int64_t step = 0;
    for (int64_t row = 0; row < data_.size(); ++row) {
      step = BeginsEpisode(data_, row) ? 0 : step + 1;
      WriteBegin(row, step, data_.observation(row));
      for (const double value : data_.action(row)) Cell(value);
      if (!follow_) {
        for (const double value : data_.next_observation(row)) Cell(value);
      }
      const double reward = data_.reward(row);
      text_ += std::isnan(reward) ? "," : fmt::format(",{}", reward);
      WriteEnd(follow_ ? StepEnd::kContinues : data_.end(row));
      if (follow_ && EndsEpisode(data_, row)) WriteLastRow(row, step + 1);
    }
    return std::move(text_);
  }

 private:
  void WriteHeader() {
    text_ = "episode";
    if (recording_.dt > 0) text_ += ",time [s]";
    const auto add = [&](const char* prefix, const std::vector<std::string>& names,
                         const std::vector<std::string>& units) {
      for (size_t i = 0; i < names.size(); ++i) {
        text_ += "," + Header(prefix + names[i], UnitOf(units, i));
      }
    };
    add("", recording_.observation, recording_.observation_units);
    add("", recording_.action, recording_.action_units);
    if (!follow_) add("next_", recording_.observation, recording_.observation_units);
    text_ += ",reward,terminated,truncated\n";
  }
  void WriteBegin(int64_t row, int64_t step, std::span<const double> observation) {
    text_ += fmt::format("{}", data_.episode(row));
    if (recording_.dt > 0) Cell(static_cast<double>(step) * recording_.dt);
    for (const double value : observation) Cell(value);
  }
  void WriteEnd(StepEnd end) {
    text_ += fmt::format(",{:d},{:d}\n", end == StepEnd::kTerminated, end == StepEnd::kTruncated);
  }
  /// What the episode's last step led to.
  void WriteLastRow(int64_t row, int64_t step) {
    WriteBegin(row, step, data_.next_observation(row));
    text_.append(recording_.action.size() + 1, ',');  // no action, no reward
    WriteEnd(data_.end(row));
  }
  void Cell(double value) { text_ += fmt::format(",{}", value); }

  const Recording& recording_;
  const Dataset& data_;
  bool follow_;
  std::string text_;
};

/// An array of NPZ: numbers in the order of the machine, which is little-endian.
template <typename Number>
std::string Npy(std::string_view type, const std::vector<int64_t>& shape,
                const std::vector<Number>& values) {
  static_assert(std::endian::native == std::endian::little);
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                   type, fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  constexpr size_t kPreamble = 10;
  constexpr size_t kAlign = 64;
  header.append(kAlign - (kPreamble + header.size() + 1) % kAlign, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  const size_t begin = bytes.size();
  bytes.resize(begin + values.size() * sizeof(Number));
  if (!values.empty()) {
    std::memcpy(bytes.data() + begin, values.data(), values.size() * sizeof(Number));
  }
  return bytes;
}

std::string NpyTexts(const std::vector<std::string>& texts) {
  size_t width = 1;
  for (const std::string& text : texts) width = std::max(width, text.size());
  std::vector<char> bytes(texts.size() * width, '\0');
  for (size_t i = 0; i < texts.size(); ++i) {
    std::ranges::copy(texts[i], bytes.begin() + static_cast<std::ptrdiff_t>(i * width));
  }
  return Npy(fmt::format("|S{}", width), {std::ssize(texts)}, bytes);
}

}  // namespace

std::string LogCsv(const Recording& recording) { return CsvWriter(recording).Text(); }

std::string LogNpz(const Recording& recording) {
  const Dataset& data = recording.data;
  std::vector<double> observation;
  std::vector<double> action;
  std::vector<double> next;
  std::vector<double> reward;
  std::vector<int32_t> episode;
  std::vector<uint8_t> terminated;
  std::vector<uint8_t> truncated;
  const auto append = [](std::vector<double>& all, std::span<const double> row) {
    all.insert(all.end(), row.begin(), row.end());
  };
  for (int64_t row = 0; row < data.size(); ++row) {
    append(observation, data.observation(row));
    append(action, data.action(row));
    append(next, data.next_observation(row));
    reward.push_back(data.reward(row));
    episode.push_back(data.episode(row));
    terminated.push_back(data.end(row) == StepEnd::kTerminated ? 1 : 0);
    truncated.push_back(data.end(row) == StepEnd::kTruncated ? 1 : 0);
  }
  const int64_t rows = data.size();
  const int64_t no = data.observation_dim();
  const int64_t nu = data.action_dim();
  std::vector<std::string> observation_units;
  for (size_t i = 0; i < recording.observation.size(); ++i) {
    observation_units.push_back(UnitOf(recording.observation_units, i));
  }
  std::vector<std::string> action_units;
  for (size_t i = 0; i < recording.action.size(); ++i) {
    action_units.push_back(UnitOf(recording.action_units, i));
  }
  ZipWriter zip;
  zip.Add("observations.npy", Npy("<f8", {rows, no}, observation));
  zip.Add("actions.npy", Npy("<f8", {rows, nu}, action));
  zip.Add("next_observations.npy", Npy("<f8", {rows, no}, next));
  const bool knows_rewards =
      std::ranges::none_of(reward, [](double value) { return std::isnan(value); });
  if (knows_rewards) zip.Add("rewards.npy", Npy("<f8", {rows}, reward));
  zip.Add("terminations.npy", Npy("|b1", {rows}, terminated));
  zip.Add("truncations.npy", Npy("|b1", {rows}, truncated));
  zip.Add("episode.npy", Npy("<i4", {rows}, episode));
  if (recording.dt > 0) zip.Add("dt.npy", Npy("<f8", {}, std::vector<double>{recording.dt}));
  zip.Add("observation_names.npy", NpyTexts(recording.observation));
  zip.Add("observation_units.npy", NpyTexts(observation_units));
  zip.Add("action_names.npy", NpyTexts(recording.action));
  zip.Add("action_units.npy", NpyTexts(action_units));
  return std::move(zip).Finish();
}

}  // namespace foreplan
