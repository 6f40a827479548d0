// Flags that say what a log's file does not say.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "foreplan/data/log_section.h"

namespace foreplan::apps {

/// --rename, --scale, --degrees, --time-unit, --period, --gap.
void AddLogFlags(CLI::App& command, LogSection& flags);

/// What is given there, as --set takes it: "log.period=0.05".
[[nodiscard]] std::vector<std::string> Assignments(const LogSection& flags);

}  // namespace foreplan::apps
