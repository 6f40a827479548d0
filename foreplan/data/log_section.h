// Section [log] of a configuration: how a file of data is read.
#pragma once

#include <string>
#include <vector>

#include "foreplan/core/config.h"
#include "foreplan/data/log_options.h"

namespace foreplan {

/// LogOptions as they stand in a file.
struct LogSection {
  std::vector<std::string> rename = {};  // NEW=OLD
  std::vector<std::string> scale = {};   // NAME=FACTOR
  std::vector<std::string> degrees = {};
  std::string time_unit = {};
  double period = 0;  // [s]
  double gap = 0;     // [s]

  void Visit(OptionsVisitor& visitor);
  /// Throws InputError.
  [[nodiscard]] LogOptions options() const;
  friend bool operator==(const LogSection&, const LogSection&) = default;
};

/// Reads the section.
[[nodiscard]] LogSection ReadLogSection(Config& config);
/// Writes it where anything in it is said.
void WriteLogSection(Config& config, ConfigWriter& writer);

}  // namespace foreplan
