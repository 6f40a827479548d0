#include "apps/completion/description.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "foreplan/runs/machine.h"

namespace foreplan::apps {
namespace {

const std::map<std::string, ValueDescription, std::less<>>& KindsOfValues() {
  static const std::map<std::string, ValueDescription, std::less<>> kKinds = {
      {"TASK", {{}, {"tasks"}, Paths::kFiles}},
      {"PLANNER", {{}, {"planners"}, Paths::kNone}},
      {"ALGORITHM", {{}, {"algorithms"}, Paths::kNone}},
      {"DIR", {{}, {}, Paths::kDirectories}},
      {"RUN", {{}, {}, Paths::kDirectories}},
      {"MODEL", {{}, {}, Paths::kFiles}},
      {"FILE", {{}, {}, Paths::kFiles}},
      {"FILE.toml", {{}, {}, Paths::kFiles}},
      {"FILE.xml", {{}, {}, Paths::kFiles}},
  };
  return kKinds;
}

std::vector<std::string> Parts(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

/// "icem,..." and "RUN..." without what follows the one.
std::string_view WithoutDots(std::string_view part) {
  if (part.ends_with("...")) part.remove_suffix(3);
  if (part.ends_with(",")) part.remove_suffix(1);
  return part;
}

ArgumentDescription DescribedArgument(const CLI::Option& option) {
  ArgumentDescription argument{
      .name = option.get_positional() ? option.get_name(true, false)
                                      : "--" + option.get_lnames().front(),
      .short_name = option.get_snames().empty() ? "" : "-" + option.get_snames().front(),
      .value = option.get_type_size() == 0 ? "" : option.get_type_name(),
      .text = option.get_description(),
      .excludes = {},
      .required = option.get_required(),
      .repeatable = option.get_expected_max() == CLI::detail::expected_max_vector_size};
  for (const CLI::Option* other : option.get_excludes()) {
    argument.excludes.push_back(other->get_name());
  }
  std::sort(argument.excludes.begin(), argument.excludes.end());  // a set of pointers has no order
  return argument;
}

CommandDescription DescribedCommand(const CLI::App& command) {
  CommandDescription description{.name = command.get_name(),
                                 .text = command.get_description(),
                                 .positionals = {},
                                 .options = {}};
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;
    (option->get_positional() ? description.positionals : description.options)
        .push_back(DescribedArgument(*option));
  }
  return description;
}

}  // namespace

const char* NameOf(Paths paths) {
  switch (paths) {
    case Paths::kFiles:
      return "files";
    case Paths::kDirectories:
      return "directories";
    default:
      return "none";
  }
}

ValueDescription ValuesNamed(const std::string& type_name) {
  ValueDescription values;
  for (const std::string& part : Parts(type_name, '|')) {
    const std::string_view name = WithoutDots(part);
    const auto kind = KindsOfValues().find(name);
    if (kind != KindsOfValues().end()) {
      const ValueDescription& known = kind->second;
      values.names.insert(values.names.end(), known.names.begin(), known.names.end());
      values.paths = std::max(values.paths, known.paths);
    } else if (!name.empty() && std::islower(static_cast<unsigned char>(name.front())) != 0) {
      values.words.emplace_back(name);
    }
  }
  return values;
}

ProgramDescription Described(const CLI::App& app) {
  ProgramDescription description{.program = DescribedCommand(app),
                                 .commands = {},
                                 .exit_codes = app.get_footer(),
                                 .examples = {},
                                 .version = VersionsJson()["foreplan"].get<std::string>()};
  const size_t paragraph = description.exit_codes.find("\n\n");
  for (const std::string& line : Parts(description.exit_codes.substr(paragraph + 2), '\n')) {
    description.examples += line.substr(line.find_first_not_of(' ')) + "\n";
  }
  description.exit_codes.resize(paragraph);
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (!command->get_group().empty()) description.commands.push_back(DescribedCommand(*command));
  }
  return description;
}

std::string UsageOf(const ProgramDescription& program, const CommandDescription& command) {
  std::string usage = fmt::format("{} {} [OPTIONS]", program.program.name, command.name);
  for (const ArgumentDescription& positional : command.positionals) {
    const std::string name = positional.name + (positional.repeatable ? "..." : "");
    usage += positional.required ? " " + name : " [" + name + "]";
  }
  return usage;
}

std::string TermOf(const ArgumentDescription& argument) {
  return fmt::format("{}{}{}{}{}", argument.short_name, argument.short_name.empty() ? "" : ", ",
                     argument.name, argument.value.empty() ? "" : " ", argument.value);
}

std::string TextOf(const ArgumentDescription& argument) {
  if (argument.excludes.empty()) return argument.text;
  return fmt::format("{}\nNot with: {}", argument.text, fmt::join(argument.excludes, ", "));
}

}  // namespace foreplan::apps
