#include "foreplan/data/table_recording.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/array_names.h"
#include "foreplan/data/csv_table.h"

namespace foreplan {
namespace {

/// Names that say when a row is, not what the system is like.
constexpr std::array<std::string_view, 16> kClockNames = {
    "time",  "times", "timestamp", "timestamps", "t",        "step",       "steps", "timestep",
    "index", "idx",   "row",       "frame",      "frame_id", "unnamed: 0", "date",  "datetime"};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

bool IsActionName(std::string_view name) {
  if (name == "action" || name.starts_with("action_") || name.starts_with("action.")) return true;
  return name.starts_with('u') && name.substr(1).find_first_not_of("0123456789") == name.npos;
}

/// What no observation is taken from unless its name is given.
bool IsReserved(std::string_view name) {
  const std::string lower = Lower(name);
  return name.empty() || lower.starts_with("next_") || IsOneOf(kRewardNames, lower) ||
         IsOneOf(kClockNames, lower) || IsOneOf(kEpisodeNames, lower) || IsEndName(lower);
}

/// The columns of a table, by what they hold.
struct TableLayout {
  std::vector<size_t> observation;
  std::vector<size_t> action;
  std::vector<size_t> next;  // empty: of the next row
  std::vector<size_t> ends;  // flags
  std::optional<size_t> reward;
  std::optional<size_t> episode;
  std::optional<size_t> time;
};

/// Throws InputError where two columns have that name.
std::optional<size_t> FindColumn(const CsvTable& table, const std::string& name) {
  const auto& columns = table.columns();
  const auto found = std::ranges::find(columns, name);
  if (found == columns.end()) return std::nullopt;
  const auto again = std::find(found + 1, columns.end(), name);
  if (again != columns.end()) {
    throw InputError(fmt::format("{}:1: column {}: found the name '{}' again, which column {} has",
                                 table.source(), again - columns.begin() + 1, name,
                                 found - columns.begin() + 1));
  }
  return static_cast<size_t>(found - columns.begin());
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

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

/// Names by convention where none are given.
RecordingColumns NamesOf(const CsvTable& table, RecordingColumns names) {
  if (names.action.empty()) {
    for (const std::string& name : table.columns()) {
      if (IsActionName(name) && !Contains(names.observation, name)) names.action.push_back(name);
    }
  }
  if (names.observation.empty()) {
    for (const std::string& name : table.columns()) {
      if (!Contains(names.action, name) && !IsReserved(name)) names.observation.push_back(name);
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

/// Columns with one of these names, in any case, that hold neither observation nor action.
std::vector<size_t> ColumnsCalled(const CsvTable& table, std::span<const std::string_view> called,
                                  const RecordingColumns& names) {
  std::vector<size_t> places;
  for (size_t i = 0; i < table.columns().size(); ++i) {
    const std::string& name = table.columns()[i];
    if (Contains(names.observation, name) || Contains(names.action, name)) continue;
    if (IsOneOf(called, Lower(name))) places.push_back(i);
  }
  return places;
}

std::optional<size_t> OneOf(const CsvTable& table, const std::vector<size_t>& places) {
  if (places.empty()) return std::nullopt;
  if (places.size() > 1) {
    throw InputError(fmt::format("{}:1: found the columns '{}' and '{}', expected one of them",
                                 table.source(), table.columns()[places[0]],
                                 table.columns()[places[1]]));
  }
  return places.front();
}

TableLayout LayoutOf(const CsvTable& table, const RecordingColumns& names) {
  TableLayout layout{.observation = FindColumns(table, names.observation),
                     .action = FindColumns(table, names.action),
                     .next = {},
                     .ends = {},
                     .reward = std::nullopt,
                     .episode = OneOf(table, ColumnsCalled(table, kEpisodeNames, names)),
                     .time = std::nullopt};
  for (const std::span<const std::string_view> flags :
       {std::span<const std::string_view>(kTerminatedNames),
        std::span<const std::string_view>(kTruncatedNames),
        std::span<const std::string_view>(kDoneNames)}) {
    std::ranges::copy(ColumnsCalled(table, flags, names), std::back_inserter(layout.ends));
  }
  // Nobody may want rewards: of two columns none is taken.
  const std::vector<size_t> rewards = ColumnsCalled(table, kRewardNames, names);
  if (rewards.size() == 1) layout.reward = rewards.front();
  // In seconds; a column called Time or t may have another unit.
  const bool is_named = Contains(names.observation, "time") || Contains(names.action, "time");
  if (!is_named) layout.time = FindColumn(table, "time");
  std::vector<std::string> next;
  for (const std::string& name : names.observation) next.push_back("next_" + name);
  const auto present = std::ranges::count_if(
      next, [&](const auto& name) { return Contains(table.columns(), name); });
  if (present > 0) layout.next = FindColumns(table, next);
  return layout;
}

class TableReader {
 public:
  TableReader(const CsvTable& table, const RecordingColumns& names)
      : table_(table), names_(names), layout_(LayoutOf(table, names)) {
    std::vector<size_t> numbers;
    for (const auto* group : {&layout_.observation, &layout_.action, &layout_.next}) {
      numbers.insert(numbers.end(), group->begin(), group->end());
    }
    width_ = numbers.size();
    table.ReadRows([&](int line, std::span<const std::string_view> cells) {
      for (const size_t column : numbers) {
        numbers_.push_back(table.Number(cells[column], column, line));
      }
      if (layout_.time) times_.push_back(table.Number(cells[*layout_.time], *layout_.time, line));
      FlaggedEnd end;
      for (const size_t column : layout_.ends) {
        if (table.Flag(cells[column], column, line)) end.Set(Lower(table.columns()[column]));
      }
      ends_.push_back(end.end());
      rewards_.push_back(layout_.reward ? CsvTable::NumberOrNan(cells[*layout_.reward])
                                        : std::numeric_limits<double>::quiet_NaN());
      if (layout_.episode) {
        const std::string_view episode = cells[*layout_.episode];
        if (episode.empty())
          throw table.Wrong(line, *layout_.episode, "an empty cell", "an episode");
        episodes_.emplace_back(episode);
      }
      lines_.push_back(line);
    });
  }

  Recording Read(bool says_what_is_left_out) {
    Recording recording(names_.observation, names_.action);
    recording.place_unit = "line";
    if (says_what_is_left_out) NoteWhatIsLeftOut(recording);
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
        recording.Add({.observation = Row(row).first(no),
                       .action = Row(row).subspan(no, nu),
                       .next_observation = next,
                       .episode = episode,
                       .reward = rewards_[row],
                       .end = ends_[row]},
                      lines_[row]);
      }
      if (last) fresh = true;
    }
    return recording;
  }

 private:
  [[nodiscard]] size_t rows() const { return lines_.size(); }
  [[nodiscard]] std::span<const double> Row(size_t row) const {
    return std::span(numbers_).subspan(row * width_, width_);
  }
  /// The next row belongs to the same episode.
  [[nodiscard]] bool Continues(size_t row) const {
    return ends_[row] == StepEnd::kContinues &&
           (!layout_.episode || episodes_[row] == episodes_[row + 1]);
  }

  /// Of the columns that could have been observations.
  void NoteWhatIsLeftOut(Recording& recording) const {
    std::vector<std::string> left_out;
    int nameless = 0;
    for (size_t i = 0; i < table_.columns().size(); ++i) {
      const std::string& name = table_.columns()[i];
      if (name.empty()) ++nameless;
      const bool is_used = Contains(names_.observation, name) || Contains(names_.action, name) ||
                           std::ranges::find(layout_.next, i) != layout_.next.end() ||
                           std::ranges::find(layout_.ends, i) != layout_.ends.end() ||
                           layout_.reward == i || layout_.episode == i || layout_.time == i;
      if (!is_used && !name.empty()) left_out.push_back(name);
    }
    if (!left_out.empty()) {
      recording.notes.push_back(
          fmt::format("not taken for observations: {} (--observation names what is)",
                      fmt::join(left_out, ", ")));
    }
    if (nameless > 0) {
      recording.notes.push_back(fmt::format("{} {} without a name left out", nameless,
                                            nameless == 1 ? "column" : "columns"));
    }
  }

  /// A model of one period learns nothing from steps of another.
  void CheckTimes(Recording& recording) const {
    if (!layout_.time || rows() < 2) return;
    std::vector<double> steps;
    for (size_t row = 0; row + 1 < rows(); ++row) {
      if (Continues(row)) steps.push_back(times_[row + 1] - times_[row]);
    }
    if (steps.empty()) return;
    const auto middle = steps.begin() + std::ssize(steps) / 2;
    std::ranges::nth_element(steps, middle);
    recording.dt = *middle;
    const double expected = names_.dt > 0 ? names_.dt : recording.dt;
    constexpr double kTolerance = 0.1;
    for (size_t row = 0; row + 1 < rows(); ++row) {
      if (!Continues(row)) continue;
      const double step = times_[row + 1] - times_[row];
      if (step > 0 && std::abs(step - expected) <= kTolerance * expected) continue;
      throw InputError(fmt::format(
          "{}:{}: column {} ('{}'): found a step of {:.6g} s from the row before, expected {:.6g} "
          "s "
          "within 10 %; give rows of another episode another number in a column 'episode'",
          table_.source(), lines_[row + 1], *layout_.time + 1, table_.columns()[*layout_.time],
          step, expected));
    }
  }

  const CsvTable& table_;
  const RecordingColumns& names_;
  TableLayout layout_;
  size_t width_ = 0;                   // numbers per row: observation, action, next
  std::vector<double> numbers_;        // [rows x width]
  std::vector<double> times_;          // [rows], when there are some
  std::vector<StepEnd> ends_;          // [rows], as they are flagged
  std::vector<double> rewards_;        // [rows], NaN: not known
  std::vector<std::string> episodes_;  // [rows], when there are some; as they are written
  std::vector<int> lines_;             // [rows], in the file, from 1
};

}  // namespace

Recording ReadTableRecording(const std::filesystem::path& file, const RecordingColumns& columns) {
  const CsvTable table(file);
  const RecordingColumns names = NamesOf(table, columns);
  return TableReader(table, names).Read(columns.observation.empty());
}

}  // namespace foreplan
