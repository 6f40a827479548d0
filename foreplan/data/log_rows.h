// A log before it is transitions: what was observed and done, row by row.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "foreplan/data/recording.h"
#include "foreplan/data/transition.h"

namespace foreplan {

/// Pointers are the reader's.
struct LogRow {
  const double* observation = nullptr;  // [no]
  const double* action = nullptr;       // [nu]; null: none was taken
  const double* next = nullptr;         // [no]; null: what the next row of the episode observes
  double time = 0;                      // in the unit of the log's clock, where there is one
  double reward = std::numeric_limits<double>::quiet_NaN();  // of the transition from here
  StepEnd end = StepEnd::kContinues;                         // of that
  bool begins = false;                                       // a new episode
  int64_t place = 0;                                         // see Recording
};

/// The row behind `row` belongs to the same episode.
[[nodiscard]] inline bool Continues(const std::vector<LogRow>& rows, size_t row) {
  return row + 1 < rows.size() && !rows[row + 1].begins;
}
/// A transition begins in the row.
[[nodiscard]] inline bool HasNext(const std::vector<LogRow>& rows, size_t row) {
  return rows[row].action != nullptr && (rows[row].next != nullptr || Continues(rows, row));
}

/// Adds the transitions to a recording of its sizes; with the times of rows where they are [s].
void AddTransitions(const std::vector<LogRow>& rows, bool has_times, Recording& recording);

}  // namespace foreplan
