#include "foreplan/data/table_recording.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/array_names.h"
#include "foreplan/data/cell_clock.h"
#include "foreplan/data/csv_table.h"
#include "foreplan/data/log_rows.h"
#include "foreplan/data/log_times.h"
#include "foreplan/data/table_layout.h"

namespace foreplan {
namespace {

std::vector<std::string> UnitsOf(const TableLayout& layout, const std::vector<size_t>& columns,
                                 const std::vector<std::string>& names) {
  std::vector<std::string> units;
  for (size_t i = 0; i < columns.size(); ++i) {
    const Component& column = layout.columns[columns[i]];
    // Who asks for a whole header has the unit in the name.
    units.push_back(column.name == names[i] ? column.unit : "");
  }
  return units;
}

class TableReader {
 public:
  TableReader(const CsvTable& table, const TableLayout& layout)
      : table_(table), layout_(layout), clock_(layout.clock ? layout.clock->seconds : 0) {
    for (const auto* group : {&layout_.observation, &layout_.action, &layout_.next}) {
      columns_.insert(columns_.end(), group->begin(), group->end());
    }
    table.ReadRows([this](int line, std::span<const std::string_view> cells) {
      ReadNumbers(line, cells);
      ReadOutcome(line, cells);
      if (layout_.clock && has_times_) ReadTime(line, cells[layout_.clock->column]);
    });
    PlaceRows();
  }

  Recording Read(double period, const LogOptions& options) {
    Recording recording(layout_.observation_names, layout_.action_names);
    recording.observation_units = UnitsOf(layout_, layout_.observation, layout_.observation_names);
    recording.action_units = UnitsOf(layout_, layout_.action, layout_.action_names);
    recording.place_unit = "line";
    if (layout_.clock && has_times_) DivideByTime(Clock(period), options, rows_, recording);
    CheckMissing();
    AddTransitions(rows_, has_times_ && clock_.in_seconds(), recording);
    return recording;
  }

 private:
  struct MissingAction {
    size_t row = 0;
    size_t column = 0;
    std::string cell;
  };

  void ReadNumbers(int line, std::span<const std::string_view> cells) {
    const size_t no = layout_.observation.size();
    for (size_t i = 0; i < columns_.size(); ++i) {
      const size_t column = columns_[i];
      const std::string_view cell = cells[column];
      const bool is_action = no <= i && i < no + layout_.action.size();
      if (is_action && (cell.empty() || Lower(cell) == "nan")) {
        missing_.push_back({rows_.size(), column, std::string(cell)});
        numbers_.push_back(std::numeric_limits<double>::quiet_NaN());
        continue;
      }
      numbers_.push_back(table_.Number(cell, column, line));
      marks_.See(table_, cell, column, line);
    }
  }

  void ReadOutcome(int line, std::span<const std::string_view> cells) {
    LogRow row{.place = line};
    FlaggedEnd end;
    for (const size_t column : layout_.ends) {
      if (table_.Flag(cells[column], column, line)) end.Set(Lower(layout_.columns[column].name));
    }
    row.end = end.end();
    if (layout_.reward) row.reward = table_.NumberOrNan(cells[*layout_.reward]);
    if (layout_.episode) {
      const std::string_view episode = cells[*layout_.episode];
      if (episode.empty()) {
        throw table_.Wrong(line, *layout_.episode, "an empty cell", "an episode");
      }
      row.begins = !rows_.empty() && episode != episode_;
      episode_ = episode;
    }
    // A flagged row is the last of its episode.
    row.begins = row.begins || (!rows_.empty() && rows_.back().end != StepEnd::kContinues);
    rows_.push_back(row);
  }

  /// Of a column whose unit is not known, what is no time makes it no clock.
  void ReadTime(int line, std::string_view cell) {
    const size_t column = layout_.clock->column;
    const auto time = clock_.Read(cell, table_.NumberOrNan(cell));
    if (time) {
      rows_.back().time = *time;
    } else if (layout_.clock->seconds > 0) {
      static_cast<void>(table_.Number(cell, column, line));  // says what is wrong with it
      throw table_.Wrong(line, column, "'" + std::string(cell.substr(0, 40)) + "'",
                         "a time like those above");
    } else {
      has_times_ = false;
    }
  }

  /// Rows point to their numbers once all of them are there.
  void PlaceRows() {
    const size_t width = columns_.size();
    const size_t no = layout_.observation.size();
    for (size_t i = 0; i < rows_.size(); ++i) {
      rows_[i].observation = numbers_.data() + i * width;
      rows_[i].action = rows_[i].observation + no;
      if (!layout_.next.empty()) rows_[i].next = rows_[i].action + layout_.action.size();
    }
  }

  [[nodiscard]] LogClock Clock(double period) const {
    const size_t column = layout_.clock->column;
    return {.name = layout_.columns[column].name,
            .in_seconds = clock_.in_seconds(),
            .divides = !layout_.episode,
            .period = period,
            .wrong = [this, column](const LogRow& row, std::string_view found,
                                    std::string_view expected) {
              return table_.Wrong(static_cast<int>(row.place), column, found, expected);
            }};
  }

  /// An action may be missing where no transition begins.
  void CheckMissing() {
    for (const MissingAction& missing : missing_) {
      if (!HasNext(rows_, missing.row)) {
        rows_[missing.row].action = nullptr;
        continue;
      }
      throw table_.Wrong(static_cast<int>(rows_[missing.row].place), missing.column,
                         missing.cell.empty() ? "an empty cell" : "'" + missing.cell + "'",
                         "a number");
    }
  }

  const CsvTable& table_;
  const TableLayout& layout_;
  CellClock clock_;
  DecimalMarks marks_;
  std::vector<size_t> columns_;  // of numbers: observation, action, next
  std::vector<double> numbers_;  // [rows x columns_]
  std::vector<LogRow> rows_;
  std::string episode_;  // of the last row, as it is written
  std::vector<MissingAction> missing_;
  bool has_times_ = true;  // the clock's cells are times, as far as they have been read
};

}  // namespace

Recording ReadTableRecording(const std::filesystem::path& file, const RecordingColumns& columns,
                             const LogOptions& options) {
  const CsvTable table(file);
  const TableLayout layout = LayoutOf(table, columns, options);
  Recording recording = TableReader(table, layout).Read(columns.dt, options);
  if (columns.observation.empty()) {
    std::vector<std::string> notes = NotesOnWhatIsLeftOut(layout);
    recording.notes.insert(recording.notes.begin(), notes.begin(), notes.end());
  }
  return recording;
}

}  // namespace foreplan
