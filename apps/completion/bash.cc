#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apps/completion/writers.h"

namespace foreplan::apps {
namespace {

// The functions that do not depend on the commands; above them come the tables they read.
constexpr const char* kFunctions = R"bash(
# _foreplan_offer PROGRAM CURRENT WORDS NAMES PATHS
_foreplan_offer() {
  local words=$3 kind
  for kind in $4; do words+=" $("$1" completion "$kind" 2>/dev/null)"; done
  COMPREPLY+=($(compgen -W "$words" -- "$2"))
  local IFS=$'\n'
  case $5 in
    files) COMPREPLY+=($(compgen -f -- "$2")) ;;
    directories) COMPREPLY+=($(compgen -d -- "$2")) ;;
    *) return ;;
  esac
  compopt -o filenames 2>/dev/null
}

_foreplan() {
  local program=$1 current=$2 before=$3 command=${COMP_WORDS[1]}
  local options with_value words names paths
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    _foreplan_offer "$program" "$current" "$_foreplan_commands"
    return
  fi
  # --option=value comes in three words.
  if [[ $current == "=" ]]; then
    current=
  elif [[ $before == "=" ]]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  _foreplan_options "$command"
  if [[ $before == -* && " $with_value " == *" $before "* ]]; then
    _foreplan_values "$command $before"
  elif [[ $current == -* ]]; then
    words=$options
  else
    local index position=0
    for ((index = 2; index < COMP_CWORD; ++index)); do
      case ${COMP_WORDS[index]} in
        -*)
          if [[ " $with_value " == *" ${COMP_WORDS[index]} "* ]]; then
            ((++index))
            if [[ ${COMP_WORDS[index]} == "=" ]]; then ((++index)); fi
          fi
          ;;
        *) ((++position)) ;;
      esac
    done
    _foreplan_values "$command $position"
  fi
  _foreplan_offer "$program" "$current" "$words" "$names" "$paths"
}

complete -F _foreplan foreplan
)bash";

std::string OptionsCase(const CommandDescription& command) {
  std::vector<std::string> options;
  std::vector<std::string> with_value;
  for (const ArgumentDescription& option : command.options) {
    options.push_back(option.name);
    if (!option.value.empty()) with_value.push_back(option.name);
  }
  return fmt::format("    {})\n      options='{}'\n      with_value='{}'\n      ;;\n", command.name,
                     fmt::join(options, " "), fmt::join(with_value, " "));
}

/// What may stand at a place: behind an option, or as the positional of that number.
std::string ValuesCase(const std::string& place, const std::string& value) {
  const ValueDescription values = ValuesNamed(value);
  return fmt::format("    {}) words='{}' names='{}' paths={} ;;\n", place,
                     fmt::join(values.words, " "), fmt::join(values.names, " "),
                     NameOf(values.paths));
}

std::string ValuesCases(const CommandDescription& command) {
  std::string cases;
  for (const ArgumentDescription& option : command.options) {
    if (option.value.empty()) continue;
    cases += ValuesCase(fmt::format("'{} {}'", command.name, option.name), option.value);
  }
  for (size_t i = 0; i < command.positionals.size(); ++i) {
    const ArgumentDescription& positional = command.positionals[i];
    // Those that may be several also stand at all places behind.
    const std::string place = positional.repeatable ? fmt::format("'{} '*", command.name)
                                                    : fmt::format("'{} {}'", command.name, i);
    cases += ValuesCase(place, positional.value);
  }
  return cases;
}

}  // namespace

std::string BashCompletion(const ProgramDescription& program) {
  std::vector<std::string> commands;
  std::string options;
  std::string values;
  for (const ArgumentDescription& option : program.program.options) commands.push_back(option.name);
  for (const CommandDescription& command : program.commands) {
    commands.push_back(command.name);
    options += OptionsCase(command);
    values += ValuesCases(command);
  }
  return fmt::format(
      "# bash completion of foreplan {}, written by `foreplan completion bash`\n\n"
      "_foreplan_commands='{}'\n\n"
      "# Sets options and with_value of a command.\n"
      "_foreplan_options() {{\n  case $1 in\n{}  esac\n}}\n\n"
      "# Sets words, names and paths: what may stand behind an option, or at a place.\n"
      "_foreplan_values() {{\n  case $1 in\n{}  esac\n}}\n{}",
      program.version, fmt::join(commands, " "), options, values, kFunctions);
}

}  // namespace foreplan::apps
