#include "foreplan/runs/terminal_style.h"

#include <gtest/gtest.h>

namespace foreplan {
namespace {

constexpr TerminalEnvironment kUsual{.term = "xterm-256color", .lang = "de_DE.UTF-8"};

TEST(TerminalStyle, OfAnOrdinaryTerminalHasEverything) {
  const TerminalStyle style = StyleFrom(true, kUsual);
  EXPECT_TRUE(style.is_terminal);
  EXPECT_TRUE(style.can_rewrite);
  EXPECT_TRUE(style.has_colors);
  EXPECT_EQ(style.glyphs, Glyphs::kUnicode);
}

TEST(TerminalStyle, OfAFileHasNothing) {
  const TerminalStyle style = StyleFrom(false, kUsual);
  EXPECT_FALSE(style.is_terminal);
  EXPECT_FALSE(style.can_rewrite);
  EXPECT_FALSE(style.has_colors);
  EXPECT_EQ(style.glyphs, Glyphs::kAscii);
}

TEST(TerminalStyle, OfADumbTerminalIsPlain) {
  for (const char* term : {"dumb", static_cast<const char*>(nullptr)}) {
    TerminalEnvironment environment = kUsual;
    environment.term = term;
    const TerminalStyle style = StyleFrom(true, environment);
    EXPECT_TRUE(style.is_terminal);
    EXPECT_FALSE(style.can_rewrite);
    EXPECT_FALSE(style.has_colors);
    EXPECT_EQ(style.glyphs, Glyphs::kAscii);
  }
}

TEST(TerminalStyle, HasNoColorsWhereNobodyWantsThem) {
  TerminalEnvironment environment = kUsual;
  environment.no_color = "1";
  EXPECT_FALSE(StyleFrom(true, environment).has_colors);
  EXPECT_TRUE(StyleFrom(true, environment).can_rewrite);
  environment.no_color = "";
  EXPECT_TRUE(StyleFrom(true, environment).has_colors);
}

TEST(TerminalStyle, AsksTheLocaleInItsOrder) {
  const auto glyphs = [](const char* lc_all, const char* lc_ctype, const char* lang) {
    return StyleFrom(true, {.term = "xterm", .lc_all = lc_all, .lc_ctype = lc_ctype, .lang = lang})
        .glyphs;
  };
  EXPECT_EQ(glyphs(nullptr, nullptr, nullptr), Glyphs::kAscii);
  EXPECT_EQ(glyphs(nullptr, nullptr, "C.utf8"), Glyphs::kUnicode);
  EXPECT_EQ(glyphs("", "en_US.UTF-8", "C"), Glyphs::kUnicode);
  EXPECT_EQ(glyphs("C", "en_US.UTF-8", "en_US.UTF-8"), Glyphs::kAscii);
  EXPECT_EQ(glyphs(nullptr, "de_DE.ISO-8859-1", "de_DE.UTF-8"), Glyphs::kAscii);
}

TEST(Colored, EndsItsColor) {
  EXPECT_EQ(Colored("a", Color::kCurve, StyleFrom(true, kUsual)), "\x1b[36ma\x1b[0m");
  EXPECT_EQ(Colored("", Color::kBold, StyleFrom(true, kUsual)), "");
  EXPECT_EQ(Colored("a", Color::kBold, StyleFrom(false, kUsual)), "a");
}

}  // namespace
}  // namespace foreplan
