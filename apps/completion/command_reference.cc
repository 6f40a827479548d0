// The commands as a page of the documentation.
#include <fmt/format.h>

#include "apps/completion/writers.h"

namespace foreplan::apps {
namespace {

/// Inside a table's cell.
std::string Cell(const std::string& text) {
  std::string cell;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      cell += "<br>";
    } else if (c == '|' || c == '*' || c == '_' || c == '<' || c == '>') {
      cell += c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string{'\\', c};
    } else {
      cell += c;
    }
  }
  return cell;
}

/// As code, where a bar has to be escaped all the same.
std::string Code(const std::string& text) {
  std::string code = "`";
  for (const char c : text) {
    if (c == '|') code += '\\';
    code += c;
  }
  return code + "`";
}

std::string Rows(const std::vector<ArgumentDescription>& arguments) {
  std::string rows;
  for (const ArgumentDescription& argument : arguments) {
    rows += fmt::format("| {} | {} |\n", Code(TermOf(argument)), Cell(TextOf(argument)));
  }
  return rows;
}

}  // namespace

std::string CommandReference(const ProgramDescription& program) {
  constexpr const char* kHead = "| argument | |\n|---|---|\n";
  std::string page = fmt::format(
      "# Commands\n\n"
      "What `{0} --help` and `man {0}` say, written by `{0} manual markdown`; a test holds it "
      "against the "
      "program. Completion for bash, zsh and\nfish is installed with it, or printed by `{0} "
      "completion SHELL`.\n\n"
      "{1}\n\n{2}{3}",
      program.program.name, program.exit_codes, kHead, Rows(program.program.options));
  for (const CommandDescription& command : program.commands) {
    page += fmt::format("\n## {}\n{}: `{}`\n\n{}{}{}", command.name, Cell(command.text),
                        UsageOf(program, command), kHead, Rows(command.positionals),
                        Rows(command.options));
  }
  return page +
         fmt::format("\n## Examples\n<!-- not run: for tasks and runs of yours -->\n```sh\n{}```\n",
                     program.examples);
}

}  // namespace foreplan::apps
