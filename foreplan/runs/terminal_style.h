// What a terminal can show: colours, characters, columns.
#pragma once

#include <string>
#include <string_view>

#include "foreplan/runs/sparkline.h"

namespace foreplan {

struct TerminalStyle {
  bool is_terminal = false;
  bool can_rewrite = false;  // its last line: no dumb one
  bool has_colors = false;
  Glyphs glyphs = Glyphs::kAscii;
};

/// What the environment says of a terminal; nullptr for a variable that is not set.
struct TerminalEnvironment {
  const char* term = nullptr;
  const char* no_color = nullptr;
  const char* lc_all = nullptr;
  const char* lc_ctype = nullptr;
  const char* lang = nullptr;
};

/// TERM=dumb, or none, is a dumb terminal. Colours on others where NO_COLOR is not set or empty
/// (no-color.org); Unicode on others where the locale's characters are UTF-8, by the first of
/// LC_ALL, LC_CTYPE, LANG that is not empty (POSIX).
[[nodiscard]] TerminalStyle StyleFrom(bool is_terminal, const TerminalEnvironment& environment);

/// Of a file descriptor of this program.
[[nodiscard]] TerminalStyle StyleOf(int descriptor);

/// Columns of the terminal now; 80 where it does not say.
[[nodiscard]] int TerminalWidth(int descriptor);

enum class Color { kBold, kFaint, kCurve };

/// In that colour, which ends with the text; as it is where there are no colours.
[[nodiscard]] std::string Colored(std::string_view text, Color color, const TerminalStyle& style);

}  // namespace foreplan
