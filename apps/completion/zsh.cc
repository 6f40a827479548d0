#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apps/completion/writers.h"

namespace foreplan::apps {
namespace {

// Above it come the commands and the arguments of each.
constexpr const char* kFunctions = R"zsh(
# _foreplan_offer WORDS NAMES PATHS
_foreplan_offer() {
  local -a words_offered
  local kind
  words_offered=(${=1})
  for kind in ${=2}; do
    words_offered+=(${(f)"$($foreplan_program completion $kind 2>/dev/null)"})
  done
  compadd -a words_offered
  case $3 in
    files) _files ;;
    directories) _files -/ ;;
  esac
}

_foreplan() {
  local foreplan_program=${words[1]}
  local -a arguments
  if ((CURRENT == 2)); then
    _describe command foreplan_commands
    return
  fi
  _foreplan_arguments ${words[2]}
  shift words
  ((CURRENT--))
  _arguments $arguments
}

_foreplan "$@"
)zsh";

/// Inside '...', where zsh's specifications end at ':' and ']'.
std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\'') {
      escaped += "'\\''";
    } else if (c == '\n') {
      escaped += ' ';
    } else {
      if (c == ':' || c == '[' || c == ']' || c == '\\') escaped += '\\';
      escaped += c;
    }
  }
  return escaped;
}

/// ":what:what is offered"
std::string Offer(const ArgumentDescription& argument) {
  const ValueDescription values = ValuesNamed(argument.value);
  return fmt::format(":{}: _foreplan_offer \"{}\" \"{}\" {}", Escaped(argument.value),
                     fmt::join(values.words, " "), fmt::join(values.names, " "),
                     NameOf(values.paths));
}

std::string ArgumentsCase(const CommandDescription& command) {
  std::string lines = fmt::format("    {})\n      arguments=(\n", command.name);
  for (const ArgumentDescription& option : command.options) {
    std::vector<std::string> excluded;
    for (const std::string& other : option.excludes) {
      excluded.push_back(other.starts_with("-") ? other : ":");
    }
    const std::string none = option.repeatable ? "*" : "";
    const std::string before =
        excluded.empty() ? none : fmt::format("({})", fmt::join(excluded, " ")) + none;
    lines += fmt::format("        '{}{}{}[{}]{}'\n", before, option.name,
                         option.value.empty() ? "" : "=", Escaped(option.text),
                         option.value.empty() ? "" : Offer(option));
  }
  for (const ArgumentDescription& positional : command.positionals) {
    lines += fmt::format("        '{}{}'\n", positional.repeatable ? "*" : "", Offer(positional));
  }
  return lines + "      )\n      ;;\n";
}

}  // namespace

std::string ZshCompletion(const ProgramDescription& program) {
  std::string commands;
  std::string cases;
  for (const CommandDescription& command : program.commands) {
    commands += fmt::format("  '{}:{}'\n", command.name, Escaped(command.text));
    cases += ArgumentsCase(command);
  }
  for (const ArgumentDescription& option : program.program.options) {
    commands += fmt::format("  '{}:{}'\n", option.name, Escaped(option.text));
  }
  return fmt::format(
      "#compdef foreplan\n"
      "# zsh completion of foreplan {}, written by `foreplan completion zsh`\n\n"
      "typeset -ga foreplan_commands=(\n{})\n\n"
      "# Sets arguments of a command.\n"
      "_foreplan_arguments() {{\n  case $1 in\n{}  esac\n}}\n{}",
      program.version, commands, cases, kFunctions);
}

}  // namespace foreplan::apps
