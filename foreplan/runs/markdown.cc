#include "foreplan/runs/markdown.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "foreplan/runs/page.h"
#include "foreplan/runs/plain_text.h"

namespace foreplan {
namespace {

/// The most backticks in a row.
size_t LongestTicks(std::string_view text) {
  size_t longest = 0;
  size_t now = 0;
  for (const char c : text) {
    now = c == '`' ? now + 1 : 0;
    longest = std::max(longest, now);
  }
  return longest;
}

/// A '|' would end a cell, also between backticks; a backslash before "\|" would free it again.
std::string WithoutBars(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '|') safe += safe.ends_with('\\') ? " \\" : "\\";
    safe += c;
  }
  return safe;
}

std::string Row(const std::vector<std::string>& cells) {
  return fmt::format("| {} |\n", fmt::join(cells, " | "));
}

}  // namespace

std::string MarkdownCode(std::string_view text) {
  const std::string plain = WithoutBars(PlainText(text));
  if (plain.find_first_not_of(' ') == std::string::npos) return "";
  const std::string ticks(LongestTicks(plain) + 1, '`');
  // One blank at each end belongs to the mark.
  const bool is_padded =
      plain.front() == '`' || plain.back() == '`' || plain.front() == ' ' || plain.back() == ' ';
  const std::string_view blank = is_padded ? " " : "";
  return fmt::format("{0}{1}{2}{1}{0}", ticks, blank, plain);
}

std::string MarkdownBlock(std::string_view language, std::string_view text) {
  const std::string fence(std::max<size_t>(3, LongestTicks(text) + 1), '`');
  return fmt::format("{0}{1}\n{2}{3}{0}\n", fence, language, text,
                     text.ends_with('\n') ? "" : "\n");
}

std::string MarkdownDetails(std::string_view summary, std::string_view body) {
  return fmt::format("<details>\n<summary>{}</summary>\n\n{}\n</details>\n",
                     EscapedForHtml(PlainText(summary)), body);
}

std::string MarkdownTable(const std::vector<std::string>& header,
                          const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::string> rules(header.size(), "--:");
  if (!rules.empty()) rules.front() = "---";
  std::string table = Row(header) + fmt::format("|{}|\n", fmt::join(rules, "|"));
  for (const std::vector<std::string>& row : rows) table += Row(row);
  return table;
}

}  // namespace foreplan
