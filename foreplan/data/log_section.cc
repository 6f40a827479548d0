#include "foreplan/data/log_section.h"

namespace foreplan {
namespace {

constexpr const char* kSection = "log";

}  // namespace

void LogSection::Visit(OptionsVisitor& visitor) {
  visitor.Field("rename", rename, "columns and arrays by other names, NEW=OLD each");
  visitor.Field("scale", scale, "what columns are multiplied by, NAME=FACTOR each");
  visitor.Field("degrees", degrees, "columns of degrees, which become radians");
  visitor.Field("time_unit", time_unit, "of the column of times: s, ms, us, ns; empty: as it says");
  visitor.Field("period", period, {0, 1e9}, "rows are resampled to it [s]; 0: they stay");
  visitor.Field("gap", gap, {0, 1e9},
                "longer steps begin a new episode [s]; 0: 1.5 times the usual step");
}

LogOptions LogSection::options() const {
  LogOptions options{.degrees = degrees, .time_unit = time_unit, .period = period, .gap = gap};
  for (const std::string& text : rename) options.renames.push_back(ParseNewName(text));
  for (const std::string& text : scale) options.scales.push_back(ParseColumnScale(text));
  return options;
}

LogSection ReadLogSection(Config& config) { return ReadOptions<LogSection>(config, kSection); }

void WriteLogSection(Config& config, ConfigWriter& writer) {
  LogSection section = ReadLogSection(config);
  const LogSection nothing;
  if (section != nothing) writer.Write(kSection, section);
}

}  // namespace foreplan
