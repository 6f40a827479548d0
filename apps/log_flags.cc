#include "apps/log_flags.h"

#include "apps/flags.h"

namespace foreplan::apps {

LogOptions LogFlags::options() const {
  LogOptions options = others;
  for (const std::string& text : renames) options.renames.push_back(ParseNewName(text));
  for (const std::string& text : scales) options.scales.push_back(ParseColumnScale(text));
  return options;
}

void AddLogFlags(CLI::App& command, LogFlags& flags) {
  command
      .add_option("--rename", flags.renames,
                  "a column or array by another name, e.g. time=stamp; repeatable")
      ->type_name("NEW=OLD")
      ->allow_extra_args(false);
  command
      .add_option("--scale", flags.scales, "multiply what a column holds, e.g. x=0.001; repeatable")
      ->type_name("NAME=FACTOR")
      ->allow_extra_args(false);
  command
      .add_option("--degrees", flags.others.degrees,
                  "columns of degrees, which become radians, separated by commas")
      ->delimiter(',')
      ->type_name("NAME");
  command
      .add_option("--time-unit", flags.others.time_unit,
                  "of the column of times: s, ms, us, ns; default: as its header says")
      ->type_name("UNIT");
  command.add_option("--period", flags.others.period, "resample the rows to it [s]")
      ->check(NumberFrom(1e-9, 1e9))
      ->type_name("SECONDS");
  command
      .add_option("--gap", flags.others.gap,
                  "longer steps begin a new episode [s]; default: 1.5 times the usual step")
      ->check(NumberFrom(1e-9, 1e9))
      ->type_name("SECONDS");
}

}  // namespace foreplan::apps
