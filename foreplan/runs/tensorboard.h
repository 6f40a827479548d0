// Metrics in the form that TensorBoard reads.
#pragma once

#include <string>
#include <string_view>

#include "foreplan/runs/run_log.h"

namespace foreplan {

/// Bytes of an event file: scalars at the run's total steps and at `wall_time` [s since 1970],
/// under the names that dashboards of other programs have (CleanRL, Huang et al. 2022):
///   charts/episodic_return, charts/episodic_length   of whole episodes
///   losses/<name>                                    metrics "fit.<name>"
///   <part>/<name>                                    other metrics "<part>.<name>"
///
/// TFRecord framing (length, masked CRC-32C, data, masked CRC-32C) around protocol buffers `Event`,
/// of which only the fields in use are written: wall_time 1, step 2, file_version 3, summary 5 with
/// values 1 of tag 1 and simple_value 2.
[[nodiscard]] std::string TensorBoardEvents(const RunLog& log, double wall_time);
/// What rows from a position on append to such a file.
[[nodiscard]] std::string TensorBoardEventsFrom(const RunLog& log, RunLog::Position from,
                                                double wall_time);
/// The beginning of such a file with the events of this log, the first that were written to it;
/// "" when it holds fewer.
[[nodiscard]] std::string_view TensorBoardEventsOf(const RunLog& log, std::string_view file);

}  // namespace foreplan
