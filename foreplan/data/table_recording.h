// Transitions in tables of text.
#pragma once

#include <filesystem>

#include "foreplan/data/recording.h"

namespace foreplan {

/// A header and a row per step (csv_table.h); observation and action columns by name, with or
/// without the unit in their header, further columns `next_<observation>`, `episode` (a change
/// begins a new one), a clock, `reward` (a cell that is no number is one that is not known), and
/// flags (done, terminated, truncated, ...: 0, 1, true, false) of the rows that end an episode.
/// Other columns are left alone, whatever they hold. The last row of an episode needs no action.
/// Without names given, actions are the columns `action`, `action_*`, `u`, `u<number>`, and
/// observations the rest, without clocks and counters (timestamp, t, index, ...) and columns
/// without a name; notes say what was left out. A clock is `time` [s], or a time with its unit in
/// the header or LogOptions::time_unit, or dates; without an episode column, gaps and falls of it,
/// or else of a counter, begin episodes (log_times.h). Throws InputError naming file, row and
/// column.
Recording ReadTableRecording(const std::filesystem::path& file, const RecordingColumns& columns,
                             const LogOptions& options);

}  // namespace foreplan
