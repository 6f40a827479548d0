// Flags that say what a log's file does not say.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "foreplan/data/log_options.h"

namespace foreplan::apps {

struct LogFlags {
  std::vector<std::string> renames;  // NEW=OLD
  std::vector<std::string> scales;   // NAME=FACTOR
  LogOptions others;

  /// Throws InputError.
  [[nodiscard]] LogOptions options() const;
};

/// --rename, --scale, --degrees, --time-unit, --period, --gap.
void AddLogFlags(CLI::App& command, LogFlags& flags);

}  // namespace foreplan::apps
