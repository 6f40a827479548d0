#include "foreplan/runs/terminal_style.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>

namespace foreplan {
namespace {

bool IsSet(const char* text) { return text != nullptr && *text != '\0'; }

/// "de_DE.UTF-8", "C.utf8"
bool IsUtf8(std::string_view locale) {
  std::string name;
  for (const char c : locale) {
    if (c != '-') name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return name.find("utf8") != std::string::npos;
}

std::string_view LocaleOf(const TerminalEnvironment& environment) {
  for (const char* locale : {environment.lc_all, environment.lc_ctype, environment.lang}) {
    if (IsSet(locale)) return locale;
  }
  return "C";
}

}  // namespace

TerminalStyle StyleFrom(bool is_terminal, const TerminalEnvironment& environment) {
  const bool is_dumb = environment.term == nullptr || std::string_view(environment.term) == "dumb";
  const bool is_rich = is_terminal && !is_dumb;
  return {.is_terminal = is_terminal,
          .can_rewrite = is_rich,
          .has_colors = is_rich && !IsSet(environment.no_color),
          .glyphs = is_rich && IsUtf8(LocaleOf(environment)) ? Glyphs::kUnicode : Glyphs::kAscii};
}

TerminalStyle StyleOf(int descriptor) {
  return StyleFrom(isatty(descriptor) == 1, {.term = std::getenv("TERM"),
                                             .no_color = std::getenv("NO_COLOR"),
                                             .lc_all = std::getenv("LC_ALL"),
                                             .lc_ctype = std::getenv("LC_CTYPE"),
                                             .lang = std::getenv("LANG")});
}

int TerminalWidth(int descriptor) {
  winsize size{};
  const bool known = ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

std::string Colored(std::string_view text, Color color, const TerminalStyle& style) {
  if (!style.has_colors || text.empty()) return std::string(text);
  const int code = color == Color::kBold ? 1 : (color == Color::kFaint ? 2 : 36);
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

}  // namespace foreplan
