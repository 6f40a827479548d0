#include "foreplan/data/table_layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>

#include "foreplan/core/error.h"
#include "foreplan/data/array_names.h"
#include "foreplan/data/cell_clock.h"
#include "foreplan/data/column_names.h"
#include "foreplan/data/unit.h"

namespace foreplan {
namespace {

/// Names that say when a row is, not what the system is like: times, then numbers that count.
constexpr std::array<std::string_view, 9> kTimeNames = {
    "time", "times", "timestamp", "timestamps", "t", "date", "datetime", "stamp", "%time"};
constexpr std::array<std::string_view, 9> kCounterNames = {
    "step", "steps", "timestep", "index", "idx", "row", "frame", "frame_id", "unnamed: 0"};
/// In messages of ROS as tables: nanoseconds.
constexpr std::string_view kRosTime = "%time";

bool IsClockName(std::string_view lower) {
  return IsOneOf(kTimeNames, lower) || IsOneOf(kCounterNames, lower);
}

bool IsActionName(std::string_view name) {
  if (name == "action" || name.starts_with("action_") || name.starts_with("action.")) return true;
  return name.starts_with('u') && name.substr(1).find_first_not_of("0123456789") == name.npos;
}

/// What no observation is taken from unless its name is given.
bool IsReserved(std::string_view name) {
  const std::string lower = Lower(name);
  return name.empty() || lower.starts_with("next_") || IsOneOf(kRewardNames, lower) ||
         IsClockName(lower) || IsOneOf(kEpisodeNames, lower) || IsEndName(lower);
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

class LayoutReader {
 public:
  LayoutReader(const CsvTable& table, const RecordingColumns& names, const LogOptions& options)
      : table_(table), options_(options) {
    layout_.columns = SplitUnits(table.columns());
    for (size_t i = 0; i < table.units().size(); ++i) {
      if (layout_.columns[i].unit.empty()) layout_.columns[i].unit = table.units()[i];
    }
    Rename(table.header_place(), options.renames, table.columns(), layout_.columns);
    ChooseNames(names);
  }

  TableLayout Read() {
    layout_.observation = FindColumns(layout_.observation_names);
    layout_.action = FindColumns(layout_.action_names);
    layout_.next = FindNext();
    layout_.episode = OneOf(ColumnsCalled(kEpisodeNames));
    for (const std::span<const std::string_view> flags :
         {std::span<const std::string_view>(kTerminatedNames),
          std::span<const std::string_view>(kTruncatedNames),
          std::span<const std::string_view>(kDoneNames)}) {
      std::ranges::copy(ColumnsCalled(flags), std::back_inserter(layout_.ends));
    }
    // Nobody may want rewards: of two columns none is taken.
    const std::vector<size_t> rewards = ColumnsCalled(kRewardNames);
    if (rewards.size() == 1) layout_.reward = rewards.front();
    layout_.clock = FindClock();
    return std::move(layout_);
  }

 private:
  [[nodiscard]] std::vector<std::string> AllNames() const {
    std::vector<std::string> names;
    for (const Component& column : layout_.columns) names.push_back(column.name);
    return names;
  }

  /// Names by convention where none are given.
  void ChooseNames(const RecordingColumns& names) {
    std::vector<std::string>& observation = layout_.observation_names = names.observation;
    std::vector<std::string>& action = layout_.action_names = names.action;
    const std::vector<std::string> all = AllNames();
    if (action.empty()) {
      std::ranges::copy_if(all, std::back_inserter(action), [&](const std::string& name) {
        return IsActionName(name) && !Contains(observation, name);
      });
    }
    if (observation.empty()) {
      std::ranges::copy_if(all, std::back_inserter(observation), [&](const std::string& name) {
        return !Contains(action, name) && !IsReserved(name);
      });
    }
    if (!action.empty() && !observation.empty()) return;
    throw InputError(
        fmt::format("{}: found the columns {}, expected some with {}; name them, or give the task",
                    table_.header_place(), fmt::join(table_.columns(), ", "),
                    action.empty() ? "actions (action, action_*, u, u0, ...)" : "observations"));
  }

  /// By its name, or as the header has it. Throws InputError where two columns have that name.
  [[nodiscard]] std::optional<size_t> FindColumn(const std::string& name) const {
    const auto place = [&](const auto& names, const auto& projection) -> std::optional<size_t> {
      const auto found = std::ranges::find(names, name, projection);
      if (found == names.end()) return std::nullopt;
      const auto again = std::ranges::find(found + 1, names.end(), name, projection);
      if (again != names.end()) {
        throw InputError(fmt::format(
            "{}: column {}: found the name '{}' again, which column {} has", table_.header_place(),
            again - names.begin() + 1, name, found - names.begin() + 1));
      }
      return static_cast<size_t>(found - names.begin());
    };
    const auto by_name = place(layout_.columns, &Component::name);
    return by_name ? by_name : place(table_.columns(), std::identity());
  }

  [[nodiscard]] std::vector<size_t> FindColumns(const std::vector<std::string>& names) const {
    std::vector<size_t> places;
    for (const std::string& name : names) {
      const auto place = FindColumn(name);
      if (!place) throw UnknownName(table_.header_place(), "column", name, AllNames());
      places.push_back(*place);
    }
    return places;
  }

  /// Of every observation, or of none.
  [[nodiscard]] std::vector<size_t> FindNext() const {
    std::vector<std::string> next;
    for (const std::string& name : layout_.observation_names) next.push_back("next_" + name);
    const std::vector<std::string> all = AllNames();
    const bool is_there =
        std::ranges::any_of(next, [&](const auto& n) { return Contains(all, n); });
    return is_there ? FindColumns(next) : std::vector<size_t>{};
  }

  [[nodiscard]] bool IsTaken(size_t column) const {
    const std::string& name = layout_.columns[column].name;
    return Contains(layout_.observation_names, name) || Contains(layout_.action_names, name);
  }

  /// Columns with one of these names, in any case, that hold neither observation nor action.
  [[nodiscard]] std::vector<size_t> ColumnsCalled(std::span<const std::string_view> called) const {
    std::vector<size_t> places;
    for (size_t i = 0; i < layout_.columns.size(); ++i) {
      const std::string& name = layout_.columns[i].name;
      if (!IsTaken(i) && IsOneOf(called, Lower(name))) places.push_back(i);
    }
    return places;
  }

  [[nodiscard]] std::optional<size_t> OneOf(const std::vector<size_t>& places) const {
    if (places.empty()) return std::nullopt;
    if (places.size() > 1) {
      throw InputError(fmt::format("{}: found the columns '{}' and '{}', expected one of them",
                                   table_.header_place(), layout_.columns[places[0]].name,
                                   layout_.columns[places[1]].name));
    }
    return places.front();
  }

  /// Of the column's unit: as the user, else as its header says.
  [[nodiscard]] double SecondsOf(const Component& column) const {
    if (!options_.time_unit.empty()) return SecondsOfTimeUnit(options_.time_unit);
    const std::optional<Unit> unit = ParseUnit(column.unit);
    if (unit && unit->Matches(kSecond)) return unit->factor;
    if (column.name == kRosTime) return 1e-9;
    // In seconds; a column called Time or t may have another unit.
    return column.name == "time" && column.unit.empty() ? 1 : 0;
  }

  /// Of 'time', or else the first with a known unit, the first time, the first that counts.
  [[nodiscard]] std::optional<ClockColumn> FindClock() const {
    if (const auto time = FindColumn("time"); time && !IsTaken(*time)) {
      return ClockColumn{*time, SecondsOf(layout_.columns[*time])};
    }
    const std::vector<size_t> times = ColumnsCalled(kTimeNames);
    for (const size_t i : times) {
      const double seconds = SecondsOf(layout_.columns[i]);
      if (seconds > 0) return ClockColumn{i, seconds};
    }
    if (!times.empty()) return ClockColumn{times.front(), 0};
    if (!options_.time_unit.empty()) {
      throw InputError(
          fmt::format("{}: found no column of times for --time-unit, expected one called {}; "
                      "--rename time=NAME",
                      table_.header_place(), fmt::join(kTimeNames, ", ")));
    }
    const std::vector<size_t> counters = ColumnsCalled(kCounterNames);
    return counters.empty() ? std::nullopt : std::optional(ClockColumn{counters.front(), 0});
  }

  const CsvTable& table_;
  const LogOptions& options_;
  TableLayout layout_;
};

}  // namespace

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

TableLayout LayoutOf(const CsvTable& table, const RecordingColumns& names,
                     const LogOptions& options) {
  return LayoutReader(table, names, options).Read();
}

std::vector<std::string> NotesOnWhatIsLeftOut(const TableLayout& layout) {
  std::vector<std::string> left_out;
  int nameless = 0;
  const auto holds = [](const std::vector<size_t>& columns, size_t i) {
    return std::ranges::find(columns, i) != columns.end();
  };
  for (size_t i = 0; i < layout.columns.size(); ++i) {
    const std::string& name = layout.columns[i].name;
    if (name.empty()) ++nameless;
    const bool is_time = layout.clock && layout.clock->column == i && layout.clock->seconds > 0;
    const bool is_used = holds(layout.observation, i) || holds(layout.action, i) ||
                         holds(layout.next, i) || holds(layout.ends, i) || layout.reward == i ||
                         layout.episode == i || is_time;
    if (!is_used && !name.empty()) left_out.push_back(name);
  }
  std::vector<std::string> notes;
  if (!left_out.empty()) {
    notes.push_back(fmt::format("not taken for observations: {} (--observation names what is)",
                                fmt::join(left_out, ", ")));
  }
  const bool has_bare_time = layout.clock && layout.clock->seconds == 0 &&
                             IsOneOf(kTimeNames, Lower(layout.columns[layout.clock->column].name));
  if (has_bare_time) {
    notes.back() +=
        fmt::format("; the unit of '{}' is not known: --time-unit s, ms, us or ns says it",
                    layout.columns[layout.clock->column].name);
  }
  if (nameless > 0) {
    notes.push_back(fmt::format("{} {} without a name left out", nameless,
                                nameless == 1 ? "column" : "columns"));
  }
  return notes;
}

}  // namespace foreplan
