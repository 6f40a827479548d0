#include "foreplan/data/recording.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/csv_table.h"
#include "foreplan/data/named_array.h"
#include "foreplan/data/safetensors.h"
#include "foreplan/data/segments.h"

namespace foreplan {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> Numbered(const std::string& prefix, size_t count) {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) names.push_back(fmt::format("{}_{}", prefix, i));
  return names;
}

Recording EmptyRecording(std::vector<std::string> observation, std::vector<std::string> action) {
  Dataset data(static_cast<int>(observation.size()), static_cast<int>(action.size()));
  return {std::move(data), std::move(observation), std::move(action), 0, 0, {}};
}

/// Throws when there is nothing to learn from; counts the episodes.
Recording Finished(const std::string& source, Recording recording) {
  if (recording.data.size() == 0) {
    throw InputError(fmt::format(
        "{}: found no transitions, expected at least two consecutive rows of an episode", source));
  }
  recording.episodes = recording.data.episode(recording.data.size() - 1);
  return recording;
}

// --- tables --------------------------------------------------------------------------------------

bool IsActionName(std::string_view name) {
  if (name == "action" || name.starts_with("action_") || name.starts_with("action.")) return true;
  return name.starts_with('u') && name.substr(1).find_first_not_of("0123456789") == name.npos;
}

bool IsReserved(std::string_view name) {
  for (const char* known : {"episode", "time", "step", "reward", "terminated", "truncated",
                            "terminal", "timeout", "done"}) {
    if (name == known) return true;
  }
  return name.starts_with("next_");
}

/// The columns of a table, by what they hold.
struct TableLayout {
  std::vector<size_t> observation;
  std::vector<size_t> action;
  std::vector<size_t> next;  // empty: of the next row
  std::optional<size_t> episode;
  std::optional<size_t> time;
};

std::optional<size_t> FindColumn(const CsvTable& table, const std::string& name) {
  const auto found = std::ranges::find(table.columns(), name);
  if (found == table.columns().end()) return std::nullopt;
  return static_cast<size_t>(found - table.columns().begin());
}

std::vector<size_t> FindColumns(const CsvTable& table, const std::vector<std::string>& names) {
  std::vector<size_t> places;
  for (const std::string& name : names) {
    const auto place = FindColumn(table, name);
    if (!place) throw UnknownName(table.source() + ":1", "column", name, table.columns());
    places.push_back(*place);
  }
  return places;
}

/// Names by convention where none are given.
RecordingColumns NamesOf(const CsvTable& table, RecordingColumns names) {
  if (names.action.empty()) {
    std::ranges::copy_if(table.columns(), std::back_inserter(names.action), IsActionName);
  }
  if (names.observation.empty()) {
    for (const std::string& name : table.columns()) {
      const bool is_action = std::ranges::find(names.action, name) != names.action.end();
      if (!is_action && !IsReserved(name)) names.observation.push_back(name);
    }
  }
  if (names.action.empty() || names.observation.empty()) {
    throw InputError(fmt::format(
        "{}:1: found the columns {}, expected some with {}; name them, or give the task",
        table.source(), fmt::join(table.columns(), ", "),
        names.action.empty() ? "actions (action, action_*, u, u0, ...)" : "observations"));
  }
  return names;
}

TableLayout LayoutOf(const CsvTable& table, const RecordingColumns& names) {
  TableLayout layout{.observation = FindColumns(table, names.observation),
                     .action = FindColumns(table, names.action),
                     .next = {},
                     .episode = FindColumn(table, "episode"),
                     .time = FindColumn(table, "time")};
  std::vector<std::string> next;
  for (const std::string& name : names.observation) next.push_back("next_" + name);
  const auto present = std::ranges::count_if(
      next, [&](const std::string& name) { return FindColumn(table, name).has_value(); });
  if (present > 0) layout.next = FindColumns(table, next);
  return layout;
}

class TableReader {
 public:
  TableReader(const CsvTable& table, const RecordingColumns& names)
      : table_(table), names_(names), layout_(LayoutOf(table, names)) {
    for (const auto* group : {&layout_.observation, &layout_.action, &layout_.next}) {
      columns_.insert(columns_.end(), group->begin(), group->end());
    }
    for (const auto& column : {layout_.episode, layout_.time}) {
      if (column) columns_.push_back(*column);
    }
    numbers_ = table.Read(columns_);
  }

  Recording Read() {
    Recording recording = EmptyRecording(names_.observation, names_.action);
    const size_t no = layout_.observation.size();
    const size_t nu = layout_.action.size();
    CheckTimes(recording);
    int episode = 0;
    bool fresh = true;  // the next transition is the first of its episode
    for (size_t row = 0; row < rows(); ++row) {
      const bool last = row + 1 == rows() || !Continues(row);
      const bool has_next = !layout_.next.empty() || !last;
      if (has_next) {
        if (fresh) ++episode;
        fresh = false;
        const std::span<const double> next =
            layout_.next.empty() ? Row(row + 1).first(no) : Row(row).subspan(no + nu, no);
        recording.data.Add(Row(row).first(no), Row(row).subspan(no, nu), next, episode);
      }
      if (last) fresh = true;
    }
    return Finished(table_.source(), std::move(recording));
  }

 private:
  [[nodiscard]] size_t rows() const { return numbers_.lines.size(); }
  [[nodiscard]] std::span<const double> Row(size_t row) const {
    return std::span(numbers_.values).subspan(row * columns_.size(), columns_.size());
  }
  [[nodiscard]] double Time(size_t row) const { return Row(row).back(); }
  /// The next row belongs to the same episode.
  [[nodiscard]] bool Continues(size_t row) const {
    if (!layout_.episode) return true;
    const size_t place = columns_.size() - (layout_.time ? 2 : 1);
    return Row(row)[place] == Row(row + 1)[place];
  }

  /// A model of one period learns nothing from steps of another.
  void CheckTimes(Recording& recording) const {
    if (!layout_.time || rows() < 2) return;
    std::vector<double> steps;
    for (size_t row = 0; row + 1 < rows(); ++row) {
      if (Continues(row)) steps.push_back(Time(row + 1) - Time(row));
    }
    if (steps.empty()) return;
    const auto middle = steps.begin() + std::ssize(steps) / 2;
    std::ranges::nth_element(steps, middle);
    recording.dt = *middle;
    const double expected = names_.dt > 0 ? names_.dt : recording.dt;
    constexpr double kTolerance = 0.1;
    for (size_t row = 0; row + 1 < rows(); ++row) {
      if (!Continues(row)) continue;
      const double step = Time(row + 1) - Time(row);
      if (step > 0 && std::abs(step - expected) <= kTolerance * expected) continue;
      throw InputError(fmt::format(
          "{}:{}: column {} ('time'): found a step of {:.6g} s from the row before, expected "
          "{:.6g} "
          "s within 10 %; give rows of another episode another number in a column 'episode'",
          table_.source(), numbers_.lines[row + 1], *layout_.time + 1, step, expected));
    }
  }

  const CsvTable& table_;
  const RecordingColumns& names_;
  TableLayout layout_;
  std::vector<size_t> columns_;  // read, in the order of their groups
  CsvTable::Numbers numbers_;
};

Recording ReadTable(const fs::path& file, const RecordingColumns& columns) {
  const CsvTable table(file);
  const RecordingColumns names = NamesOf(table, columns);
  return TableReader(table, names).Read();
}

// --- arrays --------------------------------------------------------------------------------------

using Names = std::vector<std::string>;
const Names kObservations = {"observations", "observation", "obs", "states", "state"};
const Names kActions = {"actions", "action"};
const Names kNext = {"next_observations", "next_observation", "next_obs", "next_states"};
const Names kEpisode = {"episode", "episodes", "episode_id", "episode_ids"};
const Names kEnds = {"terminations", "terminated",  "terminals", "terminal", "dones",
                     "done",         "truncations", "truncated", "timeouts"};

bool IsOneOf(const Names& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

/// "episode_3/observations" -> "observations".
std::string_view BaseName(std::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

bool IsInEpisode(std::string_view name) {
  const size_t slash = name.find('/');
  return name.starts_with("episode_") && slash != std::string_view::npos &&
         name.rfind('/') == slash;
}

/// Names of what is read of an array file: at the top, or in a group per episode.
bool IsWanted(const std::string& name) {
  const std::string_view base = BaseName(name);
  if (IsInEpisode(name)) return IsOneOf(kObservations, base) || IsOneOf(kActions, base);
  if (name.find('/') != std::string::npos) return false;
  for (const Names* names : {&kObservations, &kActions, &kNext, &kEpisode, &kEnds}) {
    if (IsOneOf(*names, name)) return true;
  }
  return false;
}

class ArrayReader {
 public:
  ArrayReader(const fs::path& file, std::vector<NamedArray> arrays, const RecordingColumns& columns)
      : source_(file.string()), arrays_(std::move(arrays)), columns_(columns) {
    for (NamedArray& array : arrays_) {
      if (array.shape.size() == 1) array.shape.push_back(1);
    }
  }

  Recording Read() {
    const bool by_episode = std::ranges::any_of(
        arrays_, [](const NamedArray& array) { return IsInEpisode(array.name); });
    Recording recording = by_episode ? ReadEpisodes() : ReadFlat();
    return Finished(source_, std::move(recording));
  }

 private:
  [[nodiscard]] InputError Wrong(const NamedArray& array, std::string_view expected) const {
    return InputError(fmt::format("{}: {}: found shape [{}], expected {}", source_, array.name,
                                  fmt::join(array.shape, " x "), expected));
  }

  const NamedArray* Find(const Names& names, const std::string& group = "") const {
    const NamedArray* found = nullptr;
    for (const NamedArray& array : arrays_) {
      const bool fits = IsOneOf(names, BaseName(array.name)) &&
                        array.name.size() == group.size() + BaseName(array.name).size() &&
                        array.name.starts_with(group);
      if (!fits) continue;
      if (found != nullptr) {
        throw InputError(fmt::format("{}: found '{}' and '{}', expected one of them", source_,
                                     found->name, array.name));
      }
      found = &array;
    }
    return found;
  }

  const NamedArray& Need(const Names& names, const std::string& group = "") const {
    const NamedArray* array = Find(names, group);
    if (array != nullptr) return *array;
    throw InputError(
        fmt::format("{}: found no array '{}{}', expected one", source_, group, names.front()));
  }

  /// An array of `columns` numbers in each row of its last dimension.
  void CheckColumns(const NamedArray& array, size_t columns) const {
    if (static_cast<size_t>(array.shape.back()) == columns) return;
    throw Wrong(array, fmt::format("{} in the last dimension", columns));
  }

  void CheckNumbers(const NamedArray& array) const {
    const auto columns = static_cast<size_t>(array.shape.back());
    for (size_t i = 0; i < array.values.size(); ++i) {
      if (std::abs(array.values[i]) <= kLargestNumber) continue;
      throw InputError(fmt::format(
          "{}: {}: row {}, column {}: found {}, expected a number up to {:g} in size", source_,
          array.name, i / columns, i % columns, array.values[i], kLargestNumber));
    }
  }

  Recording Begin(const NamedArray& observations, const NamedArray& actions) const {
    const auto no = static_cast<size_t>(observations.shape.back());
    const auto nu = static_cast<size_t>(actions.shape.back());
    if (no == 0) throw Wrong(observations, "some numbers in the last dimension");
    if (nu == 0) throw Wrong(actions, "some numbers in the last dimension");
    if (!columns_.observation.empty()) CheckColumns(observations, columns_.observation.size());
    if (!columns_.action.empty()) CheckColumns(actions, columns_.action.size());
    return EmptyRecording(
        columns_.observation.empty() ? Numbered("observation", no) : columns_.observation,
        columns_.action.empty() ? Numbered("action", nu) : columns_.action);
  }

  /// `steps` transitions from one row of observations to the next.
  static void AddTrajectory(const double* observation, const double* action, size_t steps,
                            int episode, Recording& recording) {
    const auto no = static_cast<size_t>(recording.data.observation_dim());
    const auto nu = static_cast<size_t>(recording.data.action_dim());
    for (size_t t = 0; t < steps; ++t) {
      recording.data.Add({observation + t * no, no}, {action + t * nu, nu},
                         {observation + (t + 1) * no, no}, episode);
    }
  }

  void CheckTrajectory(const NamedArray& observations, const NamedArray& actions) const {
    if (actions.shape.size() != 2) throw Wrong(actions, "[steps x actions]");
    if (observations.shape.size() != 2 || observations.shape[0] != actions.shape[0] + 1) {
      throw Wrong(observations, fmt::format("[{} x observations], one row more than '{}'",
                                            actions.shape[0] + 1, actions.name));
    }
  }

  Recording ReadEpisodes() const {
    std::optional<Recording> recording;
    int episode = 0;
    std::string before;
    for (const NamedArray& array : arrays_) {
      const std::string group(array.name.substr(0, array.name.find('/') + 1));
      if (!IsInEpisode(array.name) || group == before) continue;
      before = group;
      const NamedArray& observations = Need(kObservations, group);
      const NamedArray& actions = Need(kActions, group);
      if (!recording) recording = Begin(observations, actions);
      CheckColumns(observations, recording->observation.size());
      CheckColumns(actions, recording->action.size());
      CheckTrajectory(observations, actions);
      CheckNumbers(observations);
      CheckNumbers(actions);
      const auto steps = static_cast<size_t>(actions.shape[0]);
      if (steps == 0) {
        recording->notes.push_back(fmt::format("{} has no steps and was left out", group));
        continue;
      }
      AddTrajectory(observations.values.data(), actions.values.data(), steps, ++episode,
                    *recording);
    }
    return std::move(*recording);
  }

  Recording ReadFlat() const {
    const NamedArray& observations = Need(kObservations);
    const NamedArray& actions = Need(kActions);
    Recording recording = Begin(observations, actions);
    CheckNumbers(observations);
    CheckNumbers(actions);
    if (observations.shape.size() == 3) {
      AddStack(observations, actions, recording);
      return recording;
    }
    if (observations.shape.size() != 2 || actions.shape.size() != 2) {
      throw Wrong(observations.shape.size() != 2 ? observations : actions,
                  "[rows x numbers], or [episodes x rows x numbers] of both");
    }
    const NamedArray* next = Find(kNext);
    const bool one_more = observations.shape[0] == actions.shape[0] + 1;
    if (next == nullptr && one_more) {
      AddTrajectory(observations.values.data(), actions.values.data(),
                    static_cast<size_t>(actions.shape[0]), 1, recording);
      return recording;
    }
    AddRows(observations, actions, next, recording);
    return recording;
  }

  void AddStack(const NamedArray& observations, const NamedArray& actions,
                Recording& recording) const {
    if (actions.shape.size() != 3 || actions.shape[0] != observations.shape[0] ||
        actions.shape[1] + 1 != observations.shape[1]) {
      throw Wrong(actions,
                  fmt::format("[{} x {} x actions], one row less than '{}' in each episode",
                              observations.shape[0], observations.shape[1] - 1, observations.name));
    }
    const auto steps = static_cast<size_t>(actions.shape[1]);
    for (size_t e = 0; e < static_cast<size_t>(actions.shape[0]); ++e) {
      AddTrajectory(observations.values.data() + e * (steps + 1) * recording.observation.size(),
                    actions.values.data() + e * steps * recording.action.size(), steps,
                    static_cast<int>(e) + 1, recording);
    }
  }

  /// One row per step; where an episode ends is said by its number or by flags.
  void AddRows(const NamedArray& observations, const NamedArray& actions, const NamedArray* next,
               Recording& recording) const {
    const int64_t rows = observations.shape[0];
    std::vector<const NamedArray*> ends;
    const auto add_end = [&](const NamedArray& array) {
      if (IsOneOf(kEnds, array.name)) ends.push_back(&array);
    };
    std::ranges::for_each(arrays_, add_end);
    const NamedArray* episodes = Find(kEpisode);
    std::vector<const NamedArray*> all = ends;
    all.push_back(&actions);
    if (next != nullptr) all.push_back(next);
    if (episodes != nullptr) all.push_back(episodes);
    for (const NamedArray* array : all) {
      if (array->shape.size() != 2 || array->shape[0] != rows) {
        throw Wrong(*array, fmt::format("{} rows, as '{}' has", rows, observations.name));
      }
    }
    if (next != nullptr) {
      CheckColumns(*next, recording.observation.size());
      CheckNumbers(*next);
    }
    const auto no = recording.observation.size();
    const auto nu = recording.action.size();
    int episode = 0;
    bool fresh = true;
    for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
      const bool flagged = std::ranges::any_of(
          ends, [row](const NamedArray* array) { return array->values[row] != 0; });
      const bool last = row + 1 == static_cast<size_t>(rows) || flagged ||
                        (episodes != nullptr && episodes->values[row] != episodes->values[row + 1]);
      if (next != nullptr || !last) {
        if (fresh) ++episode;
        fresh = false;
        const double* after = next != nullptr ? next->values.data() + row * no
                                              : observations.values.data() + (row + 1) * no;
        recording.data.Add({observations.values.data() + row * no, no},
                           {actions.values.data() + row * nu, nu}, {after, no}, episode);
      }
      if (last) fresh = true;
    }
  }

  std::string source_;
  std::vector<NamedArray> arrays_;
  const RecordingColumns& columns_;
};

/// The folder with the segments of a run: itself, or its data/; "" when there are none.
fs::path SegmentFolder(const fs::path& path) {
  for (fs::path folder : {path, path / "data"}) {
    if (HasSegments(folder)) return folder;
  }
  return "";
}

/// A file that holds all, or the folder of segments.
Recording ReadRun(const fs::path& path, const RecordingColumns& columns) {
  const bool in_segments = fs::is_directory(path);
  const TensorFile tensors = ReadTensors(in_segments ? SegmentFile(path, 0) : path);
  const auto width = [&](const std::string& name) {
    const auto found = tensors.tensors.find(name);
    if (found != tensors.tensors.end() && found->second.shape.size() == 2 &&
        found->second.shape[1] > 0) {
      return static_cast<size_t>(found->second.shape[1]);
    }
    throw InputError(fmt::format("{}: found no tensor '{}' of rows, expected the data of a run",
                                 tensors.source, name));
  };
  Names observation = columns.observation;
  Names action = columns.action;
  if (observation.empty()) observation = Numbered("observation", width("data.observation"));
  if (action.empty()) action = Numbered("action", width("data.action"));
  Recording recording = EmptyRecording(std::move(observation), std::move(action));
  if (in_segments) {
    ReadSegments(path, -1, recording.data);
  } else {
    recording.data.Restore(tensors);
  }
  return Finished(path.string(), std::move(recording));
}

/// The file itself, or the one inside a folder of Minari.
fs::path DataFile(const fs::path& file) {
  std::error_code error;
  if (!fs::is_directory(file, error)) return file;
  for (const char* inside : {"data/main_data.hdf5", "main_data.hdf5"}) {
    if (fs::is_regular_file(file / inside, error)) return file / inside;
  }
  throw InputError(
      fmt::format("{}: found a folder, expected a file of data, the folder of a run, or one of "
                  "Minari with data/main_data.hdf5",
                  file.string()));
}

}  // namespace

Recording ReadRecording(const fs::path& path, const RecordingColumns& columns) {
  if (const fs::path folder = SegmentFolder(path); !folder.empty()) {
    return ReadRun(folder, columns);
  }
  const fs::path file = DataFile(path);
  std::error_code error;
  if (!fs::is_regular_file(file, error)) {
    throw InputError(
        fmt::format("{}: found no such file, expected logged transitions", file.string()));
  }
  const std::string suffix = file.extension().string();
  if (suffix == ".csv" || suffix == ".tsv" || suffix == ".txt") return ReadTable(file, columns);
  if (suffix == ".npz") return ArrayReader(file, ReadNpz(file, IsWanted), columns).Read();
  if (suffix == ".hdf5" || suffix == ".h5") {
    return ArrayReader(file, ReadHdf5(file, IsWanted), columns).Read();
  }
  if (suffix == ".safetensors") return ReadRun(file, columns);
  throw InputError(
      fmt::format("{}: found a file of kind '{}', expected .csv, .tsv, .txt, .npz, .hdf5, .h5 or "
                  ".safetensors",
                  file.string(), suffix));
}

}  // namespace foreplan
