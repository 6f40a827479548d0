// What the user says of a log that the file does not say.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace foreplan {

struct NewName {
  std::string name;
  std::string old;  // as the file has it
};

struct ColumnScale {
  std::string name;   // of an observation or action
  double factor = 1;  // its numbers are multiplied by it
};

/// Applied in this order: names, factors, times, period.
struct LogOptions {
  std::vector<NewName> renames = {};
  std::vector<ColumnScale> scales = {};
  std::vector<std::string> degrees = {};  // names of columns that become radians
  std::string time_unit = {};  // of the column of times; "": as its header says, or s of 'time'
  double period = 0;           // between rows after resampling [s]; 0: rows stay as they are
  double gap = 0;              // longer steps begin a new episode [s]; 0: 1.5 times the usual step
};

/// "NEW=OLD". Throws InputError.
[[nodiscard]] NewName ParseNewName(std::string_view text);
/// "NAME=FACTOR", a finite number that is not 0. Throws InputError.
[[nodiscard]] ColumnScale ParseColumnScale(std::string_view text);

}  // namespace foreplan
