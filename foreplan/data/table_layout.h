// Which column of a table holds what.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "foreplan/data/component.h"
#include "foreplan/data/csv_table.h"
#include "foreplan/data/log_options.h"
#include "foreplan/data/recording.h"

namespace foreplan {

std::string Lower(std::string_view text);

/// The column that says when a row is.
struct ClockColumn {
  size_t column = 0;
  double seconds = 0;  // of its unit; 0: not known
};

struct TableLayout {
  std::vector<Component> columns;  // names and units of all; renamed
  std::vector<std::string> observation_names;
  std::vector<std::string> action_names;
  std::vector<size_t> observation;
  std::vector<size_t> action;
  std::vector<size_t> next;  // empty: of the next row
  std::vector<size_t> ends;  // flags
  std::optional<size_t> reward;
  std::optional<size_t> episode;
  std::optional<ClockColumn> clock;
};

/// Names by convention where none are given, see ReadTableRecording. Throws InputError naming the
/// line of the header: names that are missing or there twice.
TableLayout LayoutOf(const CsvTable& table, const RecordingColumns& names,
                     const LogOptions& options);

/// Columns that could have been observations and hold nothing else that is read; of those without a
/// name, how many there are.
std::vector<std::string> NotesOnWhatIsLeftOut(const TableLayout& layout);

}  // namespace foreplan
