// Metrics in the form that TensorBoard reads.
#pragma once

#include <string>

#include "foreplan/runs/run_log.h"

namespace foreplan {

/// Bytes of an event file: every metric of the log, and returns of whole episodes as
/// "episode.return", as scalars at the run's total steps. Equal logs give equal bytes: events hold
/// no times.
///
/// TFRecord framing (length, masked CRC-32C, data, masked CRC-32C) around protocol buffers `Event`,
/// of which only the fields in use are written: wall_time 1, step 2, file_version 3, summary 5 with
/// values 1 of tag 1 and simple_value 2.
[[nodiscard]] std::string TensorBoardEvents(const RunLog& log);
/// What rows from a position on append to such a file.
[[nodiscard]] std::string TensorBoardEventsFrom(const RunLog& log, RunLog::Position from);

}  // namespace foreplan
