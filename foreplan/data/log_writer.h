// Logs for other programs, from what foreplan keeps: what is written is read back by ReadRecording
// to the same numbers.
#pragma once

#include <string>

#include "foreplan/data/recording.h"

namespace foreplan {

/// A table with a row per step: `episode`, `time [s]` where the period is known, `name [unit]` of
/// observations and actions, `reward` (empty: not known), `terminated`, `truncated`. An episode
/// whose steps follow each other ends with a row without action, which says how it ended; where
/// some do not, every row has its `next_name` and its own end. Numbers are the shortest that are
/// read back to the same double.
[[nodiscard]] std::string LogCsv(const Recording& recording);

/// A zip archive of arrays, not packed: `observations`, `next_observations` [N x no], `actions`
/// [N x nu], `episode`, `terminations`, `truncations` [N], `rewards` [N] where all are known, `dt`
/// [] where it is; for other programs `observation_names`, `observation_units`, `action_names`,
/// `action_units` in UTF-8. Throws InputError for more than 4 GB.
[[nodiscard]] std::string LogNpz(const Recording& recording);

}  // namespace foreplan
