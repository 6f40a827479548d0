// What the times of a log's rows say: where episodes begin, and how long a step is.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "foreplan/core/error.h"
#include "foreplan/data/log_options.h"
#include "foreplan/data/log_rows.h"
#include "foreplan/data/recording.h"

namespace foreplan {

/// A column of times or of numbers that count rows.
struct LogClock {
  std::string name;        // in notes
  bool in_seconds = true;  // false: of a unit that is not known
  bool divides = true;     // gaps and falls begin episodes: no other column says where they begin
  double period = 0;       // between rows, as it must be [s]; 0: any
  /// About the row with that time.
  std::function<InputError(const LogRow& row, std::string_view found, std::string_view expected)>
      wrong;
};

/// Begins a new episode where time falls, or leaves a gap (LogOptions::gap), and notes both. Of
/// times in seconds sets the recording's dt, the usual step, and throws InputError with the remedy
/// where steps differ from it, or from the clock's period, by more than 10 %; of others notes it.
/// Rows that are to be resampled may be uneven.
void DivideByTime(const LogClock& clock, const LogOptions& options, std::vector<LogRow>& rows,
                  Recording& recording);

}  // namespace foreplan
