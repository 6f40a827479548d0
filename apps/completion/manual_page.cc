// The page that `man foreplan` shows, in the macros of groff_man(7).
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "apps/completion/writers.h"

namespace foreplan::apps {
namespace {

/// One line of text: no request, hyphens that can be copied, choices that may break.
std::string Escaped(const std::string& line) {
  std::string escaped = line.starts_with('.') || line.starts_with('\'') ? "\\&" : "";
  for (const char c : line) {
    if (c == '\\') {
      escaped += "\\e";
    } else if (c == '-') {
      escaped += "\\-";
    } else if (c == '|') {
      escaped += "|\\:";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

/// Lines stay lines.
std::string Text(const std::string& text) {
  std::string lines;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const size_t first = std::min(text.find_first_not_of(' ', begin), end);
    lines += (begin == 0 ? "" : ".br\n") + Escaped(text.substr(first, end - first)) + "\n";
    begin = end + 1;
  }
  return lines;
}

std::string Arguments(const std::vector<ArgumentDescription>& arguments) {
  std::string text;
  for (const ArgumentDescription& argument : arguments) {
    text += fmt::format(".TP\n\\fB{}\\fR\n{}", Escaped(TermOf(argument)), Text(TextOf(argument)));
  }
  return text;
}

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

}  // namespace

std::string ManualPage(const ProgramDescription& program) {
  const CommandDescription& whole = program.program;
  std::string page = fmt::format(
      ".TH {} 1 \"\" \"{} {}\" \"User Commands\"\n.nh\n.ad l\n"
      ".SH NAME\n{} \\- {}"
      ".SH SYNOPSIS\n\\fB{}\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n"
      ".SH OPTIONS\n{}.SH COMMANDS\n",
      Upper(whole.name), whole.name, program.version, whole.name, Text(whole.text), whole.name,
      Arguments(whole.options));
  for (const CommandDescription& command : program.commands) {
    page += fmt::format(".SS {}\n{}.PP\n\\fB{}\\fR\n{}{}", command.name, Text(command.text),
                        Escaped(UsageOf(program, command)), Arguments(command.positionals),
                        Arguments(command.options));
  }
  return page + fmt::format(
                    ".SH EXIT STATUS\n{}.SH ENVIRONMENT\n.TP\n\\fBFOREPLAN_TASKS_DIR\\fR\n"
                    "The directory of the shipped tasks, instead of the installed one.\n"
                    ".SH EXAMPLES\n.nf\n{}.fi\n",
                    Text(program.exit_codes), Escaped(program.examples));
}

}  // namespace foreplan::apps
