#include "apps/log_flags.h"

#include <fmt/format.h>

#include <iomanip>
#include <sstream>

#include "apps/flags.h"

namespace foreplan::apps {

namespace {

/// A list of TOML in double quotes.
std::string ListText(const std::vector<std::string>& texts) {
  std::ostringstream list;
  for (const std::string& text : texts) list << (list.tellp() > 0 ? ", " : "") << std::quoted(text);
  return "[" + list.str() + "]";
}

}  // namespace

std::vector<std::string> Assignments(const LogSection& flags) {
  std::vector<std::string> assignments;
  if (!flags.rename.empty()) assignments.push_back("log.rename=" + ListText(flags.rename));
  if (!flags.scale.empty()) assignments.push_back("log.scale=" + ListText(flags.scale));
  if (!flags.degrees.empty()) assignments.push_back("log.degrees=" + ListText(flags.degrees));
  if (!flags.time_unit.empty()) {
    std::ostringstream unit;
    unit << "log.time_unit=" << std::quoted(flags.time_unit);
    assignments.push_back(unit.str());
  }
  if (flags.period > 0) assignments.push_back(fmt::format("log.period={}", flags.period));
  if (flags.gap > 0) assignments.push_back(fmt::format("log.gap={}", flags.gap));
  return assignments;
}

void AddLogFlags(CLI::App& command, LogSection& flags) {
  command
      .add_option("--rename", flags.rename,
                  "a column or array by another name, e.g. time=stamp; repeatable")
      ->type_name("NEW=OLD")
      ->allow_extra_args(false);
  command
      .add_option("--scale", flags.scale, "multiply what a column holds, e.g. x=0.001; repeatable")
      ->type_name("NAME=FACTOR")
      ->allow_extra_args(false);
  command
      .add_option("--degrees", flags.degrees,
                  "columns of degrees, which become radians, separated by commas")
      ->delimiter(',')
      ->type_name("NAME,...");
  command
      .add_option("--time-unit", flags.time_unit,
                  "of the column of times; default: as its header says")
      ->type_name("s|ms|us|ns");
  command.add_option("--period", flags.period, "resample the rows to it [s]")
      ->check(NumberFrom(1e-9, 1e9))
      ->type_name("SECONDS");
  command
      .add_option("--gap", flags.gap,
                  "longer steps begin a new episode [s]; default: 1.5 times the usual step")
      ->check(NumberFrom(1e-9, 1e9))
      ->type_name("SECONDS");
}

}  // namespace foreplan::apps
