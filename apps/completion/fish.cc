#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apps/completion/writers.h"

namespace foreplan::apps {
namespace {

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\'' || c == '\\') escaped += '\\';
    escaped += c == '\n' ? ' ' : c;
  }
  return escaped;
}

/// " -x -a '...'": what may stand for a value; files are fish's default.
std::string Offer(const std::string& type_name) {
  const ValueDescription values = ValuesNamed(type_name);
  std::vector<std::string> offers = values.words;
  for (const std::string& kind : values.names) {
    offers.push_back(fmt::format("(foreplan completion {})", kind));
  }
  if (values.paths == Paths::kDirectories) offers.emplace_back("(__fish_complete_directories)");
  return fmt::format(" {}{}", values.paths == Paths::kFiles ? "-F" : "-f",
                     offers.empty() ? "" : fmt::format(" -a '{}'", fmt::join(offers, " ")));
}

std::string LinesOf(const CommandDescription& command) {
  const std::string begin =
      fmt::format("complete -c foreplan -n '__fish_seen_subcommand_from {}'", command.name);
  std::string lines;
  for (const ArgumentDescription& option : command.options) {
    lines +=
        fmt::format("{} -l {}{} -d '{}'\n", begin, option.name.substr(2),
                    option.value.empty() ? "" : " -r" + Offer(option.value), Escaped(option.text));
  }
  for (const ArgumentDescription& positional : command.positionals) {
    lines += begin + Offer(positional.value) + "\n";
  }
  return lines;
}

}  // namespace

std::string FishCompletion(const ProgramDescription& program) {
  std::string text = fmt::format(
      "# fish completion of foreplan {}, written by `foreplan completion fish`\n\n"
      "complete -c foreplan -f\n",
      program.version);
  const std::string first = "complete -c foreplan -n __fish_use_subcommand";
  for (const ArgumentDescription& option : program.program.options) {
    text += fmt::format("{} -l {} -d '{}'\n", first, option.name.substr(2), Escaped(option.text));
  }
  for (const CommandDescription& command : program.commands) {
    text += fmt::format("{} -a {} -d '{}'\n", first, command.name, Escaped(command.text));
  }
  for (const CommandDescription& command : program.commands) text += "\n" + LinesOf(command);
  return text;
}

}  // namespace foreplan::apps
