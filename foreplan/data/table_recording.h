// Transitions in tables of text.
#pragma once

#include <filesystem>

#include "foreplan/data/recording.h"

namespace foreplan {

/// A header and a row per step; observation and action columns by name, further columns
/// `next_<observation>`, `episode` (a change begins a new one), `time` [s], `reward` (a cell that
/// is no number is one that is not known), and flags (done, terminated, truncated, ...: 0, 1, true,
/// false) of the rows that end an episode. Other columns are left alone, whatever they hold.
/// Without names given, actions are the columns `action`, `action_*`, `u`, `u<number>`, and
/// observations the rest, without clocks and counters (timestamp, t, index, ...) and columns
/// without a name; notes say what was left out. Throws InputError naming file, row and column.
Recording ReadTableRecording(const std::filesystem::path& file, const RecordingColumns& columns);

}  // namespace foreplan
